import { hit, miss, quoted, type Verdict } from "./Verdict.js"

/** The text of a reference: a string as it is, `4` for the number 4, JSON for anything with parts. */
export const referenceText = (reference: unknown): string =>
  typeof reference === "string" ? reference : JSON.stringify(reference) ?? "null"

/** Whether answer and reference are the same text, white space at both ends aside. */
export const exactMatch = (output: string, reference: unknown): Verdict => {
  const expected = referenceText(reference).trim()
  const got = output.trim()
  return got === expected ? hit : miss(`expected ${quoted(expected)}, got ${quoted(got)}: ${difference(expected, got)}`)
}

/** Shown from the first difference on. */
const charsAfter = 30

/** Of a longer answer nobody asks whether it looks like what was expected: so many marks and invisible characters a letter has not. */
const alikeMax = 4

/** What a reader sees of a text: accents in one form, spaces of one kind, and no characters that have no shape. */
const seen = (text: string): string => text.normalize("NFC").replaceAll(/\p{Z}/gu, " ").replaceAll(/\p{Cf}/gu, "")

/** Two texts that look the same on paper, told apart. */
const unseen = (expected: string, got: string): string => {
  const one = Array.from(expected)
  const other = Array.from(got)
  const at = one.findIndex((character, index) => character !== other[index])
  const place = at === -1 ? one.length : at
  return `they look alike, but character ${place + 1} is ${named(other[place])} in place of ${named(one[place])}`
}

/** `U+00E9`. */
const named = (character: string | undefined): string =>
  character === undefined ? "the end" : `U+${character.codePointAt(0)!.toString(16).toUpperCase().padStart(4, "0")}`

const difference = (expected: string, got: string): string => {
  if (got === "") return "the answer is empty"
  if (expected === "") return "the answer should be empty"
  if (got.toLowerCase() === expected.toLowerCase()) return "they differ only in upper and lower case"
  if (got.length <= alikeMax * expected.length && seen(got) === seen(expected)) return unseen(expected, got)
  if (got.includes(expected)) return "the answer has other text around what was expected"
  if (expected.startsWith(got)) return "the answer ends too early"
  const one = Array.from(expected)
  // They differ within the length of what was expected; an answer may be of megabytes, which all agents would wait for.
  const other = Array.from(got.slice(0, 2 * (expected.length + charsAfter)))
  const at = one.findIndex((character, index) => character !== other[index])
  const from = Math.max(0, at - 10)
  const part = (characters: ReadonlyArray<string>) => quoted(characters.slice(from, at + charsAfter).join(""))
  const where = from === 0 ? "" : `, there ${part(one)} became ${part(other)}`
  return `they differ from character ${at + 1} on${where}`
}
