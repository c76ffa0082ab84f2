/** Two samples that do not pair, each of one value only: Welch's test would take such data for certain, however few they are. */
import type { Bounds } from "./Bootstrap.js"
import { logGamma } from "./Gamma.js"
import { checkCount, checkProbability, checkSample } from "./SampleInvalid.js"

export interface UnanimousSample {
  readonly value: number
  readonly n: number
}

/**
 * Fisher's permutation test, two-sided: of all ways to divide the values into samples of these sizes, how many give a
 * difference as large. It is the way seen and, of samples of one size, its mirror image.
 */
export const unanimousPValue = (first: UnanimousSample, second: UnanimousSample): number => {
  checkSample([first.value, second.value])
  checkCount(first.n, "n", 1)
  checkCount(second.n, "n", 1)
  if (first.value === second.value) return 1
  const logWays = logGamma(first.n + second.n + 1) - logGamma(first.n + 1) - logGamma(second.n + 1)
  return Math.min(1, (first.n === second.n ? 2 : 1) * Math.exp(-logWays))
}

/**
 * What such samples of scores in [0, 1] say about the difference of their means, the second minus the first: in each a share
 * as large as 1 − (α/4)^(1/n) may differ and have shown itself in none of n draws. The halves of α for the two samples add up
 * to no more than α.
 */
export const unanimousDifference = (first: UnanimousSample, second: UnanimousSample, level: number): Bounds => {
  checkProbability(level, "level")
  const [one, other] = [first, second].map(({ n, value }) => {
    checkSample([value])
    checkCount(n, "n", 1)
    const hidden = 1 - ((1 - level) / 4) ** (1 / n)
    return { low: value * (1 - hidden), high: value + hidden * (1 - value) }
  }) as [Bounds, Bounds]
  return { low: other.low - one.high, high: other.high - one.low }
}
