/** The answers of `/dashboard/api`: pages of rows, one look at a bounded number of them per request. */
import * as HttpApiBuilder from "@effect/platform/HttpApiBuilder"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import * as Schema from "effect/Schema"
import { rolloutOfAttempt } from "../domain/AttemptName.js"
import { AttemptId, RolloutId, SpanId } from "../domain/Ids.js"
import type { UnknownCursor } from "../store/Page.js"
import { ResourceReader } from "../store/ResourceReader.js"
import { RolloutStore } from "../store/RolloutStore.js"
import { attemptJson, runJson, snake } from "../store/RowJson.js"
import { RunReader } from "../store/RunReader.js"
import { runTotals } from "../store/runTotals.js"
import { anySpan, SpanStore } from "../store/SpanStore.js"
import type { StoreError } from "../store/StoreError.js"
import { WorkerReader } from "../store/WorkerReader.js"
import { DashboardApi } from "./DashboardApi.js"
import { DashboardStore, type Readers } from "./DashboardStore.js"
import { openApiDocument } from "./OpenApiDocument.js"
import { problemOf } from "./Problem.js"

const limitUnlessTold = 20

export const storeHandlers = HttpApiBuilder.group(DashboardApi, "store", (handlers) =>
  Effect.gen(function*() {
    const { path, read } = yield* DashboardStore
    const head = { schema_version: 1, store_path: path }
    /** A cursor that is in no row is the asker's mistake; a store that cannot be read is not. */
    const ask = <A>(question: Effect.Effect<A, Missing | StoreError | UnknownCursor, Readers>) =>
      Effect.mapError(read(question), (error) => {
        switch (error._tag) {
          case "Missing":
          case "StoreAbsent":
            return problemOf("notFound", error.message)
          case "UnknownCursor":
            return problemOf("badRequest", error.message)
          case "StoreError":
            return problemOf("unavailable", error.message)
        }
      })
    const requestOf = (
      { after, limit }: { readonly after?: string | undefined; readonly limit?: number | undefined }
    ) => ({ after: after ?? null, limit: limit ?? limitUnlessTold })

    return handlers
      .handle("runs", ({ urlParams }) =>
        ask(Effect.gen(function*() {
          const runs = yield* RunReader
          const page = yield* runs.page({ ...requestOf(urlParams), stands: urlParams.state ?? null, order: "newest" })
          const items = yield* Effect.forEach(page.items, (run) =>
            Effect.map(
              runTotals(run),
              ({ totals }) => runJson(run, totals)
            ))
          return { ...head, runs: items, next: page.next }
        })))
      .handle("rollouts", ({ urlParams }) =>
        ask(Effect.gen(function*() {
          const runs = yield* RunReader
          const { max_score, min_score, mode, run: asked, status } = urlParams
          const run = yield* asked === undefined ? runs.latest : runs.get(asked)
          if (Option.isNone(run)) {
            if (asked !== undefined) return yield* new Missing({ noun: "run" })
            return { ...head, run_id: null, rollouts: [], next: null }
          }
          const filter = {
            runId: run.value.id,
            status: status ?? null,
            mode: mode ?? null,
            scoreMin: min_score ?? null,
            scoreMax: max_score ?? null
          }
          const page = yield* (yield* RolloutStore).list(filter, requestOf(urlParams))
          return { ...head, run_id: run.value.id, rollouts: page.items.map(snake), next: page.next }
        })))
      .handle("rollout", ({ path: { id } }) =>
        ask(Effect.gen(function*() {
          const rollouts = yield* RolloutStore
          const rollout = yield* rollouts.get(RolloutId.make(id))
          if (Option.isNone(rollout)) return yield* new Missing({ noun: "rollout" })
          const attempts = yield* Effect.forEach(
            yield* rollouts.attempts(rollout.value.id),
            (attempt) => Effect.map(rollouts.rewards(attempt.id), (rewards) => attemptJson(attempt, rewards))
          )
          return { ...head, rollout: snake(rollout.value), attempts }
        })))
      .handle("attemptSpans", ({ path: { id }, urlParams }) =>
        ask(Effect.gen(function*() {
          const spans = yield* SpanStore
          const { failed, state } = urlParams
          const filter = { ...anySpan, attemptId: AttemptId.make(id), state: state ?? null, failed: failed === "true" }
          const page = yield* spans.list(filter, { ...requestOf(urlParams), order: "oldest" })
          if (page.items.length === 0 && page.next === null) {
            const { items: [any] } = yield* spans.list({ ...anySpan, attemptId: id }, {
              after: null,
              limit: 1,
              order: "oldest"
            })
            if (any === undefined && !(yield* isAttempt(id))) {
              return yield* new Missing({ noun: "attempt" })
            }
          }
          return { ...head, spans: page.items.map(snake), next: page.next }
        })))
      .handle("span", ({ path: { id } }) =>
        ask(Effect.gen(function*() {
          const span = yield* (yield* SpanStore).get(SpanId.make(id))
          if (Option.isNone(span)) return yield* new Missing({ noun: "span" })
          return { ...head, span: snake(span.value) }
        })))
      .handle("resources", ({ urlParams: { after, limit } }) =>
        ask(Effect.gen(function*() {
          const request = requestOf({ after: after === undefined ? undefined : String(after), limit })
          const page = yield* (yield* ResourceReader).page(request)
          return { ...head, resources: page.items.map(snake), next: page.next }
        })))
      .handle("version", ({ path: { version } }) =>
        ask(Effect.gen(function*() {
          const { get, latest } = yield* ResourceReader
          const found = yield* version === "latest" ? latest : get(version)
          if (Option.isNone(found)) return yield* new Missing({ noun: "version" })
          return { ...head, resources: snake(found.value) }
        })))
      .handle("workers", ({ urlParams }) =>
        ask(Effect.gen(function*() {
          const { live, run } = urlParams
          if (run !== undefined && Option.isNone(yield* (yield* RunReader).get(run))) {
            return yield* new Missing({ noun: "run" })
          }
          const page = yield* (yield* WorkerReader).page({
            ...requestOf(urlParams),
            runId: run ?? null,
            isLive: live === "true"
          })
          return { ...head, workers: page.items.map(snake), next: page.next }
        })))
      .handle("openapi", () => Effect.sync(() => ({ ...openApiDocument() })))
  }))

/** Nothing in the store has the id that was asked for. */
class Missing extends Schema.TaggedError<Missing>()("Missing", { noun: Schema.String }) {
  override get message() {
    return `there is no such ${this.noun}`
  }
}

/** An attempt that has made no call yet is one all the same. */
const isAttempt = (id: string) =>
  Effect.gen(function*() {
    const rolloutId = rolloutOfAttempt(id)
    if (rolloutId === null) return false
    const attempts = yield* (yield* RolloutStore).attempts(RolloutId.make(rolloutId))
    return attempts.some((attempt) => attempt.id === id)
  })
