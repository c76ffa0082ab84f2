/** Reads what a judge answered: one JSON object with a score, wherever in the text it stands. */
import * as Either from "effect/Either"
import { readForgivingly } from "../openai/ForgivingJson.js"
import { withoutThoughts } from "../openai/Thoughts.js"
import { clip, feedbackCharsMax, quoted } from "./Verdict.js"

/** What one judgement says, on the judge's own scale. */
export interface Judgement {
  readonly score: number
  /** Empty when the judge gave no reason. */
  readonly feedback: string
}

export type Scale = readonly [low: number, high: number]

/** Of an answer no more is looked at. */
const charsMax = 100_000
/** Objects tried, from the last one up. */
const objectsMax = 32

/**
 * Left says what is wrong. Only JSON counts: a score in prose may be one that the judge quotes. Objects that give different
 * scores are no judgement, for one of them may be quoted as well; nor is one that stands in the graded answer.
 */
export const readJudgement = (text: string, scale: Scale, graded: string): Either.Either<Judgement, string> => {
  const answer = withoutThoughts(text).slice(-charsMax).trim()
  const whole = parsed(answer)
  const judgements = (whole === undefined ? objectsIn(answer) : [{ value: whole, source: answer }])
    .flatMap(({ source, value }) => {
      const judgement = judgementOf(value, scale)
      // A number that is all of an answer may well be one of those that it grades.
      return judgement === null ? [] : [{ ...judgement, isCopy: typeof value === "object" && isIn(source, graded) }]
    })
  const found = judgements.filter(({ isCopy }) => !isCopy)
  const last = found[0]
  if (last === undefined) {
    return Either.left(
      judgements.length > 0
        ? "its score is in an object that the answer has word for word: write your own"
        : `there is no JSON object with a number as its "score" in ${quoted(answer)}`
    )
  }
  if (found.some(({ score }) => score !== last.score)) {
    return Either.left(`it gives several scores: ${found.slice(0, 5).map(({ score }) => score).join(", ")}`)
  }
  const [low, high] = scale
  return last.score >= low && last.score <= high
    ? Either.right({ score: last.score, feedback: last.feedback })
    : Either.left(`the score ${last.score} is not on the scale from ${low} to ${high}`)
}

/** White space aside. */
const isIn = (part: string, text: string): boolean => text.replace(/\s+/g, "").includes(part.replace(/\s+/g, ""))

const judgementOf = (value: unknown, [, high]: Scale): Judgement | null => {
  // An answer that is nothing but a number leaves no doubt.
  if (typeof value === "number") return { score: value, feedback: "" }
  if (typeof value !== "object" || value === null || Array.isArray(value)) return null
  const fields = new Map(Object.entries(value).map(([name, field]) => [name.toLowerCase(), field as unknown]))
  const score = numberOf(fields.get("score") ?? fields.get("rating") ?? fields.get("grade"), high)
  if (score === null) return null
  const reason = ["feedback", "explanation", "reasoning", "reason", "rationale"].map((name) => fields.get(name))
    .find((field) => typeof field === "string" && field.trim() !== "")
  return { score, feedback: typeof reason === "string" ? clip(reason.trim(), feedbackCharsMax) : "" }
}

/** `4`, `"4"` and, on a scale up to 5, `"4/5"`: "1/5" on one up to 1 is not its best. */
const numberOf = (value: unknown, high: number): number | null => {
  if (typeof value === "number") return Number.isFinite(value) ? value : null
  if (typeof value !== "string") return null
  const [, digits, outOf] = /^\s*(-?\d{1,9}(?:\.\d{1,9})?)\s*(?:\/\s*(\d{1,9})\s*)?$/.exec(value) ?? []
  return digits === undefined || (outOf !== undefined && Number(outOf) !== high) ? null : Number(digits)
}

const parsed = (text: string): unknown => {
  try {
    return JSON.parse(text)
  } catch {
    return undefined
  }
}

/** The outermost JSON objects of a text, the last one first. */
const objectsIn = (text: string): ReadonlyArray<{ readonly value: unknown; readonly source: string }> => {
  const found: Array<{ readonly value: unknown; readonly source: string }> = []
  let end = text.lastIndexOf("}")
  for (let tries = 0; end !== -1 && tries < objectsMax; tries += 1) {
    const object = objectEndingAt(text, end)
    if (object !== undefined) found.push({ value: object.value, source: text.slice(object.begin, end + 1) })
    end = text.lastIndexOf("}", (object === undefined ? end : object.begin) - 1)
    if (object?.begin === 0) break
  }
  return found
}

/** From the first brace, backwards, from which the text up to here is one object. */
const objectEndingAt = (text: string, end: number): { readonly value: unknown; readonly begin: number } | undefined => {
  let begin = text.lastIndexOf("{", end)
  for (let tries = 0; begin !== -1 && tries < objectsMax; tries += 1) {
    const strict = parsed(text.slice(begin, end + 1))
    if (strict !== undefined) return { value: strict, begin }
    const forgiven = readForgivingly(text, begin, end + 1)
    if (forgiven?.end === end) return { value: forgiven.value, begin }
    begin = begin === 0 ? -1 : text.lastIndexOf("{", begin - 1)
  }
  return undefined
}
