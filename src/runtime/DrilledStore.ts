/** What a drill asks the store of the process that it kills, from outside. */
import * as SqlClient from "@effect/sql/SqlClient"
import * as Effect from "effect/Effect"
import * as Either from "effect/Either"
import * as Layer from "effect/Layer"
import { existsSync } from "node:fs"
import { counted } from "../domain/Figures.js"
import { AuditTrail } from "../store/AuditTrail.js"
import { orStoreError } from "../store/reading.js"
import * as Sqlite from "../store/Sqlite.js"
import type { DrilledProcess } from "./DrilledProcess.js"

const lookEvery = "20 millis"

export interface Totals {
  readonly runs: number
  readonly starts: number
  readonly rollouts: number
  readonly succeeded: number
  readonly failed: number
  readonly attempts: number
  readonly calls: number
  readonly callsUnknown: number
  readonly callsReplayed: number
  readonly tokensSaved: number
}

/** A connection of its own per look: none may hold the log of a killed process open. */
export const readerOf = (storePath: string) => AuditTrail.layer.pipe(Layer.provideMerge(Sqlite.readOnly(storePath)))

const one = <Row extends object>(question: string, ...values: ReadonlyArray<unknown>) =>
  orStoreError(
    "reading the drilled store",
    Effect.flatMap(SqlClient.SqlClient, (sql) => Effect.map(sql.unsafe<Row>(question, values), (rows) => rows[0]))
  )

const succeededNow = Effect.map(
  one<{ n: number }>("SELECT count(*) AS n FROM rollouts WHERE status = 'succeeded'"),
  (row) => row?.n ?? 0
)

/** Waits for so many more rollouts to succeed, while the process lives. */
export const moreSucceeded = (storePath: string, process: DrilledProcess, more: number) =>
  Effect.gen(function*() {
    const first = yield* succeededNow
    while (!process.hasEnded() && (yield* succeededNow) < first + more) yield* Effect.sleep(lookEvery)
  }).pipe(Effect.provide(readerOf(storePath)))

const callsNow = Effect.map(
  one<{ n: number }>("SELECT count(*) AS n FROM spans WHERE state = 'open'"),
  (row) => row?.n ?? 0
)

/** Waits for a call to be under way, while the process lives. */
export const callUnderWay = (storePath: string, process: DrilledProcess) =>
  Effect.gen(function*() {
    while (!process.hasEnded() && (yield* callsNow) === 0) yield* Effect.sleep(lookEvery)
  }).pipe(Effect.provide(readerOf(storePath)))

/** What the last start put back. */
export const lastStart = Effect.map(
  one<{ requeued: number; unknownCalls: number }>(
    "SELECT requeued, unknown_calls FROM run_starts ORDER BY started_at_ms DESC, n DESC LIMIT 1"
  ),
  (row) => row ?? { requeued: 0, unknownCalls: 0 }
)

interface Stand {
  readonly runId: string
  readonly active: number
  readonly left: number
  readonly calls: number
}

/** Where the process of this pid stood when it died, in words. */
export const phaseOf = (storePath: string, pid: number) =>
  Effect.gen(function*() {
    if (!existsSync(storePath)) return { phase: "starting: no store yet", runId: null }
    const stand = yield* Effect.either(Effect.provide(
      one<Stand>(
        `SELECT s.run_id, (SELECT count(*) FROM spans WHERE process_id = p.id AND state = 'open') AS calls,
           (SELECT count(*) FROM rollouts WHERE run_id = s.run_id AND status IN ('preparing', 'running')) AS active,
           (SELECT count(*) FROM rollouts WHERE run_id = s.run_id AND status NOT IN ('succeeded', 'failed', 'cancelled')) AS left
         FROM processes p JOIN run_starts s ON s.process_id = p.id
         WHERE p.pid = ? ORDER BY s.started_at_ms DESC LIMIT 1`,
        pid
      ),
      readerOf(storePath)
    ))
    // Killed before the tables were made.
    if (Either.isLeft(stand) || stand.right === undefined) return { phase: "starting", runId: null }
    const { active, calls, left, runId } = stand.right
    if (left === 0) return { phase: "ending", runId }
    return { phase: `working: ${counted(active, "rollout")}, ${counted(calls, "call")} under way`, runId }
  })

export const readTotals = Effect.map(
  one<Totals>(
    `SELECT (SELECT count(*) FROM runs) AS runs, (SELECT count(*) FROM run_starts) AS starts, count(*) AS rollouts,
       coalesce(sum(status = 'succeeded'), 0) AS succeeded, coalesce(sum(status = 'failed'), 0) AS failed,
       (SELECT count(*) FROM attempts) AS attempts, (SELECT count(*) FROM spans) AS calls,
       (SELECT count(*) FROM spans WHERE state = 'unknown_after_crash') AS calls_unknown,
       (SELECT count(*) FROM spans WHERE attributes ->> '$."tau.replayed"') AS calls_replayed,
       (SELECT coalesce(sum(coalesce(input_tokens, 0) + coalesce(output_tokens, 0)), 0) FROM spans
         WHERE attributes ->> '$."tau.replayed"') AS tokens_saved
     FROM rollouts`
  ),
  (row) => row!
)
