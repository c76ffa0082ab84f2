/** Rows as JSON readers get them, from the commands and over HTTP alike. */
import type { Reward } from "../domain/Reward.js"
import type { Attempt } from "../domain/Rollout.js"
import type { Run, RunResult } from "./RunReader.js"

export type RowJson = Record<string, unknown>

/** `runId` as JSON readers expect it: `run_id`. */
export const snakeName = (name: string): string => name.replaceAll(/[A-Z]/g, (letter) => `_${letter.toLowerCase()}`)

/** The names of a row in snake case. Values stay as they are. */
export const snake = (row: object): RowJson =>
  Object.fromEntries(Object.entries(row).map(([name, value]) => [snakeName(name), value]))

export interface Totals {
  readonly total: number
  readonly succeeded: number
  readonly failed: number
  readonly cancelled: number
  /** Failed rollouts count as 0; null when nothing has a score. */
  readonly meanScore: number | null
}

export const totalsOf = (results: ReadonlyArray<RunResult>): Totals => {
  const sum = (which: ReadonlyArray<RunResult>, value: (result: RunResult) => number) =>
    which.reduce((total, result) => total + value(result), 0)
  const of = (status: RunResult["status"]) => sum(results.filter((one) => one.status === status), (one) => one.rollouts)
  const scored = sum(results, (one) => one.scored)
  const failed = of("failed")
  // Where no scorer applied to a success, none would have applied to a failure.
  const isUnscored = scored === 0 && (failed === 0 || of("succeeded") > 0)
  return {
    total: sum(results, (one) => one.rollouts),
    succeeded: of("succeeded"),
    failed,
    cancelled: of("cancelled"),
    meanScore: isUnscored ? null : sum(results, (one) => one.scoreSum) / (scored + failed)
  }
}

/** A run with what its rollouts came to. `crashed`: its process died over it. */
export const runJson = (run: Run, totals: Totals): RowJson => ({
  ...snake(run),
  crashed: run.stands === "crashed",
  ...snake(totals)
})

export const attemptJson = (attempt: Attempt, rewards: ReadonlyArray<Reward>): RowJson => ({
  ...snake(attempt),
  rewards: rewards.map(snake)
})
