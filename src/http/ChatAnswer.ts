/** What a chat completion says: the assistant's text, or the error that came instead. */
import * as Either from "effect/Either"
import * as Option from "effect/Option"
import * as Schema from "effect/Schema"
import { errorOfChoices } from "../openai/ReportedError.js"
import { withoutSecrets } from "../openai/Secrets.js"

export interface ChatAnswer {
  /** The assistant's final text; empty when there is none. */
  readonly text: string
  /** The text; else the tool calls as JSON; else the refusal. */
  readonly output: string
  /** The model's own word for why it ended, `length` say; null without one. */
  readonly ended: string | null
}

const Message = Schema.Struct({
  content: Schema.optional(Schema.NullOr(Schema.Union(
    Schema.String,
    Schema.Array(Schema.Struct({ type: Schema.String, text: Schema.optional(Schema.String) }))
  ))),
  refusal: Schema.optional(Schema.NullOr(Schema.String)),
  tool_calls: Schema.optional(Schema.NullOr(Schema.Array(Schema.Unknown)))
})
const decodeCompletion = Schema.decodeUnknownOption(Schema.parseJson(Schema.Struct({
  choices: Schema.NonEmptyArray(Schema.Struct({
    message: Message,
    finish_reason: Schema.optional(Schema.Unknown),
    error: Schema.optional(Schema.Unknown)
  }))
})))

/** What a response's body says; Left is what is wrong with it. */
export const answerOf = (body: string): Either.Either<ChatAnswer, string> =>
  Option.match(decodeCompletion(body), {
    onNone: () => {
      const message = errorMessage(body, "")
      return Either.left(`the model's answer is no chat completion${message === "" ? "" : `: ${message}`}`)
    },
    onSome: ({ choices: [choice] }) => {
      const error = errorOfChoices([choice])
      if (error !== null) return Either.left(`the model's answer ended in an error: ${errorMessage(error.message, "")}`)
      const { finish_reason: finished, message } = choice
      const text = typeof message.content === "string"
        ? message.content
        : (message.content ?? []).map((part) => part.text ?? "").join("")
      const ended = typeof finished === "string" ? finished : null
      if (text !== "") return Either.right({ text, output: text, ended })
      const calls = message.tool_calls ?? []
      return Either.right({ text, ended, output: calls.length > 0 ? JSON.stringify(calls) : message.refusal ?? "" })
    }
  })

const decodeError = Schema.decodeUnknownOption(Schema.parseJson(Schema.Struct({
  error: Schema.Union(Schema.String, Schema.Struct({ message: Schema.String }))
})))

const messageCharsMax = 500

/** The upstream's own words, or the beginning of whatever it sent, without anything that looks like a key. */
export const errorMessage = (body: string, apiKey: string): string => {
  const masked = (text: string) => withoutSecrets(apiKey === "" ? text : text.replaceAll(apiKey, "[key]")).text
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
