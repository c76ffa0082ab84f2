import * as Option from "effect/Option"
import { counted } from "../domain/Figures.js"
import { roundedWhole } from "../domain/WholeNumber.js"
import { isObject } from "../openai/Json.js"
import { clip, hit, miss, quoted, type Verdict } from "./Verdict.js"

/**
 * Whether the answer is the JSON value of the reference, the order of keys aside.
 *
 * The answer is JSON as a whole or in a fence of three backticks, of which the last one that holds JSON counts (the last 32 are
 * tried). A reference
 * text is read as JSON where it is JSON, and is a JSON string otherwise.
 */
export const jsonEqual = (output: string, reference: unknown): Verdict => {
  const expected = typeof reference === "string" ? Option.getOrElse(parse(reference), () => reference) : reference
  const got = answerJson(output)
  if (Option.isNone(got)) {
    return miss(`the answer is not JSON, nor has it a fenced block of JSON; got ${quoted(output.trim())}`)
  }
  const found = differences(expected, got.value, differencesShown + 1)
  if (found.length === 0) return hit
  const more = found.length > differencesShown ? "; and more" : ""
  return miss(found.slice(0, differencesShown).join("; ") + more)
}

const differencesShown = 3

const parse = (text: string): Option.Option<unknown> => {
  try {
    const value: unknown = JSON.parse(text)
    const exact = withExactNumbers(text)
    return Option.some(exact === text ? value : JSON.parse(exact))
  } catch {
    return Option.none()
  }
}

/** Stands before the digits of a number that a double would round, and so make equal to its neighbours. No text has it. */
const digitsMark = `${Math.random()} ${Math.random()} `

/** Valid JSON with such numbers as marked texts. Looks at each character once: an answer may have millions of escapes. */
const withExactNumbers = (json: string): string => {
  const pieces: Array<string> = []
  let kept = 0
  for (let at = 0; at < json.length;) {
    const character = json[at]!
    if (character === "\"") {
      at = stringEnd(json, at)
      continue
    }
    const start = at
    at += 1
    if (character !== "-" && !isDigit(character)) continue
    while (at < json.length && isOfNumber(json[at]!)) at += 1
    const token = json.slice(start, at)
    // What is too large for a double is compared as it is written.
    const exact = Number.isFinite(Number(token)) ? roundedWhole(token) : token
    if (exact === null) continue
    pieces.push(json.slice(kept, start), `"${digitsMark}${exact}"`)
    kept = at
  }
  return pieces.join("") + json.slice(kept)
}

const isDigit = (character: string) => character >= "0" && character <= "9"

const isOfNumber = (character: string) => isDigit(character) || ".eE+-".includes(character)

/** Behind the quotation mark that ends the string that begins at `start`. */
const stringEnd = (json: string, start: number): number => {
  let end = start
  let escapes: number
  do {
    end = json.indexOf("\"", end + 1)
    escapes = 0
    while (json[end - 1 - escapes] === "\\") escapes += 1
  } while (escapes % 2 === 1)
  return end + 1
}

/** Blocks tried, from the last one up: an answer of a million backticks must not hold up the event loop. */
const blocksMax = 32

/** At the start of a line, where a fence belongs; failing that anywhere, for models are careless with lines. */
const fences = [/^[ \t]*```/m, "```"]

const answerJson = (output: string): Option.Option<unknown> =>
  Option.orElse(parse(output), () => Option.firstSomeOf(fences.map((fence) => lastBlock(output.split(fence)))))

/** Every second piece is inside a fence; its first line may name the language. */
const lastBlock = (pieces: ReadonlyArray<string>): Option.Option<unknown> => {
  const last = pieces.length - 1 - (pieces.length % 2)
  for (let at = last; at > Math.max(0, last - 2 * blocksMax); at -= 2) {
    const block = pieces[at] ?? ""
    const inside = Option.orElse(parse(block), () => parse(block.slice(block.indexOf("\n") + 1)))
    if (Option.isSome(inside)) return inside
  }
  return Option.none()
}

const absent = Symbol("absent")

/** The first places, in the reference's order, where two JSON values differ, in words. Not recursive: answers nest deep. */
const differences = (expected: unknown, got: unknown, most: number): ReadonlyArray<string> => {
  const found: Array<string> = []
  const open: Array<readonly [path: string, expected: unknown, got: unknown]> = [["$", expected, got]]
  for (let next = open.pop(); next !== undefined && found.length < most; next = open.pop()) {
    const [path, one, other] = next
    if (one === other) continue
    if (Array.isArray(one) && Array.isArray(other)) {
      for (let at = Math.max(one.length, other.length) - 1; at >= 0; at -= 1) {
        open.push([`${path}[${at}]`, at < one.length ? one[at] : absent, at < other.length ? other[at] : absent])
      }
    } else if (isObject(one) && isObject(other)) {
      const extra = Object.keys(other).filter((key) => !Object.hasOwn(one, key))
      for (const key of [...Object.keys(one), ...extra].toReversed()) {
        open.push([path + step(key), own(one, key), own(other, key)])
      }
    } else if (one === absent) {
      found.push(`${clip(path, 200)} is not expected: got ${described(other)}`)
    } else if (other === absent) {
      found.push(`${clip(path, 200)} is missing: expected ${described(one)}`)
    } else {
      found.push(`${clip(path, 200)} differs: expected ${described(one)}, got ${described(other)}`)
    }
  }
  return found
}

const own = (object: Readonly<Record<string, unknown>>, key: string): unknown =>
  Object.hasOwn(object, key) ? object[key] : absent

const step = (key: string): string => /^[A-Za-z_$][\w$]*$/.test(key) ? `.${key}` : `[${JSON.stringify(key)}]`

const described = (value: unknown): string => {
  if (typeof value === "string") {
    return value.startsWith(digitsMark) ? clip(value.slice(digitsMark.length), 120) : quoted(value, 120)
  }
  if (Array.isArray(value)) return `a list of ${value.length}`
  return isObject(value) ? `an object with ${counted(Object.keys(value).length, "field")}` : String(value)
}
