import * as Effect from "effect/Effect"
import * as Schema from "effect/Schema"
import { createContext, Script } from "node:vm"

/** The pattern cannot be judged: it is no regular expression, or it backtracks for too long on this text. */
export class RegexFailed extends Schema.TaggedError<RegexFailed>()("RegexFailed", {
  reason: Schema.Literal("syntax", "timeout"),
  detail: Schema.String
}) {
  override get message() {
    return this.detail
  }
}

/** A search blocks the event loop, so it has to end well before a heartbeat is due. */
const limitMs = 250

/** Where a pattern was found. */
export interface Found {
  readonly text: string
  readonly index: number
}

// The engine checks for termination whenever it backtracks, so the limit holds for patterns such as `^(a+)+$`.
const search = new Script("pattern.exec(text)")
const context: { pattern?: RegExp; text?: string } = {}
createContext(context)

/** Where the pattern first occurs in the text, null when it does not; takes at most 250 ms. */
export const regexFind = (source: string, flags: string, text: string): Effect.Effect<Found | null, RegexFailed> =>
  Effect.flatMap(
    Effect.try({
      try: () => new RegExp(source, flags),
      catch: (cause) =>
        new RegexFailed({ reason: "syntax", detail: cause instanceof Error ? cause.message : "invalid" })
    }),
    (pattern) =>
      Effect.try({
        try: () => {
          Object.assign(context, { pattern, text })
          try {
            const match = search.runInContext(context, { timeout: limitMs }) as RegExpExecArray | null
            return match === null ? null : { text: match[0], index: match.index }
          } finally {
            // An answer may have megabytes.
            context.text = ""
          }
        },
        catch: () =>
          new RegexFailed({
            reason: "timeout",
            detail: `the pattern was not decided within ${limitMs} ms: it backtracks too much on this answer`
          })
      })
  )
