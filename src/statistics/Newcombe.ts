import type { Bounds } from "./Bootstrap.js"
import { checkCount, SampleInvalid } from "./SampleInvalid.js"
import { wilson } from "./Wilson.js"

/** Pairs of 0/1 outcomes by who succeeded. */
export interface PairCounts {
  readonly both: number
  readonly firstOnly: number
  readonly secondOnly: number
  readonly neither: number
}

/** The counts of two arms that pair by position; null unless every value is 0 or 1. */
export const pairCounts = (first: ReadonlyArray<number>, second: ReadonlyArray<number>): PairCounts | null => {
  if (![...first, ...second].every((value) => value === 0 || value === 1)) return null
  const count = (one: number, other: number) =>
    first.filter((value, index) => value === one && second[index] === other).length
  return { both: count(1, 1), firstOnly: count(1, 0), secondOnly: count(0, 1), neither: count(0, 0) }
}

/**
 * The interval of the second arm's share of successes minus the first's, paired: Wilson's intervals of both arms, put together
 * with the arms' correlation (Newcombe 1998, Statistics in Medicine 17, method 10). Says something even of pairs that all agree.
 */
export const newcombe = ({ both, firstOnly, neither, secondOnly }: PairCounts, level = 0.95): Bounds => {
  for (const [name, count] of Object.entries({ both, firstOnly, secondOnly, neither })) checkCount(count, name)
  const n = both + firstOnly + secondOnly + neither
  if (n === 0) throw new SampleInvalid("expected at least one pair, found none")
  const first = (both + firstOnly) / n
  const second = (both + secondOnly) / n
  const ofFirst = wilson(both + firstOnly, n, level)
  const ofSecond = wilson(both + secondOnly, n, level)
  const correlation = correlationOf({ both, firstOnly, secondOnly, neither }, n)
  const reach = (one: number, other: number) =>
    Math.sqrt(Math.max(0, one ** 2 - 2 * correlation * one * other + other ** 2))
  return {
    low: second - first - reach(second - ofSecond.low, ofFirst.high - first),
    high: second - first + reach(ofSecond.high - second, first - ofFirst.low)
  }
}

/** Yule's φ, with Newcombe's correction for continuity where the arms agree more often than not. */
const correlationOf = ({ both, firstOnly, neither, secondOnly }: PairCounts, n: number): number => {
  const margins = (both + firstOnly) * (secondOnly + neither) * (both + secondOnly) * (firstOnly + neither)
  if (margins === 0) return 0
  const product = both * neither - firstOnly * secondOnly
  return (product > 0 ? Math.max(product - n / 2, 0) : product) / Math.sqrt(margins)
}
