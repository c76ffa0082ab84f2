/** Two samples that do not pair, of unequal spread. */
import { type Alternative, twoSided } from "./Alternative.js"
import type { Bounds } from "./Bootstrap.js"
import { mean, variance } from "./Moments.js"
import { checkProbability, SampleInvalid } from "./SampleInvalid.js"
import { studentTQuantile, studentTTail } from "./StudentT.js"

export interface Welch {
  /** Mean of the second sample minus mean of the first. */
  readonly difference: number
  readonly t: number
  readonly df: number
  readonly pValue: number
  readonly bounds: Bounds
}

/** Welch 1947, Biometrika 34. Two values in each sample at least. */
export const welch = (
  first: ReadonlyArray<number>,
  second: ReadonlyArray<number>,
  alternative: Alternative = "two-sided",
  level = 0.95
): Welch => {
  checkProbability(level, "level")
  const difference = mean(second) - mean(first)
  if (first.length < 2 || second.length < 2) {
    throw new SampleInvalid("expected at least two numbers in each sample: one says nothing about its spread")
  }
  const one = variance(first) / first.length
  const other = variance(second) / second.length
  const error = Math.sqrt(one + other)
  if (error === 0) {
    // Without spread a difference is certain to the test, and no difference is none.
    const sure = difference === 0
      ? 1
      : alternative === "two-sided" || (difference > 0) === (alternative === "greater")
      ? 0
      : 1
    const t = difference === 0 ? 0 : difference * Number.POSITIVE_INFINITY
    const df = first.length + second.length - 2
    return { difference, t, df, pValue: sure, bounds: { low: difference, high: difference } }
  }
  const df = (one + other) ** 2 / (one ** 2 / (first.length - 1) + other ** 2 / (second.length - 1))
  const t = difference / error
  const greater = studentTTail(t, df)
  const less = studentTTail(-t, df)
  const half = -studentTQuantile((1 - level) / 2, df) * error
  return {
    difference,
    t,
    df,
    pValue: alternative === "greater" ? greater : alternative === "less" ? less : twoSided(less, greater),
    bounds: { low: difference - half, high: difference + half }
  }
}
