import * as Either from "effect/Either"
import { roundedWhole } from "../domain/WholeNumber.js"
import { hit, miss, quoted, type Verdict } from "./Verdict.js"

export type ThousandsSeparator = "," | "." | " " | "'" | "_" | ""

export interface NumericOptions {
  /** Largest allowed distance, absolute. */
  readonly tolerance: number
  readonly thousandsSeparator: ThousandsSeparator
}

/** Whether the last number of the answer is the reference: a number, or a text whose last number counts. */
export const numeric = (
  output: string,
  reference: unknown,
  { thousandsSeparator, tolerance }: NumericOptions
): Either.Either<Verdict, string> => {
  const expected = typeof reference === "string" ? lastNumber(reference, thousandsSeparator) : reference
  if (typeof expected !== "bigint" && (typeof expected !== "number" || !Number.isFinite(expected))) {
    return Either.left("the reference must be a number, or a text with a number in it")
  }
  const got = lastNumber(output, thousandsSeparator)
  if (got === undefined) {
    return Either.right(miss(`expected ${expected}, but the answer contains no number; got ${quoted(output.trim())}`))
  }
  if (near(expected, got, tolerance)) return Either.right(hit)
  const apart = distance(expected, got)
  const rounded = Number(apart.toPrecision(6))
  // What is just beyond the tolerance must not read as if it were within it.
  const off = rounded > tolerance ? rounded : apart
  const difference = `${off} too ${got > expected ? "high" : "low"}${tolerance > 0 ? `, ${tolerance} is allowed` : ""}`
  const earlier = numbersIn(output, thousandsSeparator).some((number) => near(expected, number, tolerance))
    ? `; ${expected} stands earlier in the answer`
    : ""
  return Either.right(miss(`expected ${expected}, got ${got} (the last number of the answer): ${difference}${earlier}`))
}

/** A number of a text; a whole one that a double would round, and so make equal to its neighbours, has all its digits. */
type Exact = number | bigint

const distance = (one: Exact, other: Exact): number => {
  if (![one, other].every((number) => typeof number === "bigint" || Number.isInteger(number))) {
    return Math.abs(Number(one) - Number(other))
  }
  const apart = BigInt(one) - BigInt(other)
  return Number(apart < 0n ? -apart : apart)
}

/** 1.1 and 1 are 0.1 apart, whatever binary fractions make of it. Without a tolerance equal means equal. */
const near = (one: Exact, other: Exact, tolerance: number): boolean => {
  const apart = distance(one, other)
  if (apart <= tolerance) return true
  const rounded = [one, other].some((number) => typeof number === "number" && !Number.isInteger(number))
  return tolerance > 0 && rounded &&
    apart <= tolerance + 2 * Number.EPSILON * Math.max(Math.abs(Number(one)), Math.abs(Number(other)))
}

/**
 * The last number of a text: `-3`, `−3`, `+0.5`, `.5`, `$1,234.50`, `3.0e5`, `1/2`.
 *
 * A minus directly after a letter, digit or closing bracket is a hyphen or an operator (`GPT-4`, `5-3`), and digits directly
 * after a Latin letter are part of a word (`H2O`). A fraction of two whole numbers is its quotient, but dates are not
 * fractions. Units, `%` among them, are ignored: 50% is 50. The decimal sign is a point; a comma where the point
 * separates thousands; either where a space does.
 */
export const lastNumber = (text: string, thousandsSeparator: ThousandsSeparator): Exact | undefined =>
  numbersIn(text, thousandsSeparator).at(-1)

const numbersIn = (text: string, thousandsSeparator: ThousandsSeparator): ReadonlyArray<Exact> => {
  const { decimal, pattern, separator } = grammars[thousandsSeparator]
  const plain = (digits: string) => digits.replace(separator, "").replace(decimal, ".").replace("\u2212", "-")
  const numbers: Array<Exact> = []
  for (const [, sign, magnitude = "", denominator] of text.matchAll(pattern)) {
    const size = denominator === undefined
      ? exact(plain(magnitude))
      : Number(plain(magnitude)) / Number(plain(denominator))
    if (Number.isFinite(Number(size))) numbers.push(sign === undefined || sign === "+" ? size : -size)
  }
  return numbers
}

const exact = (digits: string): Exact => roundedWhole(digits) ?? Number(digits)

interface Grammar {
  readonly pattern: RegExp
  readonly separator: RegExp
  readonly decimal: RegExp
}

const grammar = (separator: string, decimal: string): Grammar => {
  const grouped = separator === "" ? "" : String.raw`\d{1,3}(?:${separator}\d{3})+(?!\d)|`
  const exponent = String.raw`(?:[eE][+\-\u2212]?\d+)?`
  const magnitude = String.raw`(?:(?:${grouped}\d+)(?:${decimal}\d+)?|${decimal}\d+)${exponent}`
  const sign = String.raw`(?:(?<![A-Za-z0-9_)\]])([+\-\u2212])|(?<![A-Za-z0-9_]))`
  // A whole number too: what goes on behind the digits, by a group or a decimal sign, is none of 1/1 and 1/2.
  const more = String.raw`[\d/]|${decimal}\d${separator === "" ? "" : String.raw`|${separator}\d{3}(?!\d)`}`
  const fraction = String.raw`(?:(?<!\d/\d*)/(${grouped}\d+)(?!${more}))?`
  return {
    pattern: new RegExp(String.raw`${sign}\p{Sc}?(${magnitude})${fraction}`, "gu"),
    separator: separator === "" ? /(?!)/g : new RegExp(separator, "gu"),
    decimal: new RegExp(decimal, "u")
  }
}

const grammars: Record<ThousandsSeparator, Grammar> = {
  ",": grammar(",", "\\."),
  ".": grammar("\\.", ","),
  // No-break, thin and narrow no-break spaces as typesetters use them.
  " ": grammar("[ \\u00A0\\u2009\\u202F]", "[.,]"),
  "'": grammar("['\\u2019]", "\\."),
  _: grammar("_", "\\."),
  "": grammar("", "\\.")
}
