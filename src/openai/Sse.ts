/** Server-sent events, read from a recorded stream. */
import { utf8Of } from "./Json.js"

export interface SseEvent {
  /** Value of the `event` field; absent when the event has none. */
  readonly event?: string
  /** The `data` lines joined by line feeds. */
  readonly data: string
}

/**
 * The events of a whole recorded stream, in order, by the rules of the WHATWG specification (any mix of CRLF, LF and CR,
 * comments, several data lines, a byte order mark), save one: an event that the end of the stream cut off before its
 * blank line counts, since clients of model APIs count it too. Bytes that are not UTF-8 become U+FFFD.
 */
export const parseSse = (stream: Uint8Array): ReadonlyArray<SseEvent> => {
  const events: Array<SseEvent> = []
  let name: string | undefined
  let data: Array<string> = []
  const dispatch = () => {
    if (data.length > 0) events.push({ ...(name !== undefined && { event: name }), data: data.join("\n") })
    name = undefined
    data = []
  }
  for (const line of utf8Of(stream).split(/\r\n|\n|\r/)) {
    if (line === "") {
      dispatch()
      continue
    }
    const colon = line.indexOf(":")
    if (colon === 0) continue
    const field = colon === -1 ? line : line.slice(0, colon)
    const value = colon === -1 ? "" : line.slice(line[colon + 1] === " " ? colon + 2 : colon + 1)
    if (field === "data") data.push(value)
    else if (field === "event") name = value === "" ? undefined : value
  }
  dispatch()
  return events
}

/** What the assemblers take: the recorded bytes, or the events already read from them. */
export const eventsOf = (stream: Uint8Array | ReadonlyArray<SseEvent>): ReadonlyArray<SseEvent> =>
  stream instanceof Uint8Array ? parseSse(stream) : stream

/** The answer rebuilt from a stream, as the endpoint would have given it without streaming. */
export interface Assembled {
  /** Null when the stream held nothing to build it from. Partial when the stream was cut. */
  readonly object: Record<string, unknown> | null
  /** The message of an error that the upstream reported after it had answered 200. */
  readonly error: string | null
}
