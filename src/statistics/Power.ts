/** What a sample of this size could have found: the chance to find a difference that is there, and the smallest that shows. */
import type { Alternative } from "./Alternative.js"
import { binomialMass, binomialTail } from "./Binomial.js"
import { mcNemar } from "./McNemar.js"
import { normalCdf, normalQuantile } from "./Normal.js"
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
  const level = alternative === "greater" ? alpha : alpha / 2
  let power = 0
  let needed = 0
  for (let n = 1; n <= pairs; n += 1) {
    const weight = binomialMass(n, pairs, discordant)
    if (weight < 1e-12) continue
    needed = winsNeeded(n, level, needed)
    power += weight * binomialTail(needed, n, win)
    if (alternative === "two-sided") power += weight * binomialTail(needed, n, 1 - win)
  }
  return power
}

/**
 * The fewest wins of n pairs that disagree with which the one-sided test rejects; n + 1 when no number of them does. With a pair
 * more it takes as many or one more, so that the number before is where to begin: 0 where there is none.
 */
const winsNeeded = (n: number, level: number, before: number): number => {
  const rejects = (wins: number) => mcNemar(wins, n - wins, "greater").pValue <= level
  if (before > 0) return rejects(before) ? before : before + 1
  let low = Math.floor(n / 2)
  let high = n + 1
  while (high - low > 1) {
    const middle = Math.floor((low + high) / 2)
    if (rejects(middle)) high = middle
    else low = middle
  }
  return high
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

/** The smallest difference in (0, max] that is found with the wanted power, or null when even `max` is not. In halvings of max. */
export const smallestDetectable = (
  powerOf: (difference: number) => number,
  { max = 1, power = 0.8, steps = 40 }: { readonly max?: number; readonly power?: number; readonly steps?: number } = {}
): number | null => {
  checkProbability(power, "power")
  if (powerOf(max) < power) return null
  let low = 0
  let high = max
  for (let step = 0; step < steps; step += 1) {
    const middle = (low + high) / 2
    if (powerOf(middle) >= power) high = middle
    else low = middle
  }
  return high
}

/**
 * Pairs of 0/1 outcomes that a one-sided test needs to find a gain of `difference`, when a share `discordant` of the pairs
 * disagrees (Connor 1987, Biometrics 43). For scores in between, `discordant` is the mean square of the differences.
 */
export const pairsNeeded = (
  { difference, discordant }: { readonly difference: number; readonly discordant: number },
  { alpha = 0.05, power = 0.8 }: { readonly alpha?: number; readonly power?: number } = {}
): number => {
  checkProbability(alpha, "alpha")
  checkProbability(power, "power")
  if (!(difference > 0 && discordant >= difference && discordant <= 1)) {
    throw new SampleInvalid(
      `difference: expected a number above 0 and at most discordant, which is at most 1; found ${difference} of ${discordant}`
    )
  }
  const shift = normalQuantile(1 - alpha) * Math.sqrt(discordant) +
    normalQuantile(power) * Math.sqrt(discordant - difference ** 2)
  return Math.ceil(shift ** 2 / difference ** 2)
}

/**
 * The chance that a one-sided test will reject at its end, if the observations to come are like those so far: `z` is the statistic
 * after `share` of them (Lan, Wittes 1988, Biometrics 44: the B-value).
 */
export const conditionalPower = (z: number, share: number, alpha: number): number => {
  checkProbability(share, "share")
  checkProbability(alpha, "alpha")
  return normalCdf((z / Math.sqrt(share) - normalQuantile(1 - alpha)) / Math.sqrt(1 - share))
}
