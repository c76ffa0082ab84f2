/**
 * What was said in a recorded call, whichever API it was said in: messages made of parts, as OpenTelemetry's GenAI
 * conventions write them.
 */
import { finishReasons } from "./ChatCompletion.js"
import { decodeBody, recordedCodings } from "./Decode.js"
import { at, isObject, type JsonObject, listAt, mayRound, parseJson, textAt, utf8Of } from "./Json.js"
import { keepInputs } from "./ToolInputs.js"

export type Part =
  | { readonly type: "text"; readonly content: string }
  | { readonly type: "reasoning"; readonly content: string }
  /** `arguments` as the JSON value they are, or as text when they are none, or have numbers that might not survive it. */
  | { readonly type: "tool_call"; readonly id: string | null; readonly name: string; readonly arguments: unknown }
  | { readonly type: "tool_call_response"; readonly id: string | null; readonly response: unknown }
  /** Anything else, an image for instance: its kind as the wire calls it, and the part as it was. */
  | { readonly type: "other"; readonly kind: string; readonly value: unknown }

export interface Message {
  readonly role: string
  readonly parts: ReadonlyArray<Part>
  /** Of an answer: why it ended, in the words of the wire. */
  readonly finishReason?: string
}

export interface Conversation {
  /** What was sent, system instructions first. */
  readonly input: ReadonlyArray<Message>
  /** Of it, the instructions that are given apart from the turns. */
  readonly instructions: ReadonlyArray<Message>
  readonly turns: ReadonlyArray<Message>
  /** What was answered: one message per choice. */
  readonly output: ReadonlyArray<Message>
  /** The definitions of the tools that the answer may call, as they were sent. */
  readonly tools: ReadonlyArray<unknown>
}

/** Whether a message tells the model what to do, whoever talks to it. */
export const isInstruction = ({ role }: Message): boolean => role === "system" || role === "developer"

/** `request` and `answer` are JSON values; what is not understood is left out or kept as an `other` part. */
export const conversationOf = (request: unknown, answer: unknown): Conversation => {
  const instructions = instructionsOf(request)
  const turns = turnsOf(request)
  return {
    input: [...instructions, ...turns],
    instructions,
    turns,
    output: answersOf(answer),
    tools: listAt(request, "tools")
  }
}

/** The JSON value of a recorded body, whatever its content encoding; undefined when it holds none. */
export const jsonOfBody = (body: Uint8Array): unknown => {
  for (const coding of recordedCodings) {
    const decoded = decodeBody(body, coding)
    if (!("bytes" in decoded)) continue
    const value = parseJson(utf8Of(decoded.bytes))
    if (value === undefined) continue
    const { buffer, byteLength, byteOffset } = decoded.bytes
    keepInputs(Buffer.from(buffer, byteOffset, byteLength), value)
    return value
  }
  return undefined
}

/** The text of a recorded body: of its JSON, else as it is, unpacked where it is gzip. */
export const textOfBody = (body: Uint8Array): string => {
  const texts = recordedCodings.map((coding) => {
    const decoded = decodeBody(body, coding)
    return "bytes" in decoded ? utf8Of(decoded.bytes) : undefined
  })
  const [plain, gunzipped] = texts
  return texts.find((one) => one !== undefined && parseJson(one) !== undefined) ?? gunzipped ?? plain ?? ""
}

const text = (content: string): Part => ({ type: "text", content })

const instructionsOf = (request: unknown): ReadonlyArray<Message> => {
  const parts = [at(request, "instructions"), at(request, "system")].flatMap(partsOf)
  return parts.length === 0 ? [] : [{ role: "system", parts }]
}

const turnsOf = (request: unknown): ReadonlyArray<Message> => {
  const chat = at(request, "messages")
  const prompt = chat ?? at(request, "input") ?? at(request, "prompt")
  // A `prompt` that is an object names one that the server keeps.
  const turns: ReadonlyArray<unknown> = Array.isArray(prompt) ? prompt : isObject(prompt) ? [] : [prompt]
  const messages = turns.flatMap(messagesOf)
  return chat === undefined ? joined(messages) : messages
}

/** Thoughts, words and calls are items of their own in a Responses request: those of one answer are one message, as in the answer itself. */
const joined = (messages: ReadonlyArray<Message>): ReadonlyArray<Message> => {
  const turns: Array<{ readonly role: string; readonly parts: Array<Part> }> = []
  for (const { parts, role } of messages) {
    const last = turns.at(-1)
    if (role !== "assistant" || last?.role !== "assistant") turns.push({ role, parts: [...parts] })
    // One by one: a function takes no more than some hundred thousand arguments.
    else for (const part of parts) last.parts.push(part)
  }
  return turns
}

/** A turn of a chat, an item of a Responses request, or the plain text of either. */
const messagesOf = (turn: unknown): ReadonlyArray<Message> => {
  if (typeof turn === "string") return [{ role: "user", parts: [text(turn)] }]
  if (!isObject(turn)) return turn === undefined ? [] : [{ role: "user", parts: [other("value", turn)] }]
  const role = textAt(turn, "role")
  if (role === null) {
    const isResult = /_(output|response)$/.test(textAt(turn, "type") ?? "")
    return [{ role: isResult ? "tool" : "assistant", parts: [partOf(turn)] }]
  }
  const result = role === "tool" || role === "function"
  const parts = result
    ? [{ type: "tool_call_response" as const, id: textAt(turn, "tool_call_id"), response: plain(at(turn, "content")) }]
    : [...reasoningOf(turn), ...partsOf(at(turn, "content")), ...callsOf(turn)]
  // Anthropic gives the results of tools in a turn of the user's.
  const isResult = parts.length > 0 && parts.every(({ type }) => type === "tool_call_response")
  return [{ role: isResult ? "tool" : role, parts }]
}

/** A text that is said in one part, or in a list of text parts, as one text; anything else as it is. */
const plain = (content: unknown): unknown => {
  const parts = partsOf(content)
  return parts.every((part) => part.type === "text") ? parts.map((part) => part.content).join("") : content
}

const partsOf = (content: unknown): ReadonlyArray<Part> => {
  if (typeof content === "string") return content === "" ? [] : [text(content)]
  return Array.isArray(content) ? content.map(partOf) : []
}

const reasoningNames = ["reasoning_content", "reasoning", "reasoning_text"] as const

const reasoningOf = (message: JsonObject): ReadonlyArray<Part> => {
  const content = reasoningNames.map((name) => textAt(message, name)).find((found) => found !== null)
  return content === undefined || content === null ? [] : [{ type: "reasoning", content }]
}

const callsOf = (message: JsonObject): ReadonlyArray<Part> => {
  const single = at(message, "function_call")
  return [...listAt(message, "tool_calls"), ...(isObject(single) ? [{ function: single }] : [])].map((call) =>
    toolCall(
      textAt(call, "id"),
      textAt(call, "function", "name") ?? textAt(call, "custom", "name"),
      at(call, "function", "arguments") ?? at(call, "custom", "input")
    )
  )
}

const toolCall = (id: string | null, name: string | null, given: unknown): Part => ({
  type: "tool_call",
  id,
  name: name ?? "unknown",
  arguments: typeof given === "string" ? argumentsIn(given) : given ?? null
})

const argumentsIn = (given: string): unknown => mayRound(given) ? given : parseJson(given) ?? given

const other = (kind: string, value: unknown): Part => ({ type: "other", kind, value })

const partOf = (part: unknown): Part => {
  const type = textAt(part, "type") ?? "unknown"
  switch (type) {
    case "text":
    case "input_text":
    case "output_text":
      return text(textAt(part, "text") ?? "")
    case "refusal":
      return text(textAt(part, "refusal") ?? "")
    case "audio":
    case "output_audio":
      return spoken(part) ?? other(type, part)
    case "thinking":
      return { type: "reasoning", content: textAt(part, "thinking") ?? listText(listAt(part, "thinking")) }
    case "reasoning":
      return { type: "reasoning", content: listText([...listAt(part, "content"), ...listAt(part, "summary")]) }
    case "tool_use":
    case "server_tool_use":
      // The JSON of an input that is not whole, or would be rounded.
      return toolCall(textAt(part, "id"), textAt(part, "name"), textAt(part, "partial_json") ?? at(part, "input"))
    case "function_call":
    case "custom_tool_call":
      return toolCall(
        textAt(part, "call_id") ?? textAt(part, "id"),
        textAt(part, "name"),
        at(part, "arguments") ?? at(part, "input")
      )
    case "tool_result":
      return { type: "tool_call_response", id: textAt(part, "tool_use_id"), response: plain(at(part, "content")) }
    case "function_call_output":
    case "custom_tool_call_output":
      return { type: "tool_call_response", id: textAt(part, "call_id"), response: plain(at(part, "output")) }
    default:
      return other(type, part)
  }
}

/** What was said aloud, in words. */
const spoken = (audio: unknown): Part | null => {
  const transcript = textAt(audio, "transcript")
  return transcript === null ? null : text(transcript)
}

const listText = (parts: ReadonlyArray<unknown>): string => parts.map((part) => textAt(part, "text") ?? "").join("\n")

const answersOf = (answer: unknown): ReadonlyArray<Message> => {
  const choices = listAt(answer, "choices")
  if (choices.length > 0) return choices.map(choiceMessage)
  const parts = [...listAt(answer, "output").flatMap(itemParts), ...partsOf(at(answer, "content"))]
  const [reason] = finishReasons(answer)
  // A refusal may say nothing but that it is one.
  if (parts.length === 0 && reason === undefined) return []
  return [{ role: "assistant", parts, ...(reason !== undefined && { finishReason: reason }) }]
}

const itemParts = (item: unknown): ReadonlyArray<Part> =>
  at(item, "type") === "message" ? partsOf(at(item, "content")) : [partOf(item)]

const choiceMessage = (choice: unknown): Message => {
  const message = at(choice, "message")
  const reason = textAt(choice, "finish_reason")
  const refusal = textAt(message, "refusal")
  const speech = spoken(at(message, "audio"))
  const parts = isObject(message)
    ? [
      ...reasoningOf(message),
      ...partsOf(at(message, "content")),
      ...(speech === null ? [] : [speech]),
      ...(refusal === null ? [] : [text(refusal)]),
      ...callsOf(message)
    ]
    : partsOf(at(choice, "text"))
  return { role: textAt(message, "role") ?? "assistant", parts, ...(reason !== null && { finishReason: reason }) }
}
