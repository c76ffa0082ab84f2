/** Streams of the Responses API. */
import { errorMessageOf } from "./ChatCompletion.js"
import { at, emptyRecord, isObject, numberAt, parseJson, textAt } from "./Json.js"
import { type Assembled, eventsOf, type SseEvent } from "./Sse.js"

const terminalTypes = ["response.completed", "response.failed", "response.incomplete"]

/**
 * The Responses object of a stream: the one that the terminal event carries. Without a terminal event (the stream was cut),
 * the one announced at the start with the output items that were finished.
 */
export const assembleResponse = (stream: Uint8Array | ReadonlyArray<SseEvent>): Assembled => {
  let announced: unknown
  let error: string | null = null
  const items = new Map<number, unknown>()
  for (const { data, event } of eventsOf(stream)) {
    const payload = parseJson(data)
    const type = textAt(payload, "type") ?? event
    if (type === undefined || !isObject(payload)) continue
    if (type === "error") {
      error = textAt(payload, "message") ?? errorMessageOf(payload) ?? "the upstream reported an error"
    }
    const response = at(payload, "response")
    if (isObject(response)) announced = response
    if (terminalTypes.includes(type) && isObject(response)) {
      return { object: Object.assign(emptyRecord(), response), error: error ?? errorMessageOf(response) }
    }
    if (type === "response.output_item.done") {
      items.set(numberAt(payload, "output_index") ?? items.size, payload["item"])
    }
  }
  if (!isObject(announced)) return { object: null, error }
  const output = [...items.entries()].toSorted(([a], [b]) => a - b).map(([, item]) => item)
  return { object: Object.assign(emptyRecord(), announced, { output }), error }
}
