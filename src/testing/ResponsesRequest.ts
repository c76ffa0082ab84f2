/** A Responses request as the simulated model reads it. */
import { at, isObject, type JsonObject, listAt, numberAt, textAt } from "../openai/Json.js"
import { type ChatMessage, type ChatRequest, parseModelCall, Refusal, refusal, textOf } from "./ChatRequest.js"
import { readToolChoice, readTools } from "./Tools.js"

export interface ResponsesRequest {
  /** The same, as a chat: the turns before it are those of `previous_response_id`. */
  readonly chat: ChatRequest
  /** The body as it came: an answer repeats most of its settings. */
  readonly body: JsonObject
  readonly stored: boolean
}

/** The turns of an answer that is continued; undefined when there is none of that id. */
export type TurnsOf = (responseId: string) => ReadonlyArray<ChatMessage> | undefined

const messageOf = (item: unknown): ReadonlyArray<ChatMessage> => {
  const type = textAt(item, "type") ?? "message"
  if (type === "message") {
    return [{ role: textAt(item, "role") ?? "user", text: textOf(at(item, "content")) }]
  }
  if (type.endsWith("_call_output")) return [{ role: "tool", text: textOf(at(item, "output")) }]
  // Calls, reasoning and what else an answer may hold: the model said it, and nothing of it is read.
  return [{ role: "assistant", text: "" }]
}

const parseInput = (input: unknown): ReadonlyArray<ChatMessage> | Refusal => {
  if (typeof input === "string") return [{ role: "user", text: input }]
  if (input === undefined) {
    return refusal(400, "Missing required parameter: 'input'.", "missing_required_parameter", "input")
  }
  if (!Array.isArray(input)) {
    return refusal(400, "Invalid type for 'input': expected a text or an array.", "invalid_type", "input")
  }
  const bad = input.findIndex((item) => !isObject(item))
  return bad === -1
    ? input.flatMap(messageOf)
    : refusal(400, `Invalid type for 'input[${bad}]': expected an object.`, "invalid_type", `input[${bad}]`)
}

export const parseResponsesRequest = (bytes: Uint8Array, turnsOf: TurnsOf): ResponsesRequest | Refusal => {
  const body = parseModelCall(bytes)
  if (body instanceof Refusal) return body
  const input = parseInput(body["input"])
  if (input instanceof Refusal) return input
  const linked = textAt(body, "previous_response_id")
  const before = linked === null ? [] : turnsOf(linked)
  if (before === undefined) {
    const message = `Previous response with id '${linked!.slice(0, 200)}' not found.`
    return refusal(400, message, "previous_response_not_found", "previous_response_id")
  }
  const instructions = textAt(body, "instructions")
  return {
    body,
    stored: body["store"] !== false,
    chat: {
      model: body.model,
      messages: [
        ...(instructions === null ? [] : [{ role: "system", text: instructions }]),
        ...before,
        ...input
      ],
      stream: body["stream"] === true,
      includeUsage: true,
      choices: 1,
      temperature: numberAt(body, "temperature") ?? 1,
      seed: "",
      tokensMax: numberAt(body, "max_output_tokens"),
      stop: [],
      tools: readTools(listAt(body, "tools")),
      toolChoice: readToolChoice(body["tool_choice"])
    }
  }
}
