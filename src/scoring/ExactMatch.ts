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

const difference = (expected: string, got: string): string => {
  if (got === "") return "the answer is empty"
  if (expected === "") return "the answer should be empty"
  if (got.toLowerCase() === expected.toLowerCase()) return "they differ only in upper and lower case"
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
