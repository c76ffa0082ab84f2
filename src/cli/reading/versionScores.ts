/** What runs scored under a version of the resources, by mode. */
import * as Effect from "effect/Effect"
import { counted } from "../../domain/Figures.js"
import type { RolloutMode } from "../../domain/Rollout.js"
import { totalsOf } from "../../store/RowJson.js"
import { RunReader } from "../../store/RunReader.js"
import { points } from "./text.js"

export interface VersionScore {
  readonly mode: RolloutMode
  readonly runs: number
  readonly rollouts: number
  readonly succeeded: number
  readonly failed: number
  /** Of the runs that have one: failed rollouts count as 0; null when nothing has a score. */
  readonly meanScore: number | null
}

/** One for each mode that runs used the version in. */
export const scoresOf = (version: number) =>
  Effect.map(
    Effect.flatMap(RunReader, (runs) => runs.resultsOfVersion(version)),
    (results): ReadonlyArray<VersionScore> =>
      (["train", "val", "test"] as const).flatMap((mode) => {
        const of = results.filter((result) => result.mode === mode)
        if (of.length === 0) return []
        const { failed, succeeded, total } = totalsOf(of)
        return [{
          mode,
          runs: new Set(of.map(({ runId }) => runId)).size,
          rollouts: total,
          succeeded,
          failed,
          meanScore: totalsOf(of.filter(({ isVoid }) => !isVoid)).meanScore
        }]
      })
  )

/** One line for each mode; `widest` is the longest number of a version beside which they stand. */
export const scoreText = (
  version: number,
  scores: ReadonlyArray<VersionScore>,
  widest = String(version).length
): ReadonlyArray<string> =>
  scores.length === 0
    ? [`  version ${version}: no run has used it yet`]
    : scores.map(({ failed, meanScore, mode, rollouts, runs }) =>
      `  version ${String(version).padEnd(widest)}  ${mode.padEnd(5)}  ${
        meanScore === null ? "no score" : points(meanScore)
      }` +
      `  ${counted(rollouts, "rollout")} of ${counted(runs, "run")}${failed === 0 ? "" : `, ${failed} failed`}`
    )

export const scoresJson = (scores: ReadonlyArray<VersionScore>) =>
  scores.map(({ failed, meanScore, mode, rollouts, runs, succeeded }) => ({
    mode,
    runs,
    rollouts,
    succeeded,
    failed,
    mean_score: meanScore
  }))
