/** Exact fractions, so that the simulated model does sums without rounding. */

export interface Rational {
  readonly numerator: bigint
  /** Greater than zero; the fraction is in lowest terms. */
  readonly denominator: bigint
}

/** A calculation that has no answer, in words for the user. */
export class NoAnswer extends Error {}

/** Longest number that is worked with: a question may ask for 9 ^ 9 ^ 9. */
const digitsMax = 400
const limit = 10n ** BigInt(digitsMax)

const abs = (value: bigint): bigint => value < 0n ? -value : value

const gcd = (a: bigint, b: bigint): bigint => {
  let [x, y] = [abs(a), abs(b)]
  while (y !== 0n) [x, y] = [y, x % y]
  return x
}

const rational = (numerator: bigint, denominator = 1n): Rational => {
  if (denominator === 0n) throw new NoAnswer("Division by zero is undefined.")
  if (abs(numerator) > limit * limit || abs(denominator) > limit * limit) {
    throw new NoAnswer("That number is too large for me.")
  }
  const divisor = gcd(numerator, denominator) * (denominator < 0n ? -1n : 1n)
  const reduced = { numerator: numerator / divisor, denominator: denominator / divisor }
  if (abs(reduced.numerator) > limit || reduced.denominator > limit) {
    throw new NoAnswer("That number is too large for me.")
  }
  return reduced
}

/** Reads `1234`, `1,234.5` or `.5`. */
export const parseRational = (text: string): Rational => {
  const [whole = "", decimals = ""] = text.replaceAll(",", "").split(".")
  return rational(BigInt(`${whole}${decimals}` || "0"), 10n ** BigInt(decimals.length))
}

export const add = (a: Rational, b: Rational): Rational =>
  rational(a.numerator * b.denominator + b.numerator * a.denominator, a.denominator * b.denominator)

export const negate = (a: Rational): Rational => rational(-a.numerator, a.denominator)

export const multiply = (a: Rational, b: Rational): Rational =>
  rational(a.numerator * b.numerator, a.denominator * b.denominator)

export const divide = (a: Rational, b: Rational): Rational =>
  rational(a.numerator * b.denominator, a.denominator * b.numerator)

/** What is left of a division; it has the sign of the dividend, as in most programming languages. */
export const remainder = (a: Rational, b: Rational): Rational => {
  const { denominator, numerator } = divide(a, b)
  return add(a, negate(multiply(b, rational(numerator / denominator))))
}

export const power = (base: Rational, exponent: Rational): Rational => {
  if (exponent.denominator !== 1n) throw new NoAnswer("I can only raise a number to a whole power.")
  const times = abs(exponent.numerator)
  const isUnit = abs(base.numerator) <= 1n && base.denominator === 1n
  // The result has about as many digits as the base, times the exponent.
  const digits = Math.max(String(abs(base.numerator)).length, String(base.denominator).length)
  if (!isUnit && BigInt(digits - 1) * times > BigInt(digitsMax) || !isUnit && times > 2000n) {
    throw new NoAnswer("That number is too large for me.")
  }
  const [numerator, denominator] = isUnit
    ? [times === 0n || (times % 2n === 0n && base.numerator !== 0n) ? 1n : base.numerator, 1n]
    : [base.numerator ** times, base.denominator ** times]
  return exponent.numerator < 0n ? rational(denominator, numerator) : rational(numerator, denominator)
}

const decimalsMax = 10

/** Plain digits: exact where at most ten decimals say it all, else rounded to ten (`isExact` is false then). */
export const format = (value: Rational): { readonly text: string; readonly isExact: boolean } => {
  const scale = 10n ** BigInt(decimalsMax)
  const scaled = abs(value.numerator) * scale
  const isExact = scaled % value.denominator === 0n
  const rounded = (scaled * 2n / value.denominator + 1n) / 2n
  const decimals = String(rounded % scale).padStart(decimalsMax, "0").replace(/0+$/, "")
  const digits = `${rounded / scale}${decimals === "" ? "" : `.${decimals}`}`
  return { text: value.numerator < 0n && digits !== "0" ? `-${digits}` : digits, isExact }
}
