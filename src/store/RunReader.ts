import * as SqlClient from "@effect/sql/SqlClient"
import * as SqlSchema from "@effect/sql/SqlSchema"
import type * as Statement from "@effect/sql/Statement"
import * as Clock from "effect/Clock"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import type * as Option from "effect/Option"
import * as Schema from "effect/Schema"
import { RunId } from "../domain/Ids.js"
import { type RunStands, runStands, unfinishedStates } from "../domain/Lifecycle.js"
import { RolloutMode, RolloutStatus } from "../domain/Rollout.js"
import { outageOf } from "./brokenRollouts.js"
import { type Page, pageOf, type PageRequest, positionOf, type UnknownCursor } from "./Page.js"
import { orStoreError } from "./reading.js"
import { failuresOf, type RunFailure } from "./runFailures.js"
import { RunState } from "./RunStore.js"
import type { StoreError } from "./StoreError.js"
import { latestStart, standsAs, type Watched } from "./writer/standing.js"

/** A run as it stands in the store. Times are Unix milliseconds. */
export class Run extends Schema.Class<Run>("Run")({
  id: RunId,
  /** Position among the runs of the store, from 1. */
  ordinal: Schema.Int,
  /** What the store says: an unfinished run is `running` or `paused` there also when nothing works on it. */
  state: RunState,
  /** How it stands: `stopped` when it is unfinished and no process works on it, `crashed` when its process died over it. */
  stands: Schema.Literal(...runStands),
  desired: Schema.Literal("run", "pause", "cancel"),
  /** Why it stopped early; null when it did not. */
  stopReason: Schema.NullOr(Schema.String),
  configPath: Schema.String,
  modelRef: Schema.String,
  resourcesVersion: Schema.Int,
  calls: Schema.Int,
  inputTokens: Schema.Int,
  outputTokens: Schema.Int,
  createdAtMs: Schema.Int,
  endedAtMs: Schema.NullOr(Schema.Int)
}) {}

/** How many rollouts of a run, under one version and mode, have one status, and what they scored. */
export class RunResult extends Schema.Class<RunResult>("RunResult")({
  runId: RunId,
  resourcesVersion: Schema.Int,
  mode: RolloutMode,
  status: RolloutStatus,
  rollouts: Schema.Int,
  /** Rollouts that have a score. */
  scored: Schema.Int,
  scoreSum: Schema.Number,
  /** So many rollouts of the run failed for want of their model, agent or scorer, of this mode too, that they have no score. */
  isVoid: Schema.optionalWith(Schema.Boolean, { default: () => false })
}) {}

/** What a run's config says of how its rollouts came about, and of what they are worth. */
export interface RunRules {
  /** Null for a config from before there were several. */
  readonly algorithm: string | null
  /** JSON; null for the scoring that goes without saying. */
  readonly scoring: string | null
  /** JSON; null where it names no prices of its own. */
  readonly prices: string | null
}

/** Runs for reading, without a writer. */
export class RunReader extends Context.Tag("tau/store/RunReader")<RunReader, {
  readonly get: (id: string) => Effect.Effect<Option.Option<Run>, StoreError>
  readonly rules: (id: RunId) => Effect.Effect<RunRules, StoreError>
  /** The run that was made last. */
  readonly latest: Effect.Effect<Option.Option<Run>, StoreError>
  /** Newest first, or oldest first; all, or those that stand so. */
  readonly page: (
    request: PageRequest & { readonly stands: RunStands | null; readonly order: "newest" | "oldest" }
  ) => Effect.Effect<Page<Run>, StoreError | UnknownCursor>
  /** Results of a run, also while it is worked on: they are counted as its rollouts move. */
  readonly results: (id: RunId) => Effect.Effect<ReadonlyArray<RunResult>, StoreError>
  /** Results of every run that used a version of the resources. */
  readonly resultsOfVersion: (version: number) => Effect.Effect<ReadonlyArray<RunResult>, StoreError>
  /** What the failed rollouts of a run failed with, each error once. */
  readonly failures: (id: RunId, limit: number) => Effect.Effect<ReadonlyArray<RunFailure>, StoreError>
}>() {
  static readonly layer = Layer.effect(
    RunReader,
    Effect.gen(function*() {
      const sql = yield* SqlClient.SqlClient

      const runs = (rest: Statement.Fragment) =>
        Effect.zipWith(
          sql<Watched & object>`
            SELECT r.*, s.ended_at_ms AS stopped_at_ms, p.host, p.pid, p.pid_started, p.heartbeat_at_ms,
                   p.ended_at_ms AS process_ended_at_ms
            FROM runs r
            LEFT JOIN run_starts s ON s.run_id = r.id AND s.n = ${sql.literal(latestStart("r.id"))}
            LEFT JOIN processes p ON p.id = s.process_id ${rest}`,
          Clock.currentTimeMillis,
          (rows, nowMs) => rows.map((row) => ({ ...row, stands: standsAs(row, nowMs) }))
        )
      const get = SqlSchema.findOne({
        Request: Schema.String,
        Result: Run,
        execute: (id) => runs(sql`WHERE r.id = ${id}`)
      })
      const latest = SqlSchema.findOne({
        Request: Schema.Void,
        Result: Run,
        execute: () => runs(sql`ORDER BY r.ordinal DESC LIMIT 1`)
      })
      const page = SqlSchema.findAll({
        Request: Schema.Struct({
          position: Schema.Number,
          limit: Schema.Int,
          states: Schema.NullOr(Schema.Array(RunState)),
          order: Schema.Literal("newest", "oldest")
        }),
        Result: Run,
        execute: ({ limit, order, position, states }) =>
          runs(sql`
            WHERE ${order === "newest" ? sql`r.ordinal < ${position}` : sql`r.ordinal > ${position}`}
              AND ${states === null ? sql`TRUE` : sql.in("r.state", states)}
            ORDER BY r.ordinal ${order === "newest" ? sql`DESC` : sql`ASC`} LIMIT ${limit}`)
      })
      const results = SqlSchema.findAll({
        Request: RunId,
        Result: RunResult,
        execute: (id) => sql`SELECT * FROM run_results WHERE run_id = ${id} ORDER BY resources_version, mode, status`
      })
      const resultsOfVersion = SqlSchema.findAll({
        Request: Schema.Int,
        Result: RunResult,
        execute: (version) =>
          sql`SELECT * FROM run_results WHERE resources_version = ${version} ORDER BY run_id, mode, status`
      })
      /** The same, void where an outage made them so. */
      const voided = (results: ReadonlyArray<RunResult>) =>
        Effect.gen(function*() {
          const runIds = [...new Set(results.flatMap(({ runId, status }) => status === "failed" ? [runId] : []))]
          const outages = new Map(
            yield* Effect.forEach(runIds, (id) =>
              Effect.map(outageOf(sql, id), (broken) => [id, new Set(broken.map(({ mode }) => mode))] as const))
          )
          return results.map((result) =>
            outages.get(result.runId)?.has(result.mode) === true ? new RunResult({ ...result, isVoid: true }) : result
          )
        })

      return RunReader.of({
        get: (id) => orStoreError("reading a run", get(id)),
        rules: (id) =>
          orStoreError(
            "reading a run's config",
            Effect.map(
              sql<RunRules>`SELECT json_extract(config, '$.optimizer.algorithm') AS algorithm,
                json_extract(config, '$.scoring') AS scoring,
                json_extract(config, '$.optimizer.prices') AS prices FROM runs WHERE id = ${id}`,
              ([rules]) => rules ?? { algorithm: null, scoring: null, prices: null }
            )
          ),
        latest: orStoreError("reading the latest run", latest()),
        page: ({ after, limit, order, stands }) =>
          positionOf(
            "run",
            after,
            { ordinal: order === "newest" ? Number.MAX_SAFE_INTEGER : 0 },
            (id) => orStoreError("reading runs", sql<{ ordinal: number }>`SELECT ordinal FROM runs WHERE id = ${id}`)
          ).pipe(
            Effect.flatMap(({ ordinal }) =>
              orStoreError(
                "reading runs",
                page({ position: ordinal, limit: limit + 1, order, states: statesOf(stands) })
              )
            ),
            Effect.map((rows) => pageOf(rows, limit, ({ id }) => id)),
            // How an unfinished run stands no row says: a page may have fewer than it could.
            Effect.map(({ items, next }) => ({
              items: items.filter((run) => stands === null || run.stands === stands),
              next
            }))
          ),
        failures: (id, limit) => orStoreError("reading a run's failures", failuresOf(sql)({ runId: id, limit })),
        results: (id) => orStoreError("reading a run's results", Effect.flatMap(results(id), voided)),
        resultsOfVersion: (version) =>
          orStoreError("reading a version's results", Effect.flatMap(resultsOfVersion(version), voided))
      })
    })
  )
}

/** The states in the store of runs that may stand so; null for all. */
const statesOf = (stands: RunStands | null): ReadonlyArray<RunState> | null => {
  if (stands === null) return null
  if (stands === "completed" || stands === "failed") return [stands]
  // A run whose process died while it was being cancelled is unfinished in the store.
  return stands === "cancelled" ? [stands, ...unfinishedStates] : unfinishedStates
}
