import type { Bounds } from "./Bootstrap.js"
import { normalQuantile } from "./Normal.js"
import { checkCount, checkProbability, SampleInvalid } from "./SampleInvalid.js"

/** The score interval of a share of successes (Wilson 1927, JASA 22). Never empty, never outside [0, 1]. */
export const wilson = (successes: number, n: number, level = 0.95): Bounds => {
  checkCount(successes, "successes")
  checkCount(n, "n", 1)
  checkProbability(level, "level")
  if (successes > n) throw new SampleInvalid(`successes: expected at most n = ${n}, found ${successes}`)
  const z = normalQuantile((1 + level) / 2)
  const share = successes / n
  const shrink = 1 + z ** 2 / n
  const centre = (share + z ** 2 / (2 * n)) / shrink
  const half = z * Math.sqrt(share * (1 - share) / n + z ** 2 / (4 * n ** 2)) / shrink
  return { low: successes === 0 ? 0 : centre - half, high: successes === n ? 1 : centre + half }
}
