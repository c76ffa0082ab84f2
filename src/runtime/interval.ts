import type { ModeScore } from "../store/RunStore.js"

/** A 95 % confidence interval of a mean, and how it was made. */
export interface Interval {
  readonly low: number
  readonly high: number
  readonly method: "wilson" | "student-t"
}

/**
 * The 95 % interval of the mean of `n` scores of which the failed ones are 0.
 *
 * Wilson's score interval where every score is 0 or 1 (Wilson 1927, JASA 22:209), Student's t otherwise, cut to [0, 1].
 * Null where a single score between 0 and 1 says nothing about the spread.
 */
export const interval = (
  { partial, scoreSquareSum, scoreSum }: Pick<ModeScore, "partial" | "scoreSum" | "scoreSquareSum">,
  n: number
): Interval | null => {
  const mean = scoreSum / n
  if (partial === 0) {
    const shrink = 1 + z ** 2 / n
    const centre = (mean + z ** 2 / (2 * n)) / shrink
    const half = z * Math.sqrt(mean * (1 - mean) / n + z ** 2 / (4 * n ** 2)) / shrink
    return { low: Math.max(0, centre - half), high: Math.min(1, centre + half), method: "wilson" }
  }
  if (n < 2) return null
  const variance = Math.max(0, (scoreSquareSum - n * mean ** 2) / (n - 1))
  const half = t975(n - 1) * Math.sqrt(variance / n)
  return { low: Math.max(0, mean - half), high: Math.min(1, mean + half), method: "student-t" }
}

const z = 1.959963984540054

/** Tabled for 1 to 4 degrees of freedom; above, Fisher and Cornish's expansion (1960), right to 0.001. */
const t975 = (df: number): number =>
  [12.7062, 4.3027, 3.1824, 2.7764][df - 1] ??
    z + (z ** 3 + z) / (4 * df) + (5 * z ** 5 + 16 * z ** 3 + 3 * z) / (96 * df ** 2) +
      (3 * z ** 7 + 19 * z ** 5 + 17 * z ** 3 - 15 * z) / (384 * df ** 3) +
      (79 * z ** 9 + 776 * z ** 7 + 1482 * z ** 5 - 1920 * z ** 3 - 945 * z) / (92_160 * df ** 4)
