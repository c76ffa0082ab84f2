/** What a chat completion says: the assistant's text, or the error that came instead. */
import * as Either from "effect/Either"
import * as Option from "effect/Option"
import * as Schema from "effect/Schema"

const Message = Schema.Struct({
  content: Schema.optional(Schema.NullOr(Schema.Union(
    Schema.String,
    Schema.Array(Schema.Struct({ type: Schema.String, text: Schema.optional(Schema.String) }))
  ))),
  refusal: Schema.optional(Schema.NullOr(Schema.String)),
  tool_calls: Schema.optional(Schema.NullOr(Schema.Array(Schema.Unknown)))
})
const decodeCompletion = Schema.decodeUnknownOption(Schema.parseJson(Schema.Struct({
  choices: Schema.NonEmptyArray(Schema.Struct({ message: Message }))
})))

/** The final text; the refusal, or the tool calls as JSON, when there is none. Left says what is wrong with the answer. */
export const answerOf = (text: string): Either.Either<string, string> =>
  Option.match(decodeCompletion(text), {
    onNone: () => {
      const message = errorMessage(text, "")
      return Either.left(`the model's answer is no chat completion${message === "" ? "" : `: ${message}`}`)
    },
    onSome: ({ choices: [{ message }] }) => {
      const content = typeof message.content === "string"
        ? message.content
        : (message.content ?? []).map((part) => part.text ?? "").join("")
      if (content !== "") return Either.right(content)
      if (message.tool_calls && message.tool_calls.length > 0) return Either.right(JSON.stringify(message.tool_calls))
      return Either.right(message.refusal ?? "")
    }
  })

const decodeError = Schema.decodeUnknownOption(Schema.parseJson(Schema.Struct({
  error: Schema.Union(Schema.String, Schema.Struct({ message: Schema.String }))
})))

const messageCharsMax = 500

/** The upstream's own words, or the beginning of whatever it sent, without anything that looks like a key. */
export const errorMessage = (body: string, apiKey: string): string => {
  const masked = (text: string) => apiKey === "" ? text : text.replaceAll(apiKey, "[key]")
  const said = Option.match(decodeError(body), {
    // Masked before it is cut: half a key would not be recognized.
    onNone: () => masked(body).slice(0, 2 * messageCharsMax),
    onSome: ({ error }) => typeof error === "string" ? error : error.message
  })
  const safe = masked(said)
    .replace(/\b(?:(?:sk|pk|rk|gsk|xai)[-_][\w*.-]{6,}|AIza[\w*-]{6,})/g, "[key]")
    .replace(/\bBearer\s+\S+/gi, "Bearer [key]")
    .replace(/\s+/g, " ")
    .trim()
  return Array.from(safe).slice(0, messageCharsMax).join("")
}
