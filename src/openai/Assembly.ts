/** What the assemblers of all dialects share: reading the events of a stream, the errors in it, and the limit on its parts. */
import { EventShape } from "./EventShape.js"
import { isObject, type JsonObject, parseEach, textAt } from "./Json.js"
import { errorOf, namedError, type ReportedError } from "./ReportedError.js"
import { eventsOf, type SseEvent } from "./Sse.js"

/** The answer rebuilt from a stream, as the endpoint would have given it without streaming. */
export interface Assembled {
  /** Null when the stream held nothing to build it from. Partial when the stream was cut. */
  readonly object: Record<string, unknown> | null
  /** An error that the upstream reported after it had answered 200. */
  readonly error: ReportedError | null
  /** The event came after which nothing more of an answer does: who leaves then has all of it. */
  readonly isOver: boolean
  /** Each event was looked at. */
  readonly isAllRead: boolean
  /** How many events, or members of lists that came as one, are no JSON object. */
  readonly unreadable: number
  /** The last event that was looked at is no JSON at all, as one is that broke off. */
  readonly isLastUnreadable: boolean
  /** What of the stream is not in the object, in a few words; null when all of it is. */
  readonly reason: string | null
}

export interface StreamEvent {
  readonly type: string | undefined
  readonly payload: JsonObject
}

/** Most choices, tool calls, blocks and items of one answer together: each costs far more memory than its bytes. */
const partsMax = 4096

/** Most events that are no JSON: each costs what hundreds that are cost. What follows is not read. */
const unreadableMax = 1024

/** Most events of one stream that are read: an answer of a million tokens in threes, and half a second of the writer thread. */
export const eventsMax = 500_000

/** So many events are parsed in one go, which takes half the time of one by one. */
const parsedTogether = 64
/** Of fewer events it is not worth it to find out how they are alike. */
const likeMin = 8

/** What is read of one stream; an assembler makes one for each. */
export class Assembly {
  private error: ReportedError | null = null
  private unreadable = 0
  private isLastUnreadable = false
  private count = 0
  private parts = 0
  private shape: EventShape | null = null
  /** Set where the last event of an answer was read. */
  isOver = false

  /** Keeps the first error that is reported. True when the object reports one. */
  reports(object: unknown): boolean {
    const found = errorOf(object)
    this.error ??= found
    return found !== null
  }

  /**
   * The events that carry an object; a list of objects (Gemini's errors) counts as so many events. Events that are alike are the
   * same object, good until the next one is asked for.
   */
  *events(stream: Uint8Array | Iterable<SseEvent>): Iterable<StreamEvent> {
    let texts: Array<string> = []
    let types: Array<string | undefined> = []
    for (const { data, event } of eventsOf(stream)) {
      const text = data.trim()
      if (text === "[DONE]") this.isOver = true
      if (text === "" || text === "[DONE]") continue
      this.count += 1
      if (this.count > eventsMax) break
      texts.push(text)
      types.push(event)
      if (texts.length < parsedTogether) continue
      yield* this.objectsOf(texts, types)
      if (this.unreadable > unreadableMax) return
      texts = []
      types = []
    }
    yield* this.objectsOf(texts, types)
  }

  private *objectsOf(texts: ReadonlyArray<string>, types: ReadonlyArray<string | undefined>): Iterable<StreamEvent> {
    const middle = texts.length >> 1
    if (this.shape === null && texts.length > likeMin) this.shape = EventShape.of(texts[middle]!, texts[middle + 1]!)
    const { shape } = this
    const pieces = shape === null ? [] : texts.map((text) => shape.textOf(text))
    const others = shape === null ? texts : texts.filter((_, place) => pieces[place] === undefined)
    if (others.length > middle) this.shape = null
    const values = parseEach(others)
    let next = 0
    for (let place = 0; place < texts.length; place++) {
      const piece = pieces[place]
      const parsed = piece === undefined ? values[next++] : shape!.eventWith(piece)
      const type = types[place]
      this.isLastUnreadable = parsed === undefined
      // Clients go by the name, whatever the data is.
      if (type === "error" && errorOf(parsed) === null) this.error ??= namedError(parsed, texts[place]!)
      else if (isObject(parsed)) yield { type: textAt(parsed, "type") ?? type, payload: parsed }
      else if (Array.isArray(parsed)) {
        for (const payload of parsed as ReadonlyArray<unknown>) {
          if (isObject(payload)) yield { type: textAt(payload, "type") ?? type, payload }
          else this.unreadable += 1
        }
      } else this.unreadable += 1
    }
  }

  /** The part under a key, made when there is none; undefined once the answer has more parts than are kept. */
  part<K, V>(parts: Map<K, V>, key: K, make: () => V): V | undefined {
    const known = parts.get(key)
    if (known !== undefined) return known
    this.parts += 1
    if (this.parts > partsMax) return undefined
    const made = make()
    parts.set(key, made)
    return made
  }

  private get unreadableText(): string {
    return this.unreadable > unreadableMax ? `over ${unreadableMax}` : String(this.unreadable)
  }

  result(object: Record<string, unknown> | null): Assembled {
    const reasons = [
      ...(this.unreadable > 0 ? [`${this.unreadableText} of its events are not JSON objects`] : []),
      ...(this.count > eventsMax ? [`more than ${eventsMax} events`] : []),
      ...(this.parts > partsMax ? [`more than ${partsMax} parts`] : []),
      ...(object === null && this.error === null ? ["no event that could be read"] : [])
    ]
    return {
      object,
      error: this.error,
      isOver: this.isOver,
      isAllRead: this.count <= eventsMax && this.unreadable <= unreadableMax,
      unreadable: this.unreadable,
      isLastUnreadable: this.isLastUnreadable,
      reason: reasons.length === 0 ? null : reasons.join(", ")
    }
  }
}

/** The values of parts that are known by number, in the order of the numbers. */
export const inOrder = <V>(parts: ReadonlyMap<number, V>): ReadonlyArray<V> =>
  [...parts].toSorted(([a], [b]) => a - b).map(([, part]) => part)
