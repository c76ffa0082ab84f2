/** An interval for the mean of a sample of any shape, by drawing it again from itself. */
import { Draws } from "./Draws.js"
import { mean, sum } from "./Moments.js"
import { normalCdf, normalQuantile } from "./Normal.js"
import { checkCount, checkProbability, checkSample } from "./SampleInvalid.js"

export interface Bounds {
  readonly low: number
  readonly high: number
}

export interface BootstrapOptions {
  /** Share of intervals that hold the true mean: 0.95. */
  readonly level?: number
  readonly seed?: number
  readonly draws?: number
}

/**
 * The bias-corrected and accelerated interval of the mean (Efron 1987, JASA 82). For paired data give the differences: a
 * pair is drawn whole. A sample without spread gives its one value twice: see `unanimousBounds` for what can be said then.
 */
export const bootstrapMean = (
  sample: ReadonlyArray<number>,
  { draws = 9_999, level = 0.95, seed = 1 }: BootstrapOptions = {}
): Bounds => {
  checkSample(sample)
  checkCount(draws, "draws", 1)
  const random = new Draws(seed)
  const n = sample.length
  const means = Array.from({ length: draws }, () => {
    let total = 0
    for (let index = 0; index < n; index += 1) total += sample[random.below(n)]!
    return total / n
  })
  return bcaBounds(sample, means, level)
}

/** The interval from means of resamples that are given. */
export const bcaBounds = (sample: ReadonlyArray<number>, resampled: ReadonlyArray<number>, level: number): Bounds => {
  checkSample(sample)
  checkSample(resampled, "resampled")
  checkProbability(level, "level")
  const centre = mean(sample)
  if (sample.every((value) => value === sample[0])) return { low: centre, high: centre }
  const largest = sample.reduce((most, value) => Math.max(most, Math.abs(value)), 0)
  const slack = 1e-12 * largest
  const below = resampled.filter((value) => value < centre - slack).length
  const ties = resampled.filter((value) => Math.abs(value - centre) <= slack).length
  const bias = normalQuantile((below + ties / 2) / resampled.length)
  // The jackknife's deviations of a mean are those of the values themselves. Of very small ones, as of probabilities of whole
  // texts, the cubes would be 0.
  const deviations = sample.map((value) => (value - centre) / largest)
  const acceleration = sum(deviations.map((value) => value ** 3)) /
    (6 * sum(deviations.map((value) => value ** 2)) ** 1.5)
  const sorted = resampled.toSorted((a, b) => a - b)
  const bound = (tail: number) => {
    const shifted = bias + normalQuantile(tail)
    return percentile(sorted, normalCdf(bias + shifted / (1 - acceleration * shifted)))
  }
  if (!Number.isFinite(bias)) return { low: sorted[0]!, high: sorted.at(-1)! }
  return { low: bound((1 - level) / 2), high: bound((1 + level) / 2) }
}

/** Linear between the two nearest. */
const percentile = (sorted: ReadonlyArray<number>, share: number): number => {
  const at = share * (sorted.length - 1)
  const before = Math.floor(at)
  const low = sorted[before]!
  const high = sorted[Math.min(before + 1, sorted.length - 1)]!
  return low + (at - before) * (high - low)
}

/**
 * What n equal differences in [−1, 1], or scores where `lowest` is 0, say about the mean: a share of the cases as large as
 * 1 − (α/2)^(1/n) may differ and have shown itself in none of n draws (the "rule of three", exact), by as much as the scale allows.
 */
export const unanimousBounds = (value: number, n: number, level: number, lowest: -1 | 0 = -1): Bounds => {
  checkSample([value])
  checkCount(n, "n", 1)
  checkProbability(level, "level")
  const hidden = 1 - ((1 - level) / 2) ** (1 / n)
  return { low: value - hidden * (value - lowest), high: value + hidden * (1 - value) }
}
