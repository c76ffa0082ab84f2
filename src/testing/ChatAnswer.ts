/** A simulated answer in the shapes of the chat completions API: one object, or a stream of chunks. */
import { idOf } from "./Chance.js"
import type { ChatRequest } from "./ChatRequest.js"
import type { Model } from "./Model.js"
import { countTokens, tokensOf } from "./Tokens.js"
import { type ToolCall, toolCallFor } from "./Tools.js"

/** Every answer claims the same time, so that equal requests are answered with equal bytes. */
export const created = 1_735_689_600

/** Tokens per chunk of a stream. */
const tokensPerChunk = 3

export interface Choice {
  readonly tokens: ReadonlyArray<string>
  /** The tool that is called instead of saying anything. */
  readonly call: ToolCall | null
  readonly finishReason: "stop" | "length" | "tool_calls"
}

/** What was answered, before it takes a shape on the wire. */
export interface ChatAnswer {
  /** Made of what was asked, without a prefix. */
  readonly key: string
  readonly model: string
  readonly choices: readonly [Choice, ...ReadonlyArray<Choice>]
  readonly inputTokens: number
  readonly outputTokens: number
}

const cut = (text: string, { stop, tokensMax }: ChatRequest): Choice => {
  const places = stop.map((word) => word === "" ? -1 : text.indexOf(word)).filter((place) => place !== -1)
  const tokens = tokensOf(places.length === 0 ? text : text.slice(0, Math.min(...places)))
  const fits = tokensMax === null || tokens.length <= tokensMax
  return { tokens: fits ? tokens : tokens.slice(0, tokensMax), call: null, finishReason: fits ? "stop" : "length" }
}

/** What a stream says at a time: a few tokens, joined. */
export const piecesOf = (tokens: ReadonlyArray<string>): ReadonlyArray<string> =>
  Array.from(
    { length: Math.ceil(tokens.length / tokensPerChunk) },
    (_, n) => tokens.slice(n * tokensPerChunk, (n + 1) * tokensPerChunk).join("")
  )

export const answerChat = (model: Model, request: ChatRequest, seed: string): ChatAnswer => {
  const text = (roles: ReadonlyArray<string>) =>
    request.messages.filter(({ role }) => roles.includes(role)).map((message) => message.text)
  const variation = request.temperature > 0 ? request.seed : ""
  const question = text(["user"]).at(-1) ?? ""
  const last = request.messages.at(-1)
  const call = toolCallFor(request, question)
  const choice = (n: number): Choice => {
    if (call !== null) return { tokens: [], call, finishReason: "tool_calls" }
    if (last?.role === "tool") return cut(`The tool answered: ${last.text.trim()}`, request)
    const draw = n === 0 ? variation : `${variation}/${n}`
    const system = text(["system", "developer"]).join("\n")
    const { temperature, tools } = request
    return cut(model.answer({ system, question, draw, temperature, tools }), request)
  }
  const others = Array.from({ length: request.choices - 1 }, (_, n) => choice(n + 1))
  const choices = [choice(0), ...others] as const
  const asked = request.tools.length === 0 ? [] : [JSON.stringify(request.tools), JSON.stringify(request.toolChoice)]
  return {
    key: idOf(seed, model.id, variation, JSON.stringify(request.messages), String(request.choices), ...asked),
    model: model.id,
    choices,
    inputTokens: request.messages.reduce((sum, message) => sum + 3 + countTokens(message.text), 3),
    outputTokens: choices.reduce(
      (sum, { call, tokens }) => sum + tokens.length + (call === null ? 0 : countTokens(call.name + call.arguments)),
      0
    )
  }
}

/** Id of a chat completion. */
export const completionIdOf = ({ key }: ChatAnswer): string => `chatcmpl-sim-${key}`

export const chatUsageOf = ({ inputTokens, outputTokens }: ChatAnswer) => ({
  prompt_tokens: inputTokens,
  completion_tokens: outputTokens,
  total_tokens: inputTokens + outputTokens,
  prompt_tokens_details: { cached_tokens: 0 },
  completion_tokens_details: { reasoning_tokens: 0 }
})

const head = (answer: ChatAnswer, object: string) => ({
  id: completionIdOf(answer),
  object,
  created,
  model: answer.model,
  system_fingerprint: "simulated"
})

const toolCallOf = ({ arguments: text, id, name }: ToolCall) => ({
  id,
  type: "function",
  function: { name, arguments: text }
})

export const completionOf = (answer: ChatAnswer): object => ({
  ...head(answer, "chat.completion"),
  choices: answer.choices.map(({ call, finishReason, tokens }, index) => ({
    index,
    message: {
      role: "assistant",
      content: call === null ? tokens.join("") : null,
      refusal: null,
      ...(call !== null && { tool_calls: [toolCallOf(call)] })
    },
    logprobs: null,
    finish_reason: finishReason
  })),
  usage: chatUsageOf(answer)
})

/** A tool call in pieces: its name, then its arguments a few tokens at a time. */
const callDeltas = (call: ToolCall): ReadonlyArray<object> => [
  { tool_calls: [{ index: 0, ...toolCallOf({ ...call, arguments: "" }) }] },
  ...piecesOf(tokensOf(call.arguments)).map((piece) => ({ tool_calls: [{ index: 0, function: { arguments: piece } }] }))
]

/** The chunks of a stream, in order: per choice its role, its text in pieces and its finish; then the usage, if asked for. */
export const chunksOf = (answer: ChatAnswer, includeUsage: boolean): ReadonlyArray<object> => {
  const chunk = (choices: ReadonlyArray<object>, usage: object | null = null) => ({
    ...head(answer, "chat.completion.chunk"),
    choices,
    ...(includeUsage && { usage })
  })
  const delta = (index: number, delta: object, finishReason: string | null = null) =>
    chunk([{ index, delta, logprobs: null, finish_reason: finishReason }])
  const ofChoices = answer.choices.flatMap(({ call, finishReason, tokens }, index) => [
    delta(index, { role: "assistant", content: call === null ? "" : null, refusal: null }),
    ...(call === null ? piecesOf(tokens).map((content) => ({ content })) : callDeltas(call)).map((piece) =>
      delta(index, piece)
    ),
    delta(index, {}, finishReason)
  ])
  return includeUsage ? [...ofChoices, chunk([], chatUsageOf(answer))] : ofChoices
}
