/** A chat completion request as the simulated model reads it, and the errors that OpenAI's API answers to a bad one. */
import { type ErrorBody, errorBody } from "../openai/ErrorBody.js"
import { at, isObject, type JsonObject, listAt, numberAt, parseJson } from "../openai/Json.js"
import { readToolChoice, readTools, type Tool, type ToolChoice } from "./Tools.js"

export interface ChatMessage {
  readonly role: string
  readonly text: string
}

export interface ChatRequest {
  readonly model: string
  readonly messages: ReadonlyArray<ChatMessage>
  readonly stream: boolean
  readonly includeUsage: boolean
  readonly choices: number
  readonly temperature: number
  readonly seed: string
  readonly tokensMax: number | null
  readonly stop: ReadonlyArray<string>
  readonly tools: ReadonlyArray<Tool>
  readonly toolChoice: ToolChoice
}

/** An answer other than 200. */
export class Refusal {
  constructor(
    readonly status: number,
    readonly body: ErrorBody,
    readonly headers: Readonly<Record<string, string>> = {}
  ) {}
}

export const refusal = (status: number, message: string, code: string | null = null, param: string | null = null) =>
  new Refusal(status, errorBody(message, { type: "invalid_request_error", code, param }))

const choicesMax = 16

/** Text of a message: its parts that have one, joined by line feeds. */
export const textOf = (content: unknown): string =>
  typeof content === "string"
    ? content
    : Array.isArray(content)
    ? content.map((part: unknown) => at(part, "text")).filter((text) => typeof text === "string").join("\n")
    : ""

/** The JSON object that is the body of a model call, with the model that it names. */
export const parseModelCall = (body: Uint8Array): (JsonObject & { readonly model: string }) | Refusal => {
  const request = parseJson(new TextDecoder().decode(body))
  if (!isObject(request)) {
    return refusal(400, "We could not parse the JSON body of your request. The API expects a JSON object.")
  }
  const { model } = request
  if (typeof model !== "string" || model === "") return refusal(400, "you must provide a model parameter")
  return { ...request, model }
}

/** `temperature` has no effect other than that a `seed` counts when it is above 0. */
export const parseChatRequest = (body: Uint8Array): ChatRequest | Refusal => {
  const request = parseModelCall(body)
  if (request instanceof Refusal) return request
  const { messages, model, n, seed, stop, stream, temperature } = request
  if (messages === undefined) {
    return refusal(400, "Missing required parameter: 'messages'.", "missing_required_parameter", "messages")
  }
  if (!Array.isArray(messages)) {
    return refusal(400, "Invalid type for 'messages': expected an array of objects.", "invalid_type", "messages")
  }
  if (messages.length === 0) {
    return refusal(400, "Invalid 'messages': empty array. Expected at least 1 message.", "empty_array", "messages")
  }
  const bad = messages.findIndex((message) => !isObject(message) || typeof message["role"] !== "string")
  if (bad !== -1) {
    return refusal(
      400,
      `Missing required parameter: 'messages[${bad}].role'.`,
      "missing_required_parameter",
      `messages[${bad}].role`
    )
  }
  if (stream !== undefined && stream !== null && typeof stream !== "boolean") {
    return refusal(400, "Invalid type for 'stream': expected a boolean.", "invalid_type", "stream")
  }
  if (temperature !== undefined && temperature !== null && !(Number(temperature) >= 0 && Number(temperature) <= 2)) {
    return refusal(400, "Invalid 'temperature': expected a number from 0 to 2.", "invalid_value", "temperature")
  }
  if (n !== undefined && n !== null && !(Number.isInteger(n) && Number(n) >= 1 && Number(n) <= choicesMax)) {
    return refusal(400, `Invalid 'n': expected an integer from 1 to ${choicesMax}.`, "invalid_value", "n")
  }
  return {
    model,
    messages: messages.map((message: unknown) => ({
      role: String(at(message, "role")),
      text: textOf(at(message, "content"))
    })),
    stream: stream === true,
    includeUsage: at(request, "stream_options", "include_usage") === true,
    choices: numberAt(request, "n") ?? 1,
    temperature: numberAt(request, "temperature") ?? 1,
    seed: typeof seed === "number" ? String(seed) : "",
    tokensMax: numberAt(request, "max_completion_tokens") ?? numberAt(request, "max_tokens"),
    stop: typeof stop === "string" ? [stop] : listAt(request, "stop").filter((text) => typeof text === "string"),
    tools: readTools(request["tools"]),
    toolChoice: readToolChoice(request["tool_choice"])
  }
}
