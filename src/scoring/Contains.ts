import * as Either from "effect/Either"
import { referenceText } from "./ExactMatch.js"
import { hit, miss, quoted, type Verdict } from "./Verdict.js"

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
  const list = lacking.slice(0, 5).map((text) => quoted(text, 200)).join(", ")
  const more = lacking.length > 5 ? ` and ${lacking.length - 5} more` : ""
  return Either.right(miss(`the answer lacks ${list}${more}; got ${quoted(output.trim())}`))
}
