/** Streams of Anthropic's Messages API. */
import { errorMessageOf } from "./ChatCompletion.js"
import { at, emptyRecord, isObject, numberAt, parseJson, textAt } from "./Json.js"
import { type Assembled, eventsOf, type SseEvent } from "./Sse.js"

type Draft = Record<string, unknown>

/** Per kind of delta, the field of the block that it appends to. */
const appends: ReadonlyMap<string, string> = new Map([
  ["text_delta", "text"],
  ["thinking_delta", "thinking"],
  ["signature_delta", "signature"],
  ["input_json_delta", "partial_json"]
])

const mergeDelta = (block: Draft, delta: unknown): void => {
  const type = textAt(delta, "type") ?? ""
  const field = appends.get(type)
  const piece = field === undefined ? undefined : at(delta, field)
  if (field !== undefined && typeof piece === "string") {
    block[field] = (typeof block[field] === "string" ? block[field] : "") + piece
  }
  const citation = at(delta, "citation")
  if (citation !== undefined) {
    block["citations"] = [
      ...(Array.isArray(block["citations"]) ? block["citations"] : []) as ReadonlyArray<unknown>,
      citation
    ]
  }
}

/** A tool's input arrives as pieces of JSON text; text that is not JSON (the stream was cut) stays as it came. */
const finished = ({ partial_json: json, ...block }: Draft): Draft => {
  if (typeof json !== "string" || json === "") return block
  const input = parseJson(json)
  return input === undefined ? { ...block, partial_json: json } : { ...block, input }
}

/** The message of a stream, with its usage; what had arrived when the stream was cut. */
export const assembleMessage = (stream: Uint8Array | ReadonlyArray<SseEvent>): Assembled => {
  let message: Draft | null = null
  let error: string | null = null
  const blocks = new Map<number, Draft>()
  for (const { data, event } of eventsOf(stream)) {
    const payload = parseJson(data)
    if (!isObject(payload)) continue
    const type = textAt(payload, "type") ?? event
    const index = numberAt(payload, "index") ?? 0
    if (type === "error") error = errorMessageOf(payload) ?? "the upstream reported an error"
    else if (type === "message_start") message = Object.assign(emptyRecord(), at(payload, "message"))
    else if (type === "content_block_start") {
      blocks.set(index, Object.assign(emptyRecord(), at(payload, "content_block")))
    } else if (type === "content_block_delta") {
      const block = blocks.get(index)
      if (block !== undefined) mergeDelta(block, at(payload, "delta"))
    } else if (type === "message_delta" && message !== null) {
      Object.assign(message, at(payload, "delta"))
      message["usage"] = Object.assign(emptyRecord(), message["usage"], at(payload, "usage"))
    }
  }
  if (message === null) return { object: null, error }
  message["content"] = [...blocks.entries()].toSorted(([a], [b]) => a - b).map(([, block]) => finished(block))
  return { object: message, error }
}
