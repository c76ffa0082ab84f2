/** A simulated answer in the shapes of the Responses API: one object, or the full sequence of its events. */
import { at, type JsonObject, listAt, numberAt, textAt } from "../openai/Json.js"
import { type ChatAnswer, type Choice, created, piecesOf } from "./ChatAnswer.js"
import { tokensOf } from "./Tokens.js"

export const responseIdOf = ({ key }: ChatAnswer): string => `resp_sim_${key}`

type Item = Readonly<Record<string, unknown>>

/** Settings that an answer repeats, with what holds when the request leaves them out. */
const settingsOf = (body: JsonObject): Item => ({
  background: body["background"] === true,
  frequency_penalty: numberAt(body, "frequency_penalty") ?? 0,
  instructions: textAt(body, "instructions"),
  max_output_tokens: numberAt(body, "max_output_tokens"),
  max_tool_calls: numberAt(body, "max_tool_calls"),
  metadata: body["metadata"] ?? {},
  parallel_tool_calls: body["parallel_tool_calls"] !== false,
  presence_penalty: numberAt(body, "presence_penalty") ?? 0,
  previous_response_id: textAt(body, "previous_response_id"),
  prompt_cache_key: textAt(body, "prompt_cache_key"),
  reasoning: {
    effort: textAt(body, "reasoning", "effort"),
    summary: textAt(body, "reasoning", "summary")
  },
  safety_identifier: textAt(body, "safety_identifier"),
  service_tier: "default",
  store: body["store"] !== false,
  temperature: numberAt(body, "temperature") ?? 1,
  text: { format: at(body, "text", "format") ?? { type: "text" } },
  tool_choice: body["tool_choice"] ?? "auto",
  tools: listAt(body, "tools").map((tool) =>
    textAt(tool, "type") === "function"
      ? { description: null, parameters: null, strict: true, ...tool as object }
      : tool
  ),
  top_logprobs: numberAt(body, "top_logprobs") ?? 0,
  top_p: numberAt(body, "top_p") ?? 1,
  truncation: textAt(body, "truncation") ?? "disabled",
  user: textAt(body, "user")
})

const usageOf = ({ inputTokens, outputTokens }: ChatAnswer) => ({
  input_tokens: inputTokens,
  input_tokens_details: { cached_tokens: 0, cache_write_tokens: 0 },
  output_tokens: outputTokens,
  output_tokens_details: { reasoning_tokens: 0 },
  total_tokens: inputTokens + outputTokens
})

const textPart = (text: string): Item => ({ type: "output_text", text, annotations: [], logprobs: [] })

/** The one item of an answer: a message or a function call, before it is begun or when it is finished. */
const itemOf = (key: string, { call, finishReason, tokens }: Choice, isFinished: boolean): Item => {
  const status = !isFinished ? "in_progress" : finishReason === "length" ? "incomplete" : "completed"
  if (call !== null) {
    const text = isFinished ? call.arguments : ""
    return { id: `fc_sim_${key}`, type: "function_call", status, call_id: call.id, name: call.name, arguments: text }
  }
  const content = isFinished ? [textPart(tokens.join(""))] : []
  return { id: `msg_sim_${key}`, type: "message", status, role: "assistant", content }
}

const objectOf = (answer: ChatAnswer, body: JsonObject, isFinished: boolean): Item => {
  const [choice] = answer.choices
  const isCut = choice.finishReason === "length"
  return {
    id: responseIdOf(answer),
    object: "response",
    created_at: created,
    completed_at: isFinished && !isCut ? created : null,
    status: !isFinished ? "in_progress" : isCut ? "incomplete" : "completed",
    incomplete_details: isFinished && isCut ? { reason: "max_output_tokens" } : null,
    error: null,
    model: answer.model,
    output: isFinished ? [itemOf(answer.key, choice, true)] : [],
    usage: isFinished ? usageOf(answer) : null,
    ...settingsOf(body)
  }
}

export const responseOf = (answer: ChatAnswer, body: JsonObject): Item => objectOf(answer, body, true)

/** Events of the item while it grows. */
const growthOf = (choice: Choice, place: Item): ReadonlyArray<Item> => {
  if (choice.call !== null) {
    const { arguments: text, name } = choice.call
    return [
      ...piecesOf(tokensOf(text)).map((delta) => ({ type: "response.function_call_arguments.delta", ...place, delta })),
      { type: "response.function_call_arguments.done", ...place, name, arguments: text }
    ]
  }
  const text = choice.tokens.join("")
  const part = { ...place, content_index: 0 }
  return [
    { type: "response.content_part.added", ...part, part: textPart("") },
    ...piecesOf(choice.tokens).map((delta) => ({ type: "response.output_text.delta", ...part, delta, logprobs: [] })),
    { type: "response.output_text.done", ...part, text, logprobs: [] },
    { type: "response.content_part.done", ...part, part: textPart(text) }
  ]
}

/** All events of a stream, in order; the last one holds the whole answer. */
export const eventsOf = (answer: ChatAnswer, body: JsonObject): ReadonlyArray<Item & { readonly type: string }> => {
  const [choice] = answer.choices
  const begun = objectOf(answer, body, false)
  const whole = responseOf(answer, body)
  const item = itemOf(answer.key, choice, true)
  const events = [
    { type: "response.created", response: begun },
    { type: "response.in_progress", response: begun },
    { type: "response.output_item.added", output_index: 0, item: itemOf(answer.key, choice, false) },
    ...growthOf(choice, { item_id: item["id"], output_index: 0 }),
    { type: "response.output_item.done", output_index: 0, item },
    { type: `response.${String(whole["status"])}`, response: whole }
  ]
  return events.map((event, n) => ({ ...event, type: String(event["type"]), sequence_number: n }))
}
