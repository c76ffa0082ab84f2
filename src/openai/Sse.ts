/** Server-sent events, read from a recorded stream. */
import { utf8Of } from "./Json.js"

export interface SseEvent {
  /** Value of the `event` field; absent when the event has none. */
  readonly event?: string
  /** The `data` lines joined by line feeds. */
  readonly data: string
}

/** One line at a time: a list of all lines would be many times as large as the text. */
function* linesOf(text: string): Iterable<string> {
  const lineEnd = /\r\n|\n|\r/g
  for (let start = 0;;) {
    const found = lineEnd.exec(text)
    if (found === null) {
      yield text.slice(start)
      return
    }
    yield text.slice(start, found.index)
    start = lineEnd.lastIndex
  }
}

/**
 * The events of a whole recorded stream, in order, by the rules of the WHATWG specification (any mix of CRLF, LF and CR,
 * comments, several data lines, a byte order mark), save one: an event that the end of the stream cut off before its
 * blank line counts, since clients of model APIs count it too. Bytes that are not UTF-8 become U+FFFD.
 */
export function* parseSse(stream: Uint8Array): Iterable<SseEvent> {
  let name: string | undefined
  let data: string | undefined
  for (const line of linesOf(utf8Of(stream))) {
    if (line === "") {
      if (data !== undefined) yield { ...(name !== undefined && { event: name }), data }
      name = data = undefined
      continue
    }
    const colon = line.indexOf(":")
    if (colon === 0) continue
    const field = colon === -1 ? line : line.slice(0, colon)
    const value = colon === -1 ? "" : line.slice(line[colon + 1] === " " ? colon + 2 : colon + 1)
    if (field === "data") data = data === undefined ? value : `${data}\n${value}`
    else if (field === "event") name = value === "" ? undefined : value
  }
  if (data !== undefined) yield { ...(name !== undefined && { event: name }), data }
}

/** What the assemblers take: the recorded bytes, or the events already read from them. */
export const eventsOf = (stream: Uint8Array | Iterable<SseEvent>): Iterable<SseEvent> =>
  stream instanceof Uint8Array ? parseSse(stream) : stream
