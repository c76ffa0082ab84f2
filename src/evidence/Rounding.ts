/**
 * Whether a sum of decimals is at most a bound, but for what rounding three decimals and a sum to binary may do: at most half a
 * last place each. 0.42 - 0.4 is 0.02, though not in binary. None of the decimals is larger than `magnitude`.
 */
export const isAtMost = (sum: number, bound: number, magnitude: number): boolean =>
  sum - bound <= 2 * Number.EPSILON * magnitude
