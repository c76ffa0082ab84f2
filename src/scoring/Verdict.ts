import * as Option from "effect/Option"
import * as Schema from "effect/Schema"

/** What one scorer thinks of one answer: a value in [0, 1] and, for anything less than a hit, why in words. */
export interface Verdict {
  readonly value: number
  readonly feedback: string | null
}

/** Why there is no verdict, where the same question would fail again. */
export interface Refused {
  readonly refused: string
}

/** Longest feedback kept, in UTF-16 units; the rest is cut off. */
export const feedbackCharsMax = 2000

/** Full marks, which need no words. */
export const hit: Verdict = { value: 1, feedback: null }

/** Nothing, and why. */
export const miss = (feedback: string): Verdict => ({ value: 0, feedback: clip(feedback, feedbackCharsMax) })

/** What `readVerdict` reads, in words. */
export const verdictForm = "a number from 0 to 1, or {\"score\": number, \"feedback\": text}"

const Score = Schema.Number.pipe(Schema.between(0, 1))
const decode = Schema.decodeUnknownOption(Schema.parseJson(Schema.Union(
  Score,
  Schema.Struct({ score: Score, feedback: Schema.optional(Schema.NullOr(Schema.String)) })
)))

/** The verdict that a program or a server wrote as JSON; none when it is anything else. */
export const readVerdict = (text: string): Option.Option<Verdict> =>
  Option.map(decode(text), (verdict) => {
    if (typeof verdict === "number") return { value: verdict, feedback: null }
    const feedback = verdict.feedback ?? null
    return { value: verdict.score, feedback: feedback === null ? null : clip(feedback, feedbackCharsMax) }
  })

/** The text, or its beginning and an ellipsis: never longer than `charsMax`, never half a character. */
export const clip = (text: string, charsMax: number): string => {
  if (text.length <= charsMax) return text
  const cut = text.slice(0, charsMax - 1)
  return `${/[\uD800-\uDBFF]$/.test(cut) ? cut.slice(0, -1) : cut}…`
}

/** The text in quotation marks with control characters made visible, at most about `charsMax` characters of it. */
export const quoted = (text: string, charsMax = 300): string => JSON.stringify(clip(text, charsMax))

/** A part of a text in quotation marks with a little of what is around it. */
export const around = (text: string, from: number, to: number): string => {
  const start = Math.max(0, from - 20)
  const end = Math.min(text.length, Math.max(from, Math.min(to, from + 100)) + 20)
  const part = text.slice(start, end).replace(/^[\uDC00-\uDFFF]|[\uD800-\uDBFF]$/g, "")
  return JSON.stringify(`${start > 0 ? "…" : ""}${part}${end < text.length ? "…" : ""}`)
}
