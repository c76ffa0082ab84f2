/** Paired differences of any kind: without an effect, each difference could as well have had the other sign. */
import type { Alternative } from "./Alternative.js"
import { Draws } from "./Draws.js"
import { sum } from "./Moments.js"
import { checkCount, checkSample } from "./SampleInvalid.js"

export interface Permutation {
  readonly pValue: number
  readonly method: "exact" | "monte-carlo"
  /** Sign patterns looked at. */
  readonly patterns: number
  /** Standard error of the p-value from drawing instead of counting; 0 when it is exact. */
  readonly standardError: number
}

export interface PermutationOptions {
  readonly alternative?: Alternative
  readonly seed?: number
  /** Patterns drawn when there are too many to count. */
  readonly draws?: number
  /** Differences other than 0 up to which all 2^n patterns are counted. */
  readonly exactMax?: number
}

/**
 * The sign-flip test of a mean difference of 0 (Fisher 1935). Counts all sign patterns of a small sample, else draws them
 * from the seed; the drawn p-value is (1 + hits) / (1 + draws), which is never 0 and keeps the level (Phipson, Smyth 2010).
 */
export const pairedPermutation = (
  differences: ReadonlyArray<number>,
  { alternative = "two-sided", draws = 9_999, exactMax = 16, seed = 1 }: PermutationOptions = {}
): Permutation => {
  checkSample(differences, "differences")
  checkCount(draws, "draws", 1)
  const moving = differences.filter((difference) => difference !== 0)
  const observed = sum(moving)
  // Sums of one set in another order differ in the last digits and still are ties.
  const slack = 1e-11 * sum(moving.map(Math.abs))
  const isHit = (total: number): boolean => {
    switch (alternative) {
      case "greater":
        return total >= observed - slack
      case "less":
        return total <= observed + slack
      case "two-sided":
        return Math.abs(total) >= Math.abs(observed) - slack
    }
  }
  if (moving.length <= exactMax) {
    const patterns = 2 ** moving.length
    const hits = countPatterns(moving, isHit)
    return { pValue: hits / patterns, method: "exact", patterns, standardError: 0 }
  }
  const random = new Draws(seed)
  let hits = 0
  for (let draw = 0; draw < draws; draw += 1) {
    if (isHit(signed(moving, random))) hits += 1
  }
  const pValue = (1 + hits) / (1 + draws)
  return { pValue, method: "monte-carlo", patterns: draws, standardError: Math.sqrt(pValue * (1 - pValue) / draws) }
}

/** Walks the patterns so that neighbours differ in one sign (Gray's code): one addition each. */
const countPatterns = (values: ReadonlyArray<number>, isHit: (total: number) => boolean): number => {
  const signs = values.map(() => 1)
  let total = sum(values)
  let hits = isHit(total) ? 1 : 0
  for (let pattern = 1; pattern < 2 ** values.length; pattern += 1) {
    const flipped = 31 - Math.clz32(pattern & -pattern)
    signs[flipped] = -signs[flipped]!
    total += 2 * signs[flipped]! * values[flipped]!
    if (isHit(total)) hits += 1
  }
  return hits
}

/** The sum under signs drawn 32 at a time. */
const signed = (values: ReadonlyArray<number>, random: Draws): number => {
  let total = 0
  let bits = 0
  for (let index = 0; index < values.length; index += 1) {
    if (index % 32 === 0) bits = random.bits()
    total += bits & 1 ? values[index]! : -values[index]!
    bits >>>= 1
  }
  return total
}
