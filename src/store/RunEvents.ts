import * as SqlClient from "@effect/sql/SqlClient"
import * as SqlSchema from "@effect/sql/SqlSchema"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Schema from "effect/Schema"
import { RunId } from "../domain/Ids.js"
import { type Numbered, numbered } from "./numbered.js"
import { orStoreError } from "./reading.js"
import { RunState } from "./RunStore.js"
import type { StoreError } from "./StoreError.js"
import { latestStart } from "./writer/standing.js"

/** Something that happened to a run, written by the store in the transaction that made it so. */
export class RunEvent extends Schema.Class<RunEvent>("RunEvent")({
  n: Schema.Int,
  atMs: Schema.Int,
  runId: RunId,
  /** Which start of the run; null for the event that queued it. */
  start: Schema.NullOr(Schema.Int),
  reasonCode: Schema.String
}) {}

/** A run and its last start, as an operator needs it. */
export class RunManifest extends Schema.Class<RunManifest>("RunManifest")({
  runId: RunId,
  state: RunState,
  desired: Schema.String,
  stopReason: Schema.NullOr(Schema.String),
  configPath: Schema.String,
  configHash: Schema.String,
  modelRef: Schema.String,
  resourcesVersion: Schema.Int,
  createdAtMs: Schema.Int,
  runEndedAtMs: Schema.NullOr(Schema.Int),
  /** When its last start was closed; null while a process works on it, and after one died over it. */
  stoppedAtMs: Schema.NullOr(Schema.Int),
  start: Schema.Int,
  host: Schema.String,
  pid: Schema.Int,
  startedAtMs: Schema.Int,
  finishedBefore: Schema.Int,
  requeued: Schema.Int,
  unknownCalls: Schema.Int,
  command: Schema.NullOr(Schema.String)
}) {}

/** The store's health, counted over all its runs. */
export interface StoreHealth {
  /** How often each reason code occurred. */
  readonly events: Readonly<Record<string, number>>
  readonly rollouts: Readonly<Record<string, number>>
  /** Rollouts of unfinished runs that wait for a worker. */
  readonly queueDepth: number
  /** Runs that are not finished and were not stopped: their process works on them, or died. */
  readonly runningRuns: ReadonlyArray<string>
  /** What an operator should look at, in words. */
  readonly diagnostics: ReadonlyArray<string>
}

/** What happened to the runs of a store, for reading. The store's triggers write it. */
export class RunEvents extends Context.Tag("tau/store/RunEvents")<
  RunEvents,
  Numbered<RunEvent> & {
    /** The unfinished runs, and those that something happened to after event `n`. */
    readonly manifestsAfter: (n: number) => Effect.Effect<ReadonlyArray<RunManifest>, StoreError>
    readonly health: Effect.Effect<StoreHealth, StoreError>
  }
>() {
  static readonly layer = Layer.effect(
    RunEvents,
    Effect.gen(function*() {
      const sql = yield* SqlClient.SqlClient
      const manifestsAfter = SqlSchema.findAll({
        Request: Schema.Int,
        Result: RunManifest,
        execute: (n) =>
          sql`SELECT r.id AS run_id, r.state, r.desired, r.stop_reason, r.config_path, r.config_hash, r.model_ref,
                     r.resources_version, r.created_at_ms, r.ended_at_ms AS run_ended_at_ms, s.n AS start, p.host, p.pid,
                     s.started_at_ms, s.ended_at_ms AS stopped_at_ms, s.finished_before, s.requeued, s.unknown_calls, s.command
              FROM runs r
              JOIN run_starts s ON s.run_id = r.id AND s.n = ${sql.literal(latestStart("r.id"))}
              JOIN processes p ON p.id = s.process_id
              WHERE r.state IN ('running', 'paused') OR r.id IN (SELECT run_id FROM run_events WHERE n > ${n})
              ORDER BY r.ordinal`
      })
      const counted = (rows: ReadonlyArray<{ readonly name: string; readonly count: number }>) =>
        Object.fromEntries(rows.map(({ count, name }) => [name, count]))

      return RunEvents.of({
        ...numbered(sql, { table: "run_events", row: RunEvent, operation: "reading events" }),
        manifestsAfter: (n) => orStoreError("reading the runs", manifestsAfter(n)),
        health: orStoreError(
          "reading the store's health",
          Effect.gen(function*() {
            const events = yield* sql<
              Count
            >`SELECT reason_code AS name, count(*) AS count FROM run_events GROUP BY reason_code ORDER BY name`
            const rollouts = yield* sql<
              Count
            >`SELECT status AS name, sum(rollouts) AS count FROM run_results
              WHERE run_id IN (SELECT id FROM runs WHERE state IN ('running', 'paused')) GROUP BY status ORDER BY name`
            const running = yield* sql<
              { id: string }
            >`SELECT r.id FROM runs r WHERE r.state = 'running' AND EXISTS
                (SELECT 1 FROM run_starts s WHERE s.run_id = r.id AND s.ended_at_ms IS NULL
                 AND s.n = ${sql.literal(latestStart("r.id"))}) ORDER BY r.ordinal`
            const troubled = yield* sql<
              Troubled
            >`SELECT r.id, r.stop_reason,
                (SELECT coalesce(sum(c.failed), 0) FROM run_counts c WHERE c.run_id = r.id) AS failed,
                r.desired
              FROM runs r WHERE r.state IN ('running', 'paused') ORDER BY r.ordinal`
            const counts = counted(rollouts)
            return {
              events: counted(events),
              rollouts: counts,
              queueDepth: (counts["queuing"] ?? 0) + (counts["requeuing"] ?? 0),
              runningRuns: running.map(({ id }) => id),
              diagnostics: troubled.flatMap(({ desired, failed, id, stopReason }) => [
                ...(stopReason === null ? [] : [`${id} stopped before its end: ${stopReason}`]),
                ...(desired === "run" ? [] : [`${id} is told to ${desired}`]),
                ...(failed === 0 ? [] : [`${id} has ${failed} failed rollouts`])
              ])
            }
          })
        )
      })
    })
  )
}

interface Troubled {
  readonly id: string
  readonly desired: string
  readonly stopReason: string | null
  readonly failed: number
}

interface Count {
  readonly name: string
  readonly count: number
}
