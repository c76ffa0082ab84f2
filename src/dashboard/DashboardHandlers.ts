/** The answers of `/dashboard/…` itself: how the run stands, the stream, and the actions of an operator. */
import * as NodeHttpServerRequest from "@effect/platform-node/NodeHttpServerRequest"
import * as HttpApiBuilder from "@effect/platform/HttpApiBuilder"
import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import { randomUUID } from "node:crypto"
import { ActivityReader } from "../store/ActivityReader.js"
import { RunReader } from "../store/RunReader.js"
import { RunStanding } from "../store/RunStanding.js"
import { DashboardApi } from "./DashboardApi.js"
import { DashboardStore } from "./DashboardStore.js"
import { Live } from "./Live.js"
import { Operator } from "./Operator.js"
import { principalOf } from "./principals.js"
import { problemOf } from "./Problem.js"
import { bucketsOf, startOf, type Window } from "./Timeline.js"

export const dashboardHandlers = HttpApiBuilder.group(DashboardApi, "dashboard", (handlers) =>
  Effect.gen(function*() {
    const live = yield* Live
    const store = yield* DashboardStore
    const operator = yield* Operator
    const snapshot = Effect.mapError(live.snapshot, ({ message }) => problemOf("unavailable", message))

    return handlers
      .handle("health", () =>
        Effect.map(snapshot, ({ generated_unix_ms, health, training }) => ({
          schema_version: 1,
          generated_unix_ms,
          training,
          ...health
        })))
      .handle("widgets", () =>
        Effect.map(snapshot, ({ generated_unix_ms, training, widgets }) => ({
          schema_version: 1,
          generated_unix_ms,
          training,
          widgets
        })))
      .handle("alerts", () =>
        Effect.map(snapshot, ({ alerts, generated_unix_ms, training }) => ({
          schema_version: 1,
          generated_unix_ms,
          training,
          alerts
        })))
      .handle("queueTimeline", ({ urlParams: { bucket_ms = 60_000, buckets = 60, run } }) =>
        Effect.gen(function*() {
          const { training } = yield* snapshot
          const endMs = yield* Clock.currentTimeMillis
          const window: Window = { endMs, bucketMs: bucket_ms, buckets }
          const found = yield* store.read(timelineOf(run ?? null, window)).pipe(
            Effect.catchTag("StoreAbsent", () => Effect.succeed(nothing)),
            Effect.mapError(({ message }) => problemOf("unavailable", message))
          )
          if (run !== undefined && found.runId === null) {
            return yield* Effect.fail(problemOf("notFound", "there is no such run"))
          }
          return {
            schema_version: 1,
            generated_unix_ms: endMs,
            training,
            run_id: found.runId,
            bucket_ms,
            complete: found.complete,
            buckets: bucketsOf(found, window)
          }
        }))
      .handle("actions", ({ payload: { action, reason }, request }) =>
        Effect.gen(function*() {
          const actor = principalOf(NodeHttpServerRequest.toIncomingMessage(request))
          const { detail, status } = yield* operator.act({ action, principal: actor, reason })
          const now = yield* Effect.mapError(live.refresh, ({ message }) => problemOf("unavailable", message))
          const { control_mode, health_reason, health_state, rollout_gate } = now.health
          return {
            schema_version: 1,
            generated_unix_ms: now.generated_unix_ms,
            training: now.training,
            request_id: randomUUID(),
            action,
            actor,
            reason,
            status,
            detail,
            timestamp_unix_ms: yield* Clock.currentTimeMillis,
            control_mode,
            health_state,
            health_reason,
            rollout_gate
          }
        }))
      .handleRaw("stream", ({ headers, request }) =>
        Effect.gen(function*() {
          const now = yield* snapshot
          const last = headers["last-event-id"]
          const response = NodeHttpServerRequest.toServerResponse(request)
          const generated_unix_ms = yield* Clock.currentTimeMillis
          // Not before the snapshot: all who wait for the same one would find the same place free.
          if (live.stream.isFull) return yield* Effect.fail(problemOf("busy", "too many listeners are connected"))
          live.stream.add(response, [
            // The events in between are not kept: the snapshot that follows takes the place of all of them.
            ...(last === undefined ? [] : [{
              event: "dashboard.reset",
              data: { schema_version: 1, generated_unix_ms, training: now.training, last_event_id: last }
            }]),
            { event: "dashboard.snapshot", data: now }
          ])
          // The answer goes on until its listener leaves, which interrupts this.
          return yield* Effect.never
        }))
  }))

const nothing = { runId: null, waiting: [], attempts: [], endings: [], complete: true }

const timelineOf = (asked: string | null, window: Window) =>
  Effect.gen(function*() {
    const runs = yield* RunReader
    const { run: standing } = yield* (yield* RunStanding).now
    const id = asked ?? standing?.id ?? null
    if (id === null || (yield* runs.get(id))._tag === "None") return nothing
    return { runId: id, ...yield* (yield* ActivityReader).since(id, startOf(window)) }
  })
