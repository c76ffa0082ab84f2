import * as Either from "effect/Either"
import { referenceText } from "./ExactMatch.js"
import { around, hit, miss, quoted, type Verdict } from "./Verdict.js"

/** Whether the reference, or every item of a list of references, occurs in the answer. Left says why it cannot be judged. */
export const contains = (
  output: string,
  reference: unknown,
  { ignoreCase }: { readonly ignoreCase: boolean }
): Either.Either<Verdict, string> => {
  const wanted = (Array.isArray(reference) ? reference : [reference]).map(referenceText)
  // Everything contains nothing: such an example would reward any answer.
  if (wanted.length === 0) return Either.left("the reference is an empty list")
  if (wanted.includes("")) return Either.left("the reference is an empty text, which every answer contains")
  const fold = (text: string) => ignoreCase ? text.toLowerCase() : text
  const answer = fold(output)
  const lacking = wanted.filter((text) => !answer.includes(fold(text)))
  if (lacking.length === 0) return Either.right(hit)
  const list = lacking.slice(0, 5).map((text) => quoted(text, 200) + nearest(output, text)).join(", ")
  const more = lacking.length > 5 ? ` and ${lacking.length - 5} more` : ""
  return Either.right(miss(`the answer lacks ${list}${more}; got ${quoted(output.trim())}`))
}

/** What of an answer and of a text is compared. */
const outputCharsMax = 100_000
const wantedCharsMax = 300

/** What in the answer comes nearest to a text that it lacks, in words; empty when nothing telling does. */
const nearest = (whole: string, wanted: string): string => {
  const output = whole.slice(0, outputCharsMax)
  const folded = output.toLowerCase()
  const at = folded.indexOf(wanted.toLowerCase())
  // Some letters change their length with their case: then places in one text are none in the other.
  if (at !== -1 && folded.length === output.length) {
    return ` (it has ${quoted(output.slice(at, at + wanted.length), 200)}, in other case)`
  }
  if (output.normalize().includes(wanted.normalize())) {
    return " (it is there with its accents in another form of Unicode)"
  }
  if (squeezed(output).includes(squeezed(wanted))) return " (it is there but for white space, punctuation or case)"
  const length = longestBeginning(output, wanted.slice(0, wantedCharsMax))
  // Less than a word or a fifth of the text is there by chance.
  if (length < Math.max(4, wanted.length / 5)) return ""
  const from = output.indexOf(wanted.slice(0, length))
  return ` (nearest: ${around(output, from, from + length)})`
}

/** Letters and digits only; a text without any is itself. */
const squeezed = (text: string): string => text.toLowerCase().replaceAll(/[^\p{L}\p{N}]+/gu, "") || text

/** How many characters of the beginning of `wanted` occur: with a longer beginning every shorter one does, too. */
const longestBeginning = (output: string, wanted: string): number => {
  let low = 0
  let high = wanted.length
  while (low < high) {
    const middle = Math.ceil((low + high) / 2)
    if (output.includes(wanted.slice(0, middle))) low = middle
    else high = middle - 1
  }
  return low
}
