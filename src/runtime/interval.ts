import { unanimousBounds } from "../statistics/Bootstrap.js"
import { studentTQuantile } from "../statistics/StudentT.js"
import { wilson } from "../statistics/Wilson.js"
import type { ModeScore } from "../store/RunStore.js"

/** A 95 % confidence interval of a mean, and how it was made. */
export interface Interval {
  readonly low: number
  readonly high: number
  readonly method: "wilson" | "student-t" | "rule-of-three"
}

/**
 * The 95 % interval of the mean of `n` scores of which the failed ones are 0.
 *
 * Wilson's score interval where every score is 0 or 1 (Wilson 1927, JASA 22:209), Student's t otherwise, cut to [0, 1].
 * Scores that are all the same leave room for examples that did not show themselves: the rule of three says how much. Null
 * where a single score between 0 and 1 says nothing about the spread.
 */
export const interval = (
  { partial, scoreSquareSum, scoreSum }: Pick<ModeScore, "partial" | "scoreSum" | "scoreSquareSum">,
  n: number
): Interval | null => {
  // A sum of scores that are 0 or 1 counts those that are 1, whatever was rounded on the way to it.
  if (partial === 0) return { ...wilson(Math.round(scoreSum), n), method: "wilson" }
  if (n < 2) return null
  const mean = scoreSum / n
  const variance = Math.max(0, (scoreSquareSum - n * mean ** 2) / (n - 1))
  // What is left of equal scores after rounding.
  if (variance < 1e-12) return { ...unanimousBounds(mean, n, 0.95, 0), method: "rule-of-three" }
  const half = studentTQuantile(0.975, n - 1) * Math.sqrt(variance / n)
  return { low: Math.max(0, mean - half), high: Math.min(1, mean + half), method: "student-t" }
}
