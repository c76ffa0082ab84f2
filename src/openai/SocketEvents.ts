/** Model calls over a WebSocket: the messages of OpenAI's Responses and Realtime APIs, and how a call's are kept. */
import { at, isObject, type JsonObject, numberAt, parseJson, textAt, utf8Of } from "./Json.js"
import type { SseEvent } from "./Sse.js"

/** Most messages begin with their type, which saves parsing them. */
const typeFirst = /^\s*\{\s*"type"\s*:\s*"([\w.]{1,100})"/
const headBytes = 160

/** A message as far as it is understood: its type, and itself only where somebody asks. */
export class SocketEvent {
  readonly type: string | null
  private parsed: JsonObject | null | undefined

  /** `type` where it was read as the message passed, which is not kept whole. */
  constructor(private readonly bytes: Uint8Array, type: string | null) {
    this.type = typeFirst.exec(utf8Of(bytes.subarray(0, headBytes)))?.[1] ?? type ?? textAt(this.object, "type")
  }

  /** Null when the message is no JSON object. */
  get object(): JsonObject | null {
    if (this.parsed === undefined) {
      const value = parseJson(utf8Of(this.bytes))
      this.parsed = isObject(value) ? value : null
    }
    return this.parsed
  }

  get streamId(): string | null {
    return textAt(this.object, "stream_id")
  }

  get responseId(): string | null {
    return textAt(this.object, "response_id") ?? textAt(this.object, "response", "id")
  }

  get eventId(): string | null {
    return textAt(this.object, "event_id")
  }

  /** The client's message that an error is about, where it says so. */
  get causeId(): string | null {
    return textAt(at(this.object, "error"), "event_id")
  }

  /** It has a place among the events of a response. */
  get isOfStream(): boolean {
    return numberAt(this.object, "sequence_number") !== null
  }

  /** It asks for a model call. */
  get isRequest(): boolean {
    return this.type === "response.create"
  }

  get isTerminal(): boolean {
    return this.type !== null && terminalTypes.has(this.type)
  }
}

/** The events after which nothing more of a response comes. */
export const terminalTypes: ReadonlySet<string> = new Set([
  "response.completed",
  "response.failed",
  "response.incomplete",
  "response.done"
])

/** A message as one line: JSON has no line ends but between its tokens, where a space says the same. */
export const lineOf = (message: Uint8Array): Uint8Array => {
  const line = new Uint8Array(message.length + 1)
  line.set(message)
  for (const end of [10, 13]) {
    for (let place = line.indexOf(end); place !== -1; place = line.indexOf(end, place + 1)) line[place] = 32
  }
  line[message.length] = 10
  return line
}

/** The events of recorded lines, in order. */
export function* eventsOfLines(lines: Uint8Array): Generator<SseEvent, void> {
  const text = utf8Of(lines)
  for (let start = 0; start < text.length;) {
    const found = text.indexOf("\n", start)
    const end = found === -1 ? text.length : found
    if (end > start) yield { data: text.slice(start, end) }
    start = end + 1
  }
}
