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
  /** Failed rollouts count as 0; null when nothing has a score, and of a run without a result. */
  readonly meanScore: number | null
}

/** How many rollouts a mean score is over: where no scorer applied to a success, none would have applied to a failure. */
export const countedIn = (
  { failed, scored, succeeded }: { readonly scored: number; readonly succeeded: number; readonly failed: number }
): number => scored === 0 && succeeded > 0 ? 0 : scored + failed

const sum = (results: ReadonlyArray<RunResult>, value: (result: RunResult) => number): number =>
  results.reduce((total, result) => total + value(result), 0)

const endedIn = (results: ReadonlyArray<RunResult>) => {
  const of = (status: RunResult["status"]) => sum(results.filter((one) => one.status === status), (one) => one.rollouts)
  return {
    succeeded: of("succeeded"),
    failed: of("failed"),
    cancelled: of("cancelled"),
    scored: sum(results, (one) => one.scored)
  }
}

/** Whether a scorer applied to any of them, an outage or not. */
export const isScored = (results: ReadonlyArray<RunResult>): boolean => countedIn(endedIn(results)) > 0

export const totalsOf = (results: ReadonlyArray<RunResult>): Totals => {
  const { scored, ...ended } = endedIn(results)
  const n = countedIn({ ...ended, scored })
  return {
    total: sum(results, (one) => one.rollouts),
    ...ended,
    meanScore: n === 0 || results.some(({ isVoid }) => isVoid) ? null : sum(results, (one) => one.scoreSum) / n
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
