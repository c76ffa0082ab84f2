/** JSON as it comes off the wire: objects whose keys a peer chose, read by own key only. */

import { backslash, isSpace, listCloses, listOpens, objectCloses, objectOpens, quote } from "./jsonBytes.js"

export type JsonObject = { readonly [key: string]: unknown }

/** Neither null nor a list. */
export const isObject = (value: unknown): value is JsonObject =>
  typeof value === "object" && value !== null && !Array.isArray(value)

/** A record without a prototype: a key such as `__proto__` from the wire is then a key like any other. */
export const emptyRecord = (): Record<string, unknown> => Object.create(null) as Record<string, unknown>

/** Deepest nesting that is read: more would overflow the stack of whoever writes the value down again. */
const depthMax = 500

/** Few brackets cannot nest deep, and counting them is nearly free. */
const hasManyBrackets = (text: string): boolean => {
  let count = 0
  for (const bracket of ["[", "{"]) {
    for (let place = text.indexOf(bracket); place !== -1; place = text.indexOf(bracket, place + 1)) {
      if (++count > depthMax) return true
    }
  }
  return false
}

const isTooDeep = (text: string): boolean => {
  if (text.length <= depthMax || !hasManyBrackets(text)) return false
  let depth = 0
  let inText = false
  for (let place = 0; place < text.length; place++) {
    const code = text.charCodeAt(place)
    if (inText) {
      if (code === backslash) place++
      else if (code === quote) inText = false
    } else if (code === quote) inText = true
    else if (code === listOpens || code === objectOpens) {
      if (++depth > depthMax) return true
    } else if (code === listCloses || code === objectCloses) depth--
  }
  return false
}

/** Whether a text begins and ends as JSON does. That it is none costs a hundred times more to find out by parsing it. */
const looksLikeJson = (text: string): boolean => {
  let start = 0
  let end = text.length - 1
  while (isSpace(text.charCodeAt(start))) start++
  while (end > start && isSpace(text.charCodeAt(end))) end--
  const [first, last] = [text.charCodeAt(start), text.charCodeAt(end)]
  if (first === objectOpens) return last === objectCloses
  if (first === listOpens) return last === listCloses
  if (first === quote) return last === quote && end > start
  // -, digits, and the first letters of false, null and true.
  return first === 0x2d || first >= 0x30 && first <= 0x39 || first === 0x66 || first === 0x6e || first === 0x74
}

/** The parsed text, or undefined when it is not JSON or nested deeper than 500 levels; `mayBeDeep` false skips that check. */
export const parseJson = (text: string, mayBeDeep = true): unknown => {
  try {
    return !looksLikeJson(text) || mayBeDeep && isTooDeep(text) ? undefined : JSON.parse(text) as unknown
  } catch {
    return undefined
  }
}

/**
 * Each text parsed as by `parseJson`. Texts that are short and look like objects are parsed as one list; should one of them
 * not be JSON, or the list have another length than it ought to, they are parsed one by one.
 */
export const parseEach = (texts: ReadonlyArray<string>): ReadonlyArray<unknown> => {
  if (
    texts.length > 1 && texts.every((text) => text.length <= depthMax && text.startsWith("{") && text.endsWith("}"))
  ) {
    const together = parseJson(`[${texts.join(",")}]`, false)
    if (Array.isArray(together) && together.length === texts.length) return together
  }
  return texts.map((text) => parseJson(text))
}

/** An integer of more digits than a number is sure to keep, or an exponent that it may not: an id of 19 digits would become another one. */
const rounded = /(?<![\d.])\d{16,}(?![\d.])|\d[eE]\+?\d{3}/

const strings = /"[^"\\]*(?:\\.[^"\\]*)*"/gs

/** Whether a JSON text has numbers that, parsed, may be other ones. */
export const mayRound = (json: string): boolean => rounded.test(json) && rounded.test(json.replaceAll(strings, ""))

/** The JSON of a text: `JSON.stringify` takes twice as long to find that nothing in it needs an escape, as in nearly all. */
export const textJson = (text: string): string => needsEscape.test(text) ? JSON.stringify(text) : `"${text}"`

/** Beyond ASCII nothing need be, but lone halves of a character. */
const needsEscape = /[^ !#-[\]-~]/

const decoder = new TextDecoder()

/** The UTF-8 text of these bytes, without its byte order mark; what is not UTF-8 becomes U+FFFD. */
export const utf8Of = (bytes: Uint8Array): string => decoder.decode(bytes)

type Key = string | number

const child = (value: unknown, key: Key): unknown =>
  typeof value !== "object" || value === null || Array.isArray(value) !== (typeof key === "number")
    ? undefined
    : (value as { readonly [key: Key]: unknown })[key]

/**
 * The value under a chain of keys; undefined as soon as one is missing. For keys that `Object.prototype` does not have, and
 * every key that is asked for is one of those: then a parsed object answers with its own value or with none. A key
 * `__proto__` in a text becomes an own property of the parsed object, not its prototype.
 *
 * The keys are no rest parameter: this is called some hundred times per call, and a list each time would be half its cost.
 */
export const at = (value: unknown, first: Key, second?: Key, third?: Key): unknown => {
  const one = child(value, first)
  if (second === undefined) return one
  const two = child(one, second)
  return third === undefined ? two : child(two, third)
}

/** The list there; an empty one where there is none. */
export const listAt = (value: unknown, first: Key, second?: Key, third?: Key): ReadonlyArray<unknown> => {
  const found = at(value, first, second, third)
  return Array.isArray(found) ? found : none
}

const none: ReadonlyArray<unknown> = []

/** The text there; null where there is none, or an empty one. */
export const textAt = (value: unknown, first: Key, second?: Key, third?: Key): string | null => {
  const found = at(value, first, second, third)
  return typeof found === "string" && found !== "" ? found : null
}

/** A whole number of things, or null: an upstream may claim 3.5 tokens, or more than there are atoms. */
export const countAt = (value: unknown, first: Key, second?: Key, third?: Key): number | null => {
  const found = numberAt(value, first, second, third)
  return found !== null && Number.isSafeInteger(found) && found >= 0 ? found : null
}

/** A number, or null: of a whole one beyond 2^53 nobody knows how it was written. */
export const numberAt = (value: unknown, first: Key, second?: Key, third?: Key): number | null => {
  const found = at(value, first, second, third)
  if (typeof found !== "number" || !Number.isFinite(found)) return null
  return Number.isSafeInteger(found) || !Number.isInteger(found) ? found : null
}
