import * as SqlClient from "@effect/sql/SqlClient"
import * as SqlSchema from "@effect/sql/SqlSchema"
import * as Clock from "effect/Clock"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Schema from "effect/Schema"
import { RolloutId, RunId, WorkerId } from "../domain/Ids.js"
import { type Page, pageOf, type PageRequest, positionOf, type UnknownCursor } from "./Page.js"
import { orStoreError } from "./reading.js"
import type { StoreError } from "./StoreError.js"
import { isPresent } from "./writer/processes.js"

/** One runner of one process. Times are Unix milliseconds. */
export interface Worker {
  readonly id: WorkerId
  readonly runId: RunId
  /** `lost`: its process died without taking leave, and what it worked on, if anything, has not been put back. */
  readonly state: "live" | "ended" | "lost"
  readonly startedAtMs: number
  readonly heartbeatAtMs: number
  readonly endedAtMs: number | null
  /** What it works on now. */
  readonly rolloutId: RolloutId | null
}

/** Workers for reading. */
export class WorkerReader extends Context.Tag("tau/store/WorkerReader")<WorkerReader, {
  /** Newest first. */
  readonly page: (
    request: PageRequest & { readonly runId: string | null; readonly isLive: boolean }
  ) => Effect.Effect<Page<Worker>, StoreError | UnknownCursor>
}>() {
  static readonly layer = Layer.effect(
    WorkerReader,
    Effect.gen(function*() {
      const sql = yield* SqlClient.SqlClient
      const page = SqlSchema.findAll({
        Request: Schema.Struct({
          before: Schema.Number,
          limit: Schema.Int,
          runId: Schema.NullOr(Schema.String),
          isLive: Schema.Boolean
        }),
        Result: Row,
        execute: ({ before, isLive, limit, runId }) =>
          sql`SELECT w.id, w.run_id, w.started_at_ms, w.heartbeat_at_ms, w.ended_at_ms, p.host, p.pid, p.pid_started,
                     p.heartbeat_at_ms AS process_heartbeat_at_ms, p.ended_at_ms AS process_ended_at_ms,
                     (SELECT a.rollout_id FROM attempts a
                      WHERE a.status IN ('preparing', 'running') AND a.worker_id = w.id LIMIT 1) AS rollout_id
              FROM workers w JOIN processes p ON p.id = w.process_id
              WHERE w.rowid < ${before} AND ${runId === null ? sql`TRUE` : sql`w.run_id = ${runId}`}
                AND ${isLive ? sql`w.ended_at_ms IS NULL AND p.ended_at_ms IS NULL` : sql`TRUE`}
              ORDER BY w.rowid DESC LIMIT ${limit}`
      })
      return WorkerReader.of({
        page: ({ after, isLive, limit, runId }) =>
          Effect.gen(function*() {
            const nowMs = yield* Clock.currentTimeMillis
            const { place } = yield* positionOf("worker", after, { place: Number.MAX_SAFE_INTEGER }, (id) =>
              orStoreError(
                "reading workers",
                sql<{ place: number }>`SELECT rowid AS place FROM workers WHERE id = ${id}`
              ))
            const rows = yield* orStoreError(
              "reading workers",
              page({ before: place, limit: limit + 1, runId, isLive })
            )
            const { items, next } = pageOf(
              rows.map((row) => toWorker(row, nowMs)),
              limit,
              ({ id }) => id
            )
            return { items: isLive ? items.filter(({ state }) => state === "live") : items, next }
          })
      })
    })
  )
}

const Row = Schema.Struct({
  id: WorkerId,
  runId: RunId,
  startedAtMs: Schema.Int,
  heartbeatAtMs: Schema.Int,
  endedAtMs: Schema.NullOr(Schema.Int),
  host: Schema.String,
  pid: Schema.Int,
  pidStarted: Schema.NullOr(Schema.String),
  processHeartbeatAtMs: Schema.Int,
  processEndedAtMs: Schema.NullOr(Schema.Int),
  rolloutId: Schema.NullOr(RolloutId)
})

const toWorker = (row: typeof Row.Type, nowMs: number): Worker => {
  const { endedAtMs, heartbeatAtMs, id, processEndedAtMs, rolloutId, runId, startedAtMs } = row
  const isThere = processEndedAtMs === null &&
    isPresent({ ...row, heartbeatAtMs: row.processHeartbeatAtMs }, nowMs)
  // Whoever finds a dead process ends its workers; an end of its own leaves nothing that is worked on.
  const state = endedAtMs !== null && rolloutId === null ? "ended" : isThere ? "live" : "lost"
  return { id, runId, state, startedAtMs, heartbeatAtMs, endedAtMs, rolloutId }
}
