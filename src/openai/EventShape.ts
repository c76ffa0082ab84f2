/**
 * Most events of a stream are as the one before save for one text, the next piece of the answer. Putting that text in place takes
 * a fraction of reading the event anew.
 */
import { isObject, type JsonObject, parseJson } from "./Json.js"
import { backslash, quote } from "./jsonBytes.js"

type Holder = Record<string, unknown>

/** Stands for the text; were it in an event already, the place would not be found. */
const probe = "tau: the text that differs"

/** Whether a text must be read as JSON to know what it says: it has a quote, an escape, or a control character, which is none. */
const isEscaped = (text: string): boolean => {
  for (let place = 0; place < text.length; place++) {
    const code = text.charCodeAt(place)
    if (code === quote || code === backslash || code < 0x20) return true
  }
  return false
}

/** OpenAI pads its events with noise, which nobody reads. */
const padding = ",\"obfuscation\":\""

/** The event without padding at its end. */
const unpadded = (text: string): string => {
  const start = text.endsWith("\"}") ? text.lastIndexOf(padding) : -1
  if (start === -1 || isEscaped(text.slice(start + padding.length, -2))) return text
  return `${text.slice(0, start)}}`
}

export class EventShape {
  private constructor(
    private readonly before: string,
    private readonly after: string,
    private readonly event: JsonObject,
    private readonly holder: Holder,
    private readonly key: string
  ) {}

  /**
   * The shape that two events share; null when they differ in more than one text. Besides the one text and what it lies in,
   * such an event holds numbers, texts and the like: nothing that whoever reads it could keep a part of.
   */
  static of(one: string, other: string): EventShape | null {
    const [a, b] = [unpadded(one), unpadded(other)]
    const shorter = Math.min(a.length, b.length)
    let same = 0
    while (same < shorter && a[same] === b[same]) same += 1
    let sameAtEnd = 0
    while (sameAtEnd < shorter - same && a.at(-1 - sameAtEnd) === b.at(-1 - sameAtEnd)) sameAtEnd += 1
    const before = a.slice(0, a.lastIndexOf("\"", same - 1) + 1)
    const closing = a.indexOf("\"", a.length - sameAtEnd)
    if (before === "" || closing === -1) return null
    const after = a.slice(closing)
    // Whatever the quotes found are: where the probe comes out as one whole value, any other text does.
    const event = parseJson(before + probe + after)
    const place = isObject(event) ? placeOf(event) : null
    return place === null ? null : new EventShape(before, after, event as JsonObject, ...place)
  }

  /** The text of an event of this shape; undefined for any other event. Slices: `startsWith` takes four times as long. */
  textOf(event: string): string | undefined {
    const { after, before } = this
    const plain = event.slice(-after.length) === after ? event : unpadded(event)
    const end = plain.length - after.length
    if (end < before.length || plain.slice(0, before.length) !== before || plain.slice(end) !== after) return undefined
    const text = plain.slice(before.length, end)
    if (!isEscaped(text)) return text
    const parsed = parseJson(`"${text}"`)
    return typeof parsed === "string" ? parsed : undefined
  }

  /** The event with that text; the same object each time. */
  eventWith(text: string): JsonObject {
    this.holder[this.key] = text
    return this.event
  }
}

/** What readers of events take apart and keep nothing of. */
const takenApart = new Set(["choices", "delta", "tool_calls", "function"])

/** Where the probe is, if all that it lies in is such an object in another, or the only one of a list, and nothing else is nested. */
const placeOf = (value: JsonObject): readonly [holder: Holder, key: string] | null => {
  let found: readonly [Holder, string] | null = null
  let inner: JsonObject | null = null
  for (const key of Object.keys(value)) {
    const child = value[key]
    if (child === probe) {
      if (found !== null) return null
      found = [value as Holder, key]
    } else if (typeof child === "object" && child !== null) {
      const only: unknown = Array.isArray(child) && child.length === 1 ? child[0] : child
      if (inner !== null || !isObject(only) || !takenApart.has(key)) return null
      inner = only
    }
  }
  if (inner === null) return found
  return found === null ? placeOf(inner) : null
}
