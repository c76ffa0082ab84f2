/**
 * Where the values of a JSON text stand in its bytes, so that one of them can be replaced and every other byte kept. Reads
 * what it is asked for and steps over the rest; knows strings and depths, no more. Loads nothing.
 */
import { isUtf8 } from "node:buffer"
import { closingQuote } from "./BodySections.js"
import {
  backslash,
  colon,
  comma,
  isSpace,
  listCloses,
  listOpens,
  objectCloses,
  objectOpens,
  quote
} from "./jsonBytes.js"

/** Bytes from `start` up to `end`. */
export interface Range {
  readonly start: number
  readonly end: number
}

/** Longest key that is read: those that are asked for are short. */
const keyBytesMax = 128

/** The value that the text is, without a byte order mark; null when there is none. */
export const rootOf = (bytes: Buffer): Range | null => {
  const isMarked = bytes[0] === 0xef && bytes[1] === 0xbb && bytes[2] === 0xbf
  const start = solid(bytes, isMarked ? 3 : 0)
  const end = endOfValue(bytes, start)
  return end === -1 ? null : { start, end }
}

/** The members of an object by name; of a name given twice the last, as every parser in use has it. Null for anything else. */
export const membersOf = (bytes: Buffer, { start }: Range): ReadonlyMap<string, Range> | null => {
  if (bytes[start] !== objectOpens) return null
  const members = new Map<string, Range>()
  let at = solid(bytes, start + 1)
  if (bytes[at] === objectCloses) return members
  for (;;) {
    if (bytes[at] !== quote) return null
    const keyEnd = closingQuote(bytes, at)
    if (keyEnd === -1) return null
    const key = keyEnd - at > keyBytesMax ? null : stringAt(bytes, { start: at, end: keyEnd + 1 })
    const colonAt = solid(bytes, keyEnd + 1)
    if (bytes[colonAt] !== colon) return null
    const valueStart = solid(bytes, colonAt + 1)
    const valueEnd = endOfValue(bytes, valueStart)
    if (valueEnd === -1) return null
    if (key !== null) members.set(key, { start: valueStart, end: valueEnd })
    at = solid(bytes, valueEnd)
    if (bytes[at] === objectCloses) return members
    if (bytes[at] !== comma) return null
    at = solid(bytes, at + 1)
  }
}

/** The elements of a list in order; null for anything else. */
export const elementsOf = (bytes: Buffer, { start }: Range): ReadonlyArray<Range> | null => {
  if (bytes[start] !== listOpens) return null
  const elements: Array<Range> = []
  let at = solid(bytes, start + 1)
  if (bytes[at] === listCloses) return elements
  for (;;) {
    const end = endOfValue(bytes, at)
    if (end === -1) return null
    elements.push({ start: at, end })
    at = solid(bytes, end)
    if (bytes[at] === listCloses) return elements
    if (bytes[at] !== comma) return null
    at = solid(bytes, at + 1)
  }
}

/** The text that a string says; null for anything else, and for one that is not UTF-8. */
export const stringAt = (bytes: Buffer, { end, start }: Range): string | null => {
  if (bytes[start] !== quote) return null
  const token = bytes.subarray(start, end)
  if (!isUtf8(token)) return null
  try {
    return JSON.parse(token.toString("utf8")) as string
  } catch {
    return null
  }
}

/**
 * The byte at which each of these positions of a string's text stands. Positions count UTF-16 units, ascending, none within a
 * character; the string is one that `stringAt` could read.
 */
export const placesIn = (
  bytes: Buffer,
  { end, start }: Range,
  positions: ReadonlyArray<number>
): ReadonlyArray<number> => {
  const raw = bytes.toString("utf8", start + 1, end - 1)
  let at = 0
  let unit = 0
  let byte = start + 1
  return positions.map((position) => {
    const from = at
    for (; unit < position; unit++) at += raw.charCodeAt(at) !== backslash ? 1 : raw[at + 1] === "u" ? 6 : 2
    byte += Buffer.byteLength(raw.slice(from, at))
    return byte
  })
}

/** The first byte from `at` on that is not white space. */
const solid = (bytes: Buffer, at: number): number => {
  let found = at
  while (found < bytes.length && isSpace(bytes[found]!)) found++
  return found
}

/** Where the value that begins at `at` ends, or -1 when it does not. Without recursion: a peer chooses how deep it goes. */
const endOfValue = (bytes: Buffer, at: number): number => {
  const first = bytes[at]
  if (first === quote) return closingQuote(bytes, at) + 1 || -1
  if (first !== objectOpens && first !== listOpens) return endOfWord(bytes, at)
  let depth = 0
  for (let here = at; here < bytes.length; here++) {
    const byte = bytes[here]!
    if (byte === quote) {
      here = closingQuote(bytes, here)
      if (here === -1) return -1
    } else if (byte === objectOpens || byte === listOpens) depth++
    else if (byte === objectCloses || byte === listCloses) {
      depth--
      if (depth === 0) return here + 1
    }
  }
  return -1
}

/** A number, `true`, `false` or `null`. */
const endOfWord = (bytes: Buffer, at: number): number => {
  let end = at
  while (end < bytes.length && /[\w+.-]/.test(String.fromCharCode(bytes[end]!))) end++
  return end === at ? -1 : end
}
