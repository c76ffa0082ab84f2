/** Server-sent events, read from a recorded stream. */
import { Finder } from "./Finder.js"
import { utf8Of } from "./Json.js"

export interface SseEvent {
  /** Value of the `event` field; absent when the event has none. */
  readonly event?: string
  /** The `data` lines joined by line feeds. */
  readonly data: string
}

/** Finds the end of each line in turn; the end of the text when no line ends any more. */
class LineEnds {
  private readonly feeds: Finder<string>
  private readonly returns: Finder<string>
  /** Where the line after the one found last begins. */
  next = 0

  constructor(private readonly text: string) {
    this.feeds = new Finder<string>(text, "\n")
    this.returns = new Finder<string>(text, "\r")
  }

  /** The end of the line that begins at `next`; moves `next` past it. */
  find(): number {
    const feed = this.feeds.from(this.next)
    const carriageReturn = this.returns.from(this.next)
    if (carriageReturn !== -1 && (feed === -1 || carriageReturn < feed)) {
      this.next = feed === carriageReturn + 1 ? feed + 1 : carriageReturn + 1
      return carriageReturn
    }
    const end = feed === -1 ? this.text.length : feed
    this.next = end + 1
    return end
  }
}

/**
 * The events of a whole recorded stream, in order, by the rules of the WHATWG specification (any mix of CRLF, LF and CR,
 * comments, several data lines, a byte order mark), save two: an event that the end of the stream cut off before its
 * blank line counts, since clients of model APIs count it too, and llama.cpp's field `error` is an event of that name. Bytes that
 * are not UTF-8 become U+FFFD.
 */
export function* parseSse(stream: Uint8Array): Iterable<SseEvent> {
  const text = utf8Of(stream)
  const ends = new LineEnds(text)
  const colons = new Finder<string>(text, ":")
  let name: string | undefined
  let data: string | undefined
  while (ends.next <= text.length) {
    const start = ends.next
    const end = ends.find()
    if (end === start) {
      if (data !== undefined) yield { ...(name !== undefined && { event: name }), data }
      name = data = undefined
      continue
    }
    const colon = colons.from(start)
    if (colon === start) continue
    const fieldEnd = colon === -1 || colon > end ? end : colon
    const valueStart = fieldEnd === end ? end : text[colon + 1] === " " ? colon + 2 : colon + 1
    const value = () => text.slice(Math.min(valueStart, end), end)
    if (fieldEnd === start + 4 && text.startsWith("data", start)) {
      data = data === undefined
        ? value()
        : `${data}\n${value()}`
    } else if (fieldEnd === start + 5 && text.startsWith("event", start)) name = value() || undefined
    else if (fieldEnd === start + 5 && text.startsWith("error", start)) {
      name = "error"
      data = value()
    }
  }
  if (data !== undefined) yield { ...(name !== undefined && { event: name }), data }
}

/** What the assemblers take: the recorded bytes, or the events already read from them. */
export const eventsOf = (stream: Uint8Array | Iterable<SseEvent>): Iterable<SseEvent> =>
  stream instanceof Uint8Array ? parseSse(stream) : stream
