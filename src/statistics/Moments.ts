/** Mean and spread of a sample. Sums are compensated, so that the order of the data does not show in the result. */
import { checkSample } from "./SampleInvalid.js"

/** Neumaier's sum (1974): the rounding errors are summed apart. */
export const sum = (values: ReadonlyArray<number>): number => {
  let total = 0
  let lost = 0
  for (const value of values) {
    const next = total + value
    lost += Math.abs(total) >= Math.abs(value) ? total - next + value : value - next + total
    total = next
  }
  return total + lost
}

/** Throws `SampleInvalid` for an empty sample, and for numbers that are not finite. */
export const mean = (sample: ReadonlyArray<number>): number => {
  checkSample(sample)
  return sum(sample) / sample.length
}

/** Unbiased, over n − 1. NaN for a single value, which says nothing about the spread. */
export const variance = (sample: ReadonlyArray<number>): number => {
  const centre = mean(sample)
  return sum(sample.map((value) => (value - centre) ** 2)) / (sample.length - 1)
}

/** The second minus the first, of two sums or means; 0 where rounding alone makes them differ, for that is a tie. */
export const differenceOf = (first: number, second: number): number => {
  const difference = second - first
  return Math.abs(difference) <= 1e-12 * Math.max(Math.abs(first), Math.abs(second)) ? 0 : difference
}

/** Whether a share, a ratio, or a difference of shares is at most a bound, but for rounding: 0.8 − 0.75 is at most 0.05. */
export const isAtMost = (value: number, bound: number): boolean => value - bound <= 1e-12 * Math.max(1, Math.abs(bound))
