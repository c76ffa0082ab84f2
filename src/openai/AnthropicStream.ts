/** Streams of Anthropic's Messages API. */
import { type Assembled, Assembly, inOrder } from "./Assembly.js"
import { at, emptyRecord, isObject, type JsonObject, mayRound, numberAt, parseJson, textAt } from "./Json.js"
import type { SseEvent } from "./Sse.js"

type Draft = Record<string, unknown>

/** Per kind of delta, the field of the block that it appends to, and the kind of block when its start is missing. */
const appends: ReadonlyMap<string, readonly [field: string, block: string]> = new Map([
  ["text_delta", ["text", "text"]],
  ["thinking_delta", ["thinking", "thinking"]],
  ["signature_delta", ["signature", "thinking"]],
  ["input_json_delta", ["partial_json", "tool_use"]]
])

const draftOf = (value: unknown): Draft => Object.assign(emptyRecord(), isObject(value) ? value : {})

const mergeDelta = (block: Draft, delta: JsonObject): void => {
  const [field, kind] = appends.get(textAt(delta, "type") ?? "") ?? []
  block["type"] ??= kind
  for (const key of Object.keys(delta)) {
    const value = delta[key]
    if (key === "type") continue
    if (key === "citation") {
      if (!Array.isArray(block["citations"])) block["citations"] = []
      ;(block["citations"] as Array<unknown>).push(value)
    } else if (key === field && typeof value === "string" && typeof block[key] === "string") block[key] += value
    else if (value !== null) block[key] = value
  }
}

/** Counts in a stream are cumulative: the largest is the latest, also where a server sends null or 0 at one end. */
const mergeUsage = (known: unknown, news: unknown): unknown => {
  if (!isObject(news)) return known
  const usage = draftOf(known)
  for (const key of Object.keys(news)) {
    const [before, value] = [usage[key], news[key]]
    if (typeof before === "number" && typeof value === "number") usage[key] = Math.max(before, value)
    else if (value !== null || before === undefined) usage[key] = value
  }
  return usage
}

/** A tool's input arrives as pieces of JSON text, which stays where the input is not all of it: cut off, or rounded. */
const finished = ({ partial_json: json, ...block }: Draft): Draft => {
  if (typeof json !== "string" || json === "") return block
  const input = parseJson(json)
  if (input === undefined) return { ...block, partial_json: json }
  return { ...block, input, ...(mayRound(json) && { partial_json: json }) }
}

/** The message of a stream, with its usage; what had arrived when the stream was cut. */
export const assembleMessage = (stream: Uint8Array | Iterable<SseEvent>): Assembled => {
  const assembly = new Assembly()
  const message: Draft = emptyRecord()
  const blocks = new Map<number, Draft>()
  let seen = false
  for (const { payload, type } of assembly.events(stream)) {
    const index = numberAt(payload, "index") ?? 0
    const isError = assembly.reports(payload)
    if (isError || type === "ping") continue
    seen = true
    if (type === "message_stop") assembly.isOver = true
    if (type === "message_start") Object.assign(message, draftOf(at(payload, "message")))
    else if (type === "content_block_start") {
      const block = assembly.part(blocks, index, emptyRecord)
      if (block !== undefined) Object.assign(block, draftOf(at(payload, "content_block")))
      // The model that was asked has declined: what follows is another one's.
      if (block?.["type"] === "fallback") message["model"] = textAt(block["to"], "model") ?? message["model"]
    } else if (type === "content_block_delta") {
      const delta = at(payload, "delta")
      const block = isObject(delta) ? assembly.part(blocks, index, emptyRecord) : undefined
      if (block !== undefined) mergeDelta(block, delta as JsonObject)
    } else if (type === "message_delta") {
      // What is of the whole message, `context_management` for one, stands beside the delta.
      const { delta, type: _, usage, ...fields } = payload
      for (const [key, value] of Object.entries({ ...draftOf(delta), ...fields })) {
        if (value !== null || !(key in message)) message[key] = value
      }
      message["usage"] = mergeUsage(message["usage"], usage)
    }
  }
  if (!seen) return assembly.result(null)
  message["type"] ??= "message"
  if (message["usage"] === undefined) delete message["usage"]
  if (blocks.size > 0 || !Array.isArray(message["content"])) message["content"] = inOrder(blocks).map(finished)
  return assembly.result(message)
}
