import * as SqlClient from "@effect/sql/SqlClient"
import * as SqlSchema from "@effect/sql/SqlSchema"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import type * as Option from "effect/Option"
import * as Schema from "effect/Schema"
import { RunId } from "../domain/Ids.js"
import { RolloutMode, RolloutStatus } from "../domain/Rollout.js"
import { type Page, pageOf, type PageRequest, positionOf, type UnknownCursor } from "./Page.js"
import { orStoreError } from "./reading.js"
import { RunState } from "./RunStore.js"
import type { StoreError } from "./StoreError.js"

/** A run as it stands in the store. Times are Unix milliseconds. */
export class Run extends Schema.Class<Run>("Run")({
  id: RunId,
  /** Position among the runs of the store, from 1. */
  ordinal: Schema.Int,
  state: RunState,
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
  scoreSum: Schema.Number
}) {}

/** Runs for reading, without a writer. */
export class RunReader extends Context.Tag("tau/store/RunReader")<RunReader, {
  readonly get: (id: string) => Effect.Effect<Option.Option<Run>, StoreError>
  /** The run that was made last. */
  readonly latest: Effect.Effect<Option.Option<Run>, StoreError>
  /** Newest first, or oldest first. */
  readonly page: (
    request: PageRequest & { readonly state: RunState | null; readonly order: "newest" | "oldest" }
  ) => Effect.Effect<Page<Run>, StoreError | UnknownCursor>
  /** Results of a run, also while it is worked on: they are counted as its rollouts move. */
  readonly results: (id: RunId) => Effect.Effect<ReadonlyArray<RunResult>, StoreError>
  /** Results of every run that used a version of the resources. */
  readonly resultsOfVersion: (version: number) => Effect.Effect<ReadonlyArray<RunResult>, StoreError>
}>() {
  static readonly layer = Layer.effect(
    RunReader,
    Effect.gen(function*() {
      const sql = yield* SqlClient.SqlClient

      const get = SqlSchema.findOne({
        Request: Schema.String,
        Result: Run,
        execute: (id) => sql`SELECT * FROM runs WHERE id = ${id}`
      })
      const latest = SqlSchema.findOne({
        Request: Schema.Void,
        Result: Run,
        execute: () => sql`SELECT * FROM runs ORDER BY ordinal DESC LIMIT 1`
      })
      const page = SqlSchema.findAll({
        Request: Schema.Struct({
          position: Schema.Number,
          limit: Schema.Int,
          state: Schema.NullOr(RunState),
          order: Schema.Literal("newest", "oldest")
        }),
        Result: Run,
        execute: ({ limit, order, position, state }) =>
          sql`SELECT * FROM runs
              WHERE ${order === "newest" ? sql`ordinal < ${position}` : sql`ordinal > ${position}`}
                AND ${state === null ? sql`TRUE` : sql`state = ${state}`}
              ORDER BY ordinal ${order === "newest" ? sql`DESC` : sql`ASC`} LIMIT ${limit}`
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

      return RunReader.of({
        get: (id) => orStoreError("reading a run", get(id)),
        latest: orStoreError("reading the latest run", latest()),
        page: ({ after, limit, order, state }) =>
          positionOf(
            "run",
            after,
            { ordinal: order === "newest" ? Number.MAX_SAFE_INTEGER : 0 },
            (id) => orStoreError("reading runs", sql<{ ordinal: number }>`SELECT ordinal FROM runs WHERE id = ${id}`)
          ).pipe(
            Effect.flatMap(({ ordinal }) =>
              orStoreError("reading runs", page({ position: ordinal, limit: limit + 1, order, state }))
            ),
            Effect.map((rows) => pageOf(rows, limit, ({ id }) => id))
          ),
        results: (id) => orStoreError("reading a run's results", results(id)),
        resultsOfVersion: (version) => orStoreError("reading a version's results", resultsOfVersion(version))
      })
    })
  )
}
