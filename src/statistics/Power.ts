/** What a sample of this size could have found: the chance to find a difference that is there, and the smallest that shows. */
import type { Alternative } from "./Alternative.js"
import { binomialMass } from "./Binomial.js"
import { mcNemar } from "./McNemar.js"
import { checkCount, checkProbability, SampleInvalid } from "./SampleInvalid.js"
import { noncentralTCdf, studentTQuantile } from "./StudentT.js"

export interface PowerOptions {
  readonly alpha?: number
  readonly alternative?: Exclude<Alternative, "less">
}

/**
 * Power of the exact McNemar test on `pairs` pairs, of which a share `discordant` disagrees, when the second arm succeeds
 * more often by `difference`. Exact: a sum over all outcomes.
 */
export const mcNemarPower = (
  { difference, discordant, pairs }: {
    readonly pairs: number
    readonly discordant: number
    readonly difference: number
  },
  { alpha = 0.05, alternative = "two-sided" }: PowerOptions = {}
): number => {
  checkCount(pairs, "pairs", 1)
  checkProbability(alpha, "alpha")
  if (!(discordant >= Math.abs(difference) && discordant <= 1)) {
    throw new SampleInvalid(`discordant: expected a share of at least |difference| and at most 1, found ${discordant}`)
  }
  if (discordant === 0) return 0
  const win = (discordant + difference) / (2 * discordant)
  let power = 0
  for (let n = 1; n <= pairs; n += 1) {
    const weight = binomialMass(n, pairs, discordant)
    if (weight < 1e-12) continue
    power += weight * rejected(n, win, alpha, alternative)
  }
  return power
}

/** The chance that n pairs that disagree reject, each being a win with probability `win`. */
const rejected = (n: number, win: number, alpha: number, alternative: "two-sided" | "greater"): number => {
  const rejects = (wins: number) =>
    mcNemar(wins, n - wins, "greater").pValue <= (alternative === "greater" ? alpha : alpha / 2)
  if (!rejects(n)) return 0
  let low = Math.floor(n / 2)
  let high = n
  while (high - low > 1) {
    const middle = Math.floor((low + high) / 2)
    if (rejects(middle)) high = middle
    else low = middle
  }
  let chance = 0
  for (let wins = high; wins <= n; wins += 1) {
    chance += binomialMass(wins, n, win)
    if (alternative === "two-sided") chance += binomialMass(n - wins, n, win)
  }
  return chance
}

/** Power of a t test whose difference is `difference`, known with `standardError` on `df` degrees of freedom. */
export const tPower = (
  { df, difference, standardError }: {
    readonly difference: number
    readonly standardError: number
    readonly df: number
  },
  { alpha = 0.05, alternative = "two-sided" }: PowerOptions = {}
): number => {
  checkProbability(alpha, "alpha")
  if (!(standardError > 0)) throw new SampleInvalid(`standardError: expected a number above 0, found ${standardError}`)
  if (!(df > 0)) throw new SampleInvalid(`df: expected a number above 0, found ${df}`)
  // Far out the series is slow, and the answer is 1.
  const shift = Math.max(-shiftMax, Math.min(shiftMax, difference / standardError))
  if (alternative === "greater") return 1 - noncentralTCdf(-studentTQuantile(alpha, df), df, shift)
  const critical = -studentTQuantile(alpha / 2, df)
  return 1 - noncentralTCdf(critical, df, shift) + noncentralTCdf(-critical, df, shift)
}

const shiftMax = 30

/** The smallest difference in (0, max] that is found with the wanted power, or null when even `max` is not. */
export const smallestDetectable = (
  powerOf: (difference: number) => number,
  { max = 1, power = 0.8 }: { readonly max?: number; readonly power?: number } = {}
): number | null => {
  checkProbability(power, "power")
  if (powerOf(max) < power) return null
  let low = 0
  let high = max
  for (let step = 0; step < 40; step += 1) {
    const middle = (low + high) / 2
    if (powerOf(middle) >= power) high = middle
    else low = middle
  }
  return high
}
