/** What no new text may do, whoever wrote it. */
import type { TaskExample } from "./Search.js"

/** With the backslash that makes plain text of one that would be a resource. */
const placeholder = /(?:\\(?=\{\{[ \t]*resources\.))?\{\{[^{}\n]{1,200}\}\}/g

/**
 * What is wrong with the braces of a new text: placeholders of the old one must stay, and none may name a resource that the old
 * one did not, for that would fail every rollout.
 */
export const placeholderFault = (before: string, after: string): string | null => {
  const had = new Set(before.match(placeholder))
  const has = new Set(after.match(placeholder))
  for (const one of had) if (!has.has(one)) return `it lost the placeholder ${one}`
  for (const one of has) {
    if (!had.has(one) && /^\{\{\s*resources\./.test(one)) return `it brings in the placeholder ${one}`
  }
  return null
}

/** A text may grow to this many characters, or to twice the seed. About 4,000 tokens. */
const lengthMax = 16_000

const lengthFault = (seed: string, after: string): string | null => {
  const max = Math.max(2 * seed.length, lengthMax)
  return after.length > max ? `it has ${after.length} characters, more than ${max}` : null
}

/** Servers refuse half of a character, and no file can hold it: what is promoted would not be what was tried. */
const characterFault = (before: string, after: string): string | null =>
  isWhole(before) && !isWhole(after) ? "it has half of a character, which is no text" : null

const isWhole = (text: string): boolean => !/\p{Surrogate}/u.test(text)

/** What is wrong with a new text that takes the place of `before`. */
export const textFault = (seed: string, before: string, after: string): string | null =>
  placeholderFault(before, after) ?? lengthFault(seed, after) ?? characterFault(before, after)

/** What is wrong with a text made by edits of another, whoever put them together. */
export const editFault = (seed: string, before: string, after: string): string | null =>
  after.trim() === "" ? "nothing is left of the text" : textFault(seed, before, after)

/** So many characters in common with an example are a copy. */
const copiedLength = 30

/**
 * Whether a new text holds a piece of an example that the old one does not: such a prompt knows the example, not the task
 * (gepa-ai/gepa#261). Case and white space make no difference. `shared` are answers that several examples expect: labels, which
 * a prompt must be able to name.
 */
export const copies = (
  added: string,
  before: string,
  examples: ReadonlyArray<TaskExample>,
  shared: ReadonlySet<string>
): boolean => {
  const pieces = piecesOf(plain(added))
  if (pieces.size === 0) return false
  const known = plain(before)
  return examples.some(({ expected, input }) =>
    [input, ...expected === null || shared.has(expected) ? [] : [expected]].some((text) => {
      const flat = plain(text)
      for (let at = 0; at + copiedLength <= flat.length; at += 1) {
        const piece = flat.slice(at, at + copiedLength)
        if (pieces.has(piece) && !known.includes(piece)) return true
      }
      return false
    })
  )
}

const piecesOf = (text: string): ReadonlySet<string> => {
  const pieces = new Set<string>()
  for (let at = 0; at + copiedLength <= text.length; at += 1) pieces.add(text.slice(at, at + copiedLength))
  return pieces
}

const plain = (text: string): string => text.toLowerCase().replace(/\s+/g, " ")

/** The answers that more than one example expects. */
export const sharedAnswers = (examples: ReadonlyArray<TaskExample>): ReadonlySet<string> => {
  const once = new Set<string>()
  const often = new Set<string>()
  for (const { expected } of examples) {
    if (expected === null) continue
    if (once.has(expected)) often.add(expected)
    once.add(expected)
  }
  return often
}
