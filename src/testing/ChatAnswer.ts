/** A simulated answer in the shapes of the chat completions API: one object, or a stream of chunks. */
import { idOf } from "./Chance.js"
import type { ChatRequest } from "./ChatRequest.js"
import type { Model } from "./Model.js"
import { countTokens, tokensOf } from "./Tokens.js"

/** Every answer claims the same time, so that equal requests are answered with equal bytes. */
const created = 1_735_689_600

/** Tokens per chunk of a stream. */
const tokensPerChunk = 3

interface Choice {
  readonly tokens: ReadonlyArray<string>
  readonly finishReason: "stop" | "length"
}

/** What was answered, before it takes a shape on the wire. */
export interface ChatAnswer {
  readonly id: string
  readonly model: string
  readonly choices: ReadonlyArray<Choice>
  readonly usage: Readonly<Record<string, unknown>>
}

const cut = (text: string, { stop, tokensMax }: ChatRequest): Choice => {
  const places = stop.map((word) => word === "" ? -1 : text.indexOf(word)).filter((place) => place !== -1)
  const tokens = tokensOf(places.length === 0 ? text : text.slice(0, Math.min(...places)))
  const fits = tokensMax === null || tokens.length <= tokensMax
  return { tokens: fits ? tokens : tokens.slice(0, tokensMax), finishReason: fits ? "stop" : "length" }
}

export const answerChat = (model: Model, request: ChatRequest, seed: string): ChatAnswer => {
  const text = (roles: ReadonlyArray<string>) =>
    request.messages.filter(({ role }) => roles.includes(role)).map((message) => message.text)
  const variation = request.temperature > 0 ? request.seed : ""
  const choices = Array.from({ length: request.choices }, (_, n) => {
    const draw = n === 0 ? variation : `${variation}/${n}`
    return cut(
      model.answer({ system: text(["system", "developer"]).join("\n"), question: text(["user"]).at(-1) ?? "", draw }),
      request
    )
  })
  const inputTokens = request.messages.reduce((sum, message) => sum + 3 + countTokens(message.text), 3)
  const outputTokens = choices.reduce((sum, { tokens }) => sum + tokens.length, 0)
  return {
    id: `chatcmpl-sim-${idOf(seed, model.id, variation, JSON.stringify(request.messages), String(request.choices))}`,
    model: model.id,
    choices,
    usage: {
      prompt_tokens: inputTokens,
      completion_tokens: outputTokens,
      total_tokens: inputTokens + outputTokens,
      prompt_tokens_details: { cached_tokens: 0 },
      completion_tokens_details: { reasoning_tokens: 0 }
    }
  }
}

const head = ({ id, model }: ChatAnswer, object: string) => ({
  id,
  object,
  created,
  model,
  system_fingerprint: "simulated"
})

export const completionOf = (answer: ChatAnswer): object => ({
  ...head(answer, "chat.completion"),
  choices: answer.choices.map(({ finishReason, tokens }, index) => ({
    index,
    message: { role: "assistant", content: tokens.join(""), refusal: null },
    logprobs: null,
    finish_reason: finishReason
  })),
  usage: answer.usage
})

/** The chunks of a stream, in order: per choice its role, its text in pieces and its finish; then the usage, if asked for. */
export const chunksOf = (answer: ChatAnswer, includeUsage: boolean): ReadonlyArray<object> => {
  const chunk = (choices: ReadonlyArray<object>, usage: object | null = null) => ({
    ...head(answer, "chat.completion.chunk"),
    choices,
    ...(includeUsage && { usage })
  })
  const delta = (index: number, delta: object, finishReason: string | null = null) =>
    chunk([{ index, delta, logprobs: null, finish_reason: finishReason }])
  const ofChoices = answer.choices.flatMap(({ finishReason, tokens }, index) => {
    const pieces = Array.from(
      { length: Math.ceil(tokens.length / tokensPerChunk) },
      (_, n) => delta(index, { content: tokens.slice(n * tokensPerChunk, (n + 1) * tokensPerChunk).join("") })
    )
    return [delta(index, { role: "assistant", content: "", refusal: null }), ...pieces, delta(index, {}, finishReason)]
  })
  return includeUsage ? [...ofChoices, chunk([], answer.usage)] : ofChoices
}
