import type { Bounds } from "./Bootstrap.js"
import { mean, sum, variance } from "./Moments.js"
import { checkProbability, SampleInvalid } from "./SampleInvalid.js"
import { studentTQuantile } from "./StudentT.js"

/**
 * The interval of the second arm's mean divided by the first's, for pairs of amounts (Fieller 1954, JRSS-B 16). Unbounded, from
 * 0 to infinity, where the first mean is not sure to be above 0.
 */
export const ratioBounds = (
  first: ReadonlyArray<number>,
  second: ReadonlyArray<number>,
  level = 0.95
): Bounds => {
  checkProbability(level, "level")
  const n = first.length
  if (n !== second.length) throw new SampleInvalid(`expected pairs, found ${n} values and ${second.length}`)
  const centre = mean(first)
  const other = mean(second)
  if (n < 2) return { low: 0, high: Number.POSITIVE_INFINITY }
  const squared = studentTQuantile((1 - level) / 2, n - 1) ** 2 / n
  const together = sum(first.map((value, index) => (value - centre) * (second[index]! - other))) / (n - 1)
  // The ratios r that the t test of `second − r · first` does not rule out lie between the roots of a r² − 2 b r + c.
  const a = centre ** 2 - squared * variance(first)
  const b = centre * other - squared * together
  const c = other ** 2 - squared * variance(second)
  if (a <= 0) return { low: 0, high: Number.POSITIVE_INFINITY }
  const root = Math.sqrt(Math.max(0, b ** 2 - a * c))
  return { low: Math.max(0, (b - root) / a), high: (b + root) / a }
}
