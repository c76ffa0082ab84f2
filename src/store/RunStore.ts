import * as SqlClient from "@effect/sql/SqlClient"
import * as SqlSchema from "@effect/sql/SqlSchema"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Schema from "effect/Schema"
import { RunId } from "../domain/Ids.js"
import { runStates } from "../domain/Lifecycle.js"
import type { ResourceValues } from "../domain/Resources.js"
import { type Example, RolloutMode } from "../domain/Rollout.js"
import { canonicalJson } from "./canonicalJson.js"
import { orStoreError } from "./reading.js"
import { failuresOf, type RunFailure } from "./runFailures.js"
import { StoreProcess } from "./Sqlite.js"
import type { StoreError } from "./StoreError.js"
import { Writer } from "./Writer.js"
import { allCounted } from "./writer/runCounts.js"
import type { BegunRun as WrittenRun } from "./writer/runs.js"

/** What the store says of a run; `running` and `paused` are taken up again by the same command. */
export const RunState = Schema.Literal(...runStates)
export type RunState = typeof RunState.Type

/** A run that this process works on now, and what it found when it took it up. */
export interface BegunRun extends Omit<WrittenRun, "runId"> {
  readonly runId: RunId
}

/** Where a run stands, counted. */
export class RunProgress extends Schema.Class<RunProgress>("RunProgress")({
  state: RunState,
  desired: Schema.Literal("run", "pause", "cancel"),
  total: Schema.Int,
  succeeded: Schema.Int,
  failed: Schema.Int,
  cancelled: Schema.Int,
  /** Rollouts that workers hold now. */
  active: Schema.Int,
  /** Mean score so far, in which failed rollouts count as 0, an outage or not; null when nothing failed or has a score, or no scorer applies. */
  meanScore: Schema.NullOr(Schema.Number),
  calls: Schema.Int,
  inputTokens: Schema.Int,
  outputTokens: Schema.Int
}) {
  get finished() {
    return this.succeeded + this.failed + this.cancelled
  }
}

/** Scores of one mode of a run. Failed rollouts are counted and earn nothing: they are part of the truth. */
export class ModeScore extends Schema.Class<ModeScore>("ModeScore")({
  mode: RolloutMode,
  rollouts: Schema.Int,
  succeeded: Schema.Int,
  failed: Schema.Int,
  scored: Schema.Int,
  /** Sum of scores; divide by `scored + failed` for a mean in which failures count as 0. */
  scoreSum: Schema.Number,
  scoreSquareSum: Schema.Number,
  /** How many scores are neither 0 nor 1. */
  partial: Schema.Int
}) {}

/** Scores of one mode of a run that asked its examples several times: each example counts once, with its mean. */
export class ExampleScores extends Schema.Class<ExampleScores>("ExampleScores")({
  mode: RolloutMode,
  examples: Schema.Int,
  scoreSum: Schema.Number,
  scoreSquareSum: Schema.Number,
  partial: Schema.Int
}) {}

/** One configured scorer over a mode of a run. */
export class RewardMean extends Schema.Class<RewardMean>("RewardMean")({
  mode: RolloutMode,
  name: Schema.String,
  count: Schema.Int,
  mean: Schema.Number
}) {}

/** Runs: one per config and store at a time, resumed until finished. */
export class RunStore extends Context.Tag("tau/store/RunStore")<RunStore, {
  /**
   * Resumes the newest unfinished run of the same config hash, or makes a new one with all its rollouts, in one
   * transaction. The caller holds the run lock.
   */
  readonly begin: (options: {
    readonly configHash: string
    readonly config: unknown
    readonly configPath: string
    readonly modelRef: string
    readonly resources: ResourceValues | null
    readonly rollouts: ReadonlyArray<{ readonly mode: RolloutMode; readonly input: Example }>
    readonly attemptsMax: number
    /** What a person types to start it again, or null. */
    readonly command?: string | null
  }) => Effect.Effect<BegunRun, StoreError>

  /** Closes this start of the run. A `stopReason` says why it ended early; such a run is resumed by the same command. */
  readonly end: (runId: RunId, state: RunState, stopReason: string | null) => Effect.Effect<void, StoreError>

  /** What the run is wanted to do and whether any rollout is left: two look-ups in an index, whatever the run's size. */
  readonly outlook: (
    runId: RunId
  ) => Effect.Effect<{ readonly desired: RunProgress["desired"]; readonly isFinished: boolean }, StoreError>

  /** Rollouts are counted as they move: the run's size costs nothing. */
  readonly progress: (runId: RunId) => Effect.Effect<RunProgress, StoreError>

  readonly scores: (runId: RunId) => Effect.Effect<ReadonlyArray<ModeScore>, StoreError>

  /** The same with every example once: failed rollouts count as 0 in its mean. */
  readonly scoresByExample: (runId: RunId) => Effect.Effect<ReadonlyArray<ExampleScores>, StoreError>

  readonly rewards: (runId: RunId) => Effect.Effect<ReadonlyArray<RewardMean>, StoreError>

  /** What the failed rollouts of a run failed with, each error once. */
  readonly failures: (runId: RunId, limit: number) => Effect.Effect<ReadonlyArray<RunFailure>, StoreError>
}>() {
  static readonly layer = Layer.effect(
    RunStore,
    Effect.gen(function*() {
      const sql = yield* SqlClient.SqlClient
      const writer = yield* Writer
      const { id: processId } = yield* StoreProcess

      const outlook = SqlSchema.single({
        Request: RunId,
        Result: Schema.Struct({ desired: RunProgress.fields.desired, left: Schema.Int }),
        execute: (id) =>
          sql`SELECT desired,
                     EXISTS (SELECT 1 FROM rollouts WHERE run_id = ${id} AND status IN ('queuing', 'requeuing'))
                     OR EXISTS (SELECT 1 FROM rollouts WHERE run_id = ${id} AND status IN ('preparing', 'running')) AS "left"
              FROM runs WHERE id = ${id}`
      })

      const progress = SqlSchema.single({
        Request: RunId,
        Result: RunProgress,
        execute: (id) =>
          sql`SELECT runs.state, runs.desired, runs.calls, runs.input_tokens, runs.output_tokens,
                     coalesce(sum(${sql.literal(allCounted)}), 0) AS total,
                     coalesce(sum(succeeded), 0) AS succeeded,
                     coalesce(sum(failed), 0) AS failed,
                     coalesce(sum(cancelled), 0) AS cancelled,
                     coalesce(sum(preparing + running), 0) AS active,
                     CASE WHEN sum(scored) > 0 OR sum(succeeded) = 0
                       THEN sum(score_sum) / nullif(sum(scored + failed), 0) END AS mean_score
              FROM runs LEFT JOIN run_counts c ON c.run_id = runs.id WHERE runs.id = ${id} GROUP BY runs.id`
      })

      const scores = SqlSchema.findAll({
        Request: RunId,
        Result: ModeScore,
        execute: (id) =>
          sql`SELECT mode, sum(${sql.literal(allCounted)}) AS rollouts,
                     sum(succeeded) AS succeeded, sum(failed) AS failed, sum(scored) AS scored,
                     sum(score_sum) AS score_sum, sum(score_square_sum) AS score_square_sum, sum(partial) AS partial
              FROM run_counts WHERE run_id = ${id} GROUP BY mode ORDER BY mode`
      })

      const scoresByExample = SqlSchema.findAll({
        Request: RunId,
        Result: ExampleScores,
        execute: (id) =>
          sql`SELECT mode, count(*) AS examples, sum(mean) AS score_sum, sum(mean * mean) AS score_square_sum,
                     sum(mean NOT IN (0, 1)) AS partial
              FROM (SELECT mode, avg(coalesce(score, 0.0)) AS mean FROM rollouts
                    WHERE run_id = ${id} AND (score IS NOT NULL OR status = 'failed') GROUP BY mode, input_sha256)
              GROUP BY mode`
      })

      const rewards = SqlSchema.findAll({
        Request: RunId,
        Result: RewardMean,
        execute: (id) =>
          sql`SELECT r.mode, w.name, count(*) AS count, avg(w.value) AS mean
              FROM rollouts r JOIN rewards w ON w.rollout_id = r.id
              WHERE r.run_id = ${id} AND r.status = 'succeeded' GROUP BY r.mode, w.name ORDER BY r.mode, w.name`
      })

      return RunStore.of({
        begin: ({ command = null, config, resources, rollouts, ...options }) =>
          Effect.map(
            writer.run("beginRun", {
              ...options,
              command,
              processId,
              config: canonicalJson(config),
              resources: resources === null ? null : canonicalJson(resources),
              rollouts: rollouts.map(({ input, mode }) => ({ mode, input: JSON.stringify(input) }))
            }),
            (run) => ({ ...run, runId: RunId.make(run.runId) })
          ),
        end: (runId, state, stopReason) => Effect.asVoid(writer.run("endRun", { runId, processId, state, stopReason })),
        outlook: (runId) =>
          orStoreError("reading the run's outlook", outlook(runId)).pipe(
            Effect.map(({ desired, left }) => ({ desired, isFinished: left === 0 }))
          ),
        progress: (runId) => orStoreError("reading the run's progress", progress(runId)),
        scores: (runId) => orStoreError("reading the run's scores", scores(runId)),
        scoresByExample: (runId) => orStoreError("reading the scores of the run's examples", scoresByExample(runId)),
        rewards: (runId) => orStoreError("reading the run's rewards", rewards(runId)),
        failures: (runId, limit) => orStoreError("reading the run's failures", failuresOf(sql)({ runId, limit }))
      })
    })
  )
}
