import * as SqlClient from "@effect/sql/SqlClient"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import type { AttemptId, RunId } from "../domain/Ids.js"
import { type Broken, outageOf } from "./brokenRollouts.js"
import { orStoreError } from "./reading.js"
import { type Usage, usageOfRun } from "./spanUsage.js"
import type { StoreError } from "./StoreError.js"
import { unheard } from "./writer/broken.js"
import { handedBack } from "./writer/rollouts.js"
import { allCounted } from "./writer/runCounts.js"
import { latestStart } from "./writer/standing.js"

/** What is there of a run's work, whoever did it. */
export interface Findings {
  readonly total: number
  /** Rollouts that need no more work. */
  readonly finished: number
  /** Unfinished rollouts that were tried before: they are taken up again. */
  readonly resumed: number
  /** Of these, the ones that a worker holds. Of a process that died, they are to be put back. */
  readonly held: number
  /** Calls that were answered from the record of an earlier attempt, and the tokens that this saved. */
  readonly callsReplayed: number
  readonly tokensSaved: number
  /** Every version that rollouts of the run were enqueued with. */
  readonly resourcesVersions: ReadonlyArray<number>
  /** The last start but one was never closed: its process died. */
  readonly previousStartCrashed: boolean
}

/** A rule is named by its position in the config. */
export interface RewriteCount {
  readonly rule: number
  readonly matched: number
  readonly missed: number
}

/** What became of some attempts: how many came to an end of their own, and how many were handed back. */
export interface Fates {
  readonly finished: number
  readonly handedBack: number
}

/** What a start of a run, or an operator, finds of it. */
export class RunFindings extends Context.Tag("tau/store/RunFindings")<RunFindings, {
  readonly of: (runId: RunId) => Effect.Effect<Findings, StoreError>
  /** Rollouts that were tried before this start of the run, and tried again since. */
  readonly takenUpAgain: (runId: RunId, start: number) => Effect.Effect<number, StoreError>
  /** By mode and cause, what failed for want of its model, agent or scorer of a run that has no result for it; else nothing. */
  readonly outage: (runId: RunId) => Effect.Effect<ReadonlyArray<Broken>, StoreError>
  /**
   * What came of the last model call of an attempt whose model calls all failed for want of their provider; null where one was
   * answered, and where none was made.
   */
  readonly unheard: (attemptId: AttemptId) => Effect.Effect<string | null, StoreError>
  /** Whether any model call of an attempt was answered. */
  readonly isHeard: (attemptId: AttemptId) => Effect.Effect<boolean, StoreError>
  readonly fatesOf: (attempts: ReadonlyArray<AttemptId>) => Effect.Effect<Fates, StoreError>
  /** In how many calls each rule of the run's `rewrite` found its text, and in how many not. In no order. */
  readonly rewrites: (runId: RunId) => Effect.Effect<ReadonlyArray<RewriteCount>, StoreError>
  /** What all its calls used, by model. */
  readonly usage: (runId: RunId) => Effect.Effect<ReadonlyArray<Usage>, StoreError>
}>() {
  static readonly layer = Layer.effect(
    RunFindings,
    Effect.map(SqlClient.SqlClient, (sql) =>
      RunFindings.of({
        takenUpAgain: (runId, start) =>
          orStoreError(
            "reading what was taken up again",
            sql<{ n: number }>`SELECT count(*) AS n FROM rollouts r, run_starts s
              WHERE s.run_id = ${runId} AND s.n = ${start} AND r.run_id = ${runId} AND r.attempts > 1
                AND EXISTS (SELECT 1 FROM attempts a WHERE a.rollout_id = r.id AND a.started_at_ms < s.started_at_ms)
                AND EXISTS (SELECT 1 FROM attempts a WHERE a.rollout_id = r.id AND a.started_at_ms >= s.started_at_ms)`
          ).pipe(Effect.map(([row]) => row!.n)),
        outage: (runId) => orStoreError("reading what broke rollouts", outageOf(sql, runId)),
        unheard: (attemptId) =>
          orStoreError(
            "reading how an attempt's calls ended",
            sql.unsafe<{ cause: string }>(unheard, [attemptId])
          ).pipe(Effect.map(([call]) => call?.cause ?? null)),
        isHeard: (attemptId) =>
          orStoreError(
            "reading whether an attempt's calls were answered",
            sql`SELECT 1 FROM spans WHERE attempt_id = ${attemptId} AND kind = 'llm' AND status_code < 400 LIMIT 1`
          ).pipe(Effect.map((calls) => calls.length > 0)),
        fatesOf: (attempts) =>
          orStoreError(
            "reading what became of attempts",
            sql<Fates>`SELECT
                coalesce(sum(status IN ('succeeded', 'failed', 'timeout') AND error IS NOT ${handedBack}), 0) AS finished,
                coalesce(sum(error = ${handedBack}), 0) AS handed_back
              FROM attempts WHERE ${sql.in("id", attempts)}`
          ).pipe(Effect.map(([row]) => row!)),
        rewrites: (runId) =>
          orStoreError(
            "reading what was rewritten",
            sql<RewriteCount>`SELECT rule, sum(is_matched) AS matched, sum(NOT is_matched) AS missed FROM (
                SELECT found.value AS rule, 1 AS is_matched
                FROM rollouts r JOIN attempts a ON a.rollout_id = r.id JOIN spans s ON s.attempt_id = a.id
                JOIN json_each(s.attributes, '$."tau.rewrite.matched"') found WHERE r.run_id = ${runId}
                UNION ALL
                SELECT found.value, 0 AS is_matched
                FROM rollouts r JOIN attempts a ON a.rollout_id = r.id JOIN spans s ON s.attempt_id = a.id
                JOIN json_each(s.attributes, '$."tau.rewrite.missed"') found WHERE r.run_id = ${runId}
              ) GROUP BY rule`
          ),
        usage: (runId) => orStoreError("reading what the run's calls used", usageOfRun(sql, runId)),
        of: (runId) =>
          orStoreError(
            "reading what is there of the run",
            Effect.gen(function*() {
              const [work] = yield* sql<Work>`SELECT
                  coalesce(sum(${sql.literal(allCounted)}), 0) AS total,
                  coalesce(sum(succeeded + failed + cancelled), 0) AS finished,
                  coalesce(sum(requeuing + preparing + running), 0) AS resumed,
                  coalesce(sum(preparing + running), 0) AS held
                FROM run_counts WHERE run_id = ${runId}`
              // Only an attempt after the first has anything to replay.
              const [replayed] = yield* sql<Replayed>`SELECT count(*) AS calls_replayed,
                  coalesce(sum(coalesce(s.input_tokens, 0) + coalesce(s.output_tokens, 0)), 0) AS tokens_saved
                FROM rollouts r JOIN attempts a ON a.rollout_id = r.id AND a.n > 1 JOIN spans s ON s.attempt_id = a.id
                WHERE r.run_id = ${runId} AND s.attributes ->> '$."tau.replayed"'`
              const versions = yield* sql<
                { resourcesVersion: number }
              >`SELECT DISTINCT resources_version FROM run_counts WHERE run_id = ${runId} ORDER BY 1`
              const [crash] = yield* sql<{ crashed: number }>`SELECT EXISTS (SELECT 1 FROM run_starts s
                  WHERE s.run_id = ${runId} AND s.ended_at_ms IS NULL
                  AND s.n = ${sql.literal(latestStart("s.run_id"))} - 1) AS crashed`
              return {
                ...work!,
                ...replayed!,
                resourcesVersions: versions.map(({ resourcesVersion }) => resourcesVersion),
                previousStartCrashed: crash?.crashed === 1
              }
            })
          )
      }))
  )
}

type Work = Pick<Findings, "total" | "finished" | "resumed" | "held">
type Replayed = Pick<Findings, "callsReplayed" | "tokensSaved">
