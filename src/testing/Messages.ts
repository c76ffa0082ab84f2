/** Anthropic's Messages API as the simulated model speaks it: requests, answers and the events of a stream. */
import { at, isObject, type JsonObject, listAt, numberAt, textAt } from "../openai/Json.js"
import { type ChatAnswer, type Choice, piecesOf } from "./ChatAnswer.js"
import { type ChatMessage, type ChatRequest, parseModelCall, Refusal, refusal, textOf } from "./ChatRequest.js"
import { tokensOf } from "./Tokens.js"
import { readToolChoice, readTools } from "./Tools.js"

const turnsOf = (message: unknown): ReadonlyArray<ChatMessage> => {
  const role = textAt(message, "role") ?? "user"
  const results = listAt(message, "content").filter((block) => at(block, "type") === "tool_result")
    .map((block) => ({ role: "tool", text: textOf(at(block, "content")) }))
  return results.length > 0 ? results : [{ role, text: textOf(at(message, "content")) }]
}

export const parseMessagesRequest = (bytes: Uint8Array): ChatRequest | Refusal => {
  const body = parseModelCall(bytes)
  if (body instanceof Refusal) return body
  const messages = listAt(body, "messages")
  if (messages.length === 0) return refusal(400, "messages: at least one message is required")
  const bad = messages.findIndex((message) => !isObject(message))
  if (bad !== -1) return refusal(400, `messages.${bad}: expected an object`)
  const system = textOf(body["system"])
  return {
    model: body.model,
    messages: [...(system === "" ? [] : [{ role: "system", text: system }]), ...messages.flatMap(turnsOf)],
    stream: body["stream"] === true,
    includeUsage: true,
    choices: 1,
    temperature: numberAt(body, "temperature") ?? 1,
    seed: "",
    tokensMax: numberAt(body, "max_tokens"),
    stop: listAt(body, "stop_sequences").filter((text) => typeof text === "string"),
    tools: readTools(listAt(body, "tools")),
    toolChoice: readToolChoice(body["tool_choice"])
  }
}

export const messageIdOf = ({ key }: ChatAnswer): string => `msg_sim_${key}`

const stopReasons = { stop: "end_turn", length: "max_tokens", tool_calls: "tool_use" } as const

/** The one block of an answer; `isBegun` leaves out what its deltas bring. */
const blockOf = ({ call, tokens }: Choice, isBegun: boolean): JsonObject => {
  if (call === null) return { type: "text", text: isBegun ? "" : tokens.join("") }
  return { type: "tool_use", id: call.id, name: call.name, input: isBegun ? {} : JSON.parse(call.arguments) as unknown }
}

const usageOf = (answer: ChatAnswer, outputTokens: number) => ({
  input_tokens: answer.inputTokens,
  cache_creation_input_tokens: 0,
  cache_read_input_tokens: 0,
  output_tokens: outputTokens
})

export const messageOf = (answer: ChatAnswer): JsonObject => ({
  id: messageIdOf(answer),
  type: "message",
  role: "assistant",
  model: answer.model,
  content: [blockOf(answer.choices[0], false)],
  stop_reason: stopReasons[answer.choices[0].finishReason],
  stop_sequence: null,
  usage: usageOf(answer, answer.outputTokens)
})

/** All events of a stream, in order. */
export const messageEventsOf = (answer: ChatAnswer): ReadonlyArray<JsonObject & { readonly type: string }> => {
  const [choice] = answer.choices
  const deltas = choice.call === null
    ? piecesOf(choice.tokens).map((text) => ({ type: "text_delta", text }))
    : piecesOf(tokensOf(choice.call.arguments)).map((text) => ({ type: "input_json_delta", partial_json: text }))
  return [
    {
      type: "message_start",
      message: { ...messageOf(answer), content: [], stop_reason: null, usage: usageOf(answer, 1) }
    },
    { type: "content_block_start", index: 0, content_block: blockOf(choice, true) },
    { type: "ping" },
    ...deltas.map((delta) => ({ type: "content_block_delta", index: 0, delta })),
    { type: "content_block_stop", index: 0 },
    {
      type: "message_delta",
      delta: { stop_reason: stopReasons[choice.finishReason], stop_sequence: null },
      usage: { output_tokens: answer.outputTokens }
    },
    { type: "message_stop" }
  ]
}
