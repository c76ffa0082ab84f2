/**
 * Takes secrets out of what is recorded of a call. The wire is not touched: a peer gets every byte as it was sent.
 *
 * Where it cannot be sure, a body is not kept at all: a record that lacks something can be lived with, a leaked key cannot.
 */
import { eventsMax } from "./Assembly.js"
import { BoundedPatterns, type Pattern } from "./BoundedPatterns.js"
import { decodeBody } from "./Decode.js"
import { isObject, parseJson, utf8Of } from "./Json.js"
import { backslash, quote } from "./jsonBytes.js"
import { type JsonPath, parseJsonPath, replacedAt } from "./JsonPath.js"
import { type Cleaned, mayHoldSecrets, redacted, withoutSecrets } from "./Secrets.js"
import { eventsOf, type SseEvent } from "./Sse.js"

export interface RedactionRules {
  /** Take out what looks like a key or token. */
  readonly defaults: boolean
  readonly patterns: ReadonlyArray<Pattern>
  /** Places in JSON bodies whose values are not kept. */
  readonly jsonPaths: ReadonlyArray<string>
  /** Lower-case names of request headers whose values are kept nowhere, beside those that carry keys. */
  readonly headers: ReadonlyArray<string>
}

/** What is taken out unless told otherwise: whatever looks like a key. */
export const defaultRules: RedactionRules = { defaults: true, patterns: [], jsonPaths: [], headers: [] }

export interface RedactedBody {
  readonly bytes: Uint8Array
  /** Null when what is kept is the plain form of a body that came compressed. */
  readonly contentEncoding: string | null
  readonly count: number
  /** Why nothing of the body is kept; null when it is. */
  readonly dropped: string | null
}

const empty = new Uint8Array(0)

/** Takes out what its rules name. Made once: compiling its patterns takes a while. */
export class Redactor {
  private readonly paths: ReadonlyArray<JsonPath>
  private readonly isActive: boolean
  /** The patterns of the defaults are ASCII, so that bytes need no decoding for them. */
  private readonly encoding: "latin1" | "utf8"

  private readonly hasOwnPatterns: boolean
  private readonly beginnings: ReadonlyArray<string>
  private latest: Redactor | null = null

  /** `known` are texts that are taken out wherever they stand. */
  constructor(
    private readonly rules: RedactionRules,
    private readonly known: ReadonlyArray<string> = [],
    private readonly own = new BoundedPatterns(rules.patterns)
  ) {
    this.paths = rules.jsonPaths.map(parseJsonPath).filter((path) => typeof path !== "string")
    const hasOwn = rules.patterns.length + this.paths.length > 0
    this.hasOwnPatterns = rules.patterns.length > 0
    this.isActive = rules.defaults || hasOwn || known.length > 0
    this.encoding = hasOwn ? "utf8" : "latin1"
    this.beginnings = known.map(beginningOf)
  }

  /** One by the same rules that also takes these texts out. Calls of one client come one after another: the last is kept. */
  knowing(texts: ReadonlyArray<string>): Redactor {
    if (texts.length === 0) return this
    const isSame = this.latest?.known.length === texts.length &&
      this.latest.known.every((text, index) => text === texts[index])
    if (!isSame) this.latest = new Redactor(this.rules, texts, this.own)
    return this.latest!
  }

  /**
   * Whether it is sure that no text in this JSON holds anything to take out, which nearly all of it costs only this. Without
   * escapes, what its texts hold stands in it as it is.
   */
  isCleanJson(json: string): boolean {
    return !this.hasOwnPatterns && !json.includes("\\") && this.isClean(json)
  }

  /** Whether none of the texts and nothing that looks like a secret is in it. */
  private isClean(plain: string): boolean {
    for (const beginning of this.beginnings) if (plain.includes(beginning)) return false
    return !this.rules.defaults || !mayHoldSecrets(plain)
  }

  /** A text of any kind. Throws `SearchTimedOut`. */
  text(text: string): Cleaned {
    const plain = plainText(text)
    if (!this.hasOwnPatterns && this.isClean(plain)) return { text, count: 0 }
    // Before patterns, which may take a part of one and leave the rest.
    const whole = withoutTexts(plain, this.known)
    const first = withoutTexts(whole.text, this.known, this.beginnings)
    const second = this.rules.defaults ? withoutSecrets(first.text) : { text: first.text, count: 0 }
    const third = this.own.clean(second.text)
    const count = whole.count + first.count + second.count + third.count
    return count === 0 ? { text, count } : { text: third.text, count }
  }

  /** A short text of a span, such as a path: replaced as a whole when it cannot be judged. */
  label(text: string): string {
    // What is no text at all is for the store to refuse.
    if (typeof text !== "string") return text
    try {
      const clean = this.text(text)
      let decoded = clean.text
      for (let depth = 0; depth < escapesMax && decoded.includes("%"); depth++) {
        decoded = unescaped(decoded)
        if (this.text(decoded).count > 0) return clean.text.startsWith("/") ? `/${redacted}` : redacted
      }
      return clean.text
    } catch {
      return redacted
    }
  }

  /** A body as it was on the wire. */
  body(bytes: Uint8Array, contentEncoding: string | null): RedactedBody {
    if (bytes.length === 0 || !this.isActive) return { bytes, contentEncoding, count: 0, dropped: null }
    const drop = (reason: string): RedactedBody => ({ bytes: empty, contentEncoding: null, count: 0, dropped: reason })
    const isPlain = contentEncoding === null || contentEncoding === "" || contentEncoding.toLowerCase() === "identity"
    const decoded = isPlain ? { bytes } : decodeBody(bytes, contentEncoding)
    if ("reason" in decoded) return drop(decoded.reason)
    try {
      const text = textOf(decoded.bytes, this.encoding)
      const clean = this.document(text)
      if (clean === null) return drop("looks like JSON and is none, so that paths cannot be told in it")
      const wide = wideTextOf(decoded.bytes, text)
      if (wide !== null && this.document(wide)?.count !== 0) return drop("a secret in it is written in wide characters")
      // What a decoder passes over, behind the end of its data for example, is kept with the rest.
      const isHiding = !isPlain && this.text(textOf(bytes, "latin1")).count > 0
      if (clean.count === 0 && !isHiding) return { bytes, contentEncoding, count: 0, dropped: null }
      return {
        bytes: Buffer.from(clean.text, this.encoding),
        contentEncoding: null,
        count: Math.max(1, clean.count),
        dropped: null
      }
    } catch {
      return drop("the search for patterns took too long")
    }
  }

  /** An answer that was put together from a stream. Throws `SearchTimedOut`. */
  object(object: Record<string, unknown>): { readonly object: Record<string, unknown>; readonly count: number } {
    const text = JSON.stringify(object)
    const clean = this.document(text)
    return clean === null || clean.count === 0
      ? { object, count: 0 }
      : { object: parseJson(clean.text) as Record<string, unknown>, count: clean.count }
  }

  /** Whether the pieces of a text, put together over the events of a stream, hold what no event holds. */
  isSpread(stream: Uint8Array | Iterable<SseEvent>): boolean {
    const texts = new Map<string, string>()
    let broken = 0
    let events = 0
    for (const { data } of eventsOf(stream)) {
      if (++events > eventsMax) return true
      const value = parseJson(data)
      if (value === undefined && data.startsWith("{") && ++broken > brokenMax) return true
      collect(value ?? data, "", texts)
    }
    return texts.size >= textsMax || [...texts.values()].some((text) => this.text(text).count > 0)
  }

  /** The text of a whole body; null when paths are asked for and cannot be followed. */
  private document(text: string): Cleaned | null {
    const followed = this.paths.length === 0 ? { text, count: 0 } : this.followPaths(text)
    if (followed === null) return null
    const clean = this.text(followed.text)
    const count = clean.count + followed.count
    if (count === 0 || !hasLogprobs(clean.text)) return { text: clean.text, count }
    // The tokens of an answer, one by one, spell out what was taken from its text.
    const spelled = overJson(clean.text, (json) => replacedAt(json, logprobs, "null"))
    return spelled === null ? null : { text: spelled.text, count }
  }

  private followPaths(text: string): Cleaned | null {
    return overJson(text, (json) => replacedAt(json, this.paths, redactedJson))
  }
}

const redactedJson = JSON.stringify(redacted)
const logprobs = [parseJsonPath("$..logprobs") as JsonPath]
const hasLogprobs = (text: string) => /"logprobs"\s*:\s*[[{]/.test(text)

/** A byte order mark in Latin-1; as text it is gone. */
const mark = /^\u00EF\u00BB\u00BF/
/** A line of a stream whose data begins like a JSON object or list; `error` is llama.cpp's. */
const dataLine = /^((?:\u00EF\u00BB\u00BF)?(?:data|error):[ \t]*)([[{][^\r\n]*)/gm

/**
 * Applies a change to a JSON document, to each of its lines, or to the data in it where it is a stream of events; other texts have no
 * places in them. Null where it begins like JSON, and is none that can be read.
 */
const overJson = (text: string, change: (json: string) => Cleaned | null): Cleaned | null => {
  const [marked = ""] = mark.exec(text) ?? []
  const plain = text.slice(marked.length)
  if (/^\s*[[{]/.test(plain)) {
    const clean = change(plain) ?? overLines(plain, change)
    return clean === null ? null : { text: marked + clean.text, count: clean.count }
  }
  let count = 0
  let isReadable = true
  const clean = text.replace(dataLine, (line, field: string, data: string) => {
    if (data.trimEnd() === "[DONE]") return line
    const cleaned = change(data)
    if (cleaned === null) isReadable = false
    count += cleaned?.count ?? 0
    return cleaned === null ? line : field + cleaned.text
  })
  return isReadable ? { text: clean, count } : null
}

/** JSON lines: what is recorded of a WebSocket, and how some servers stream. Null where one of them is no JSON. */
const overLines = (text: string, change: (json: string) => Cleaned | null): Cleaned | null => {
  let count = 0
  const lines: Array<string> = []
  for (const line of text.split("\n")) {
    const cleaned = change(line)
    if (cleaned === null && line.trim() !== "") return null
    count += cleaned?.count ?? 0
    lines.push(cleaned?.text ?? line)
  }
  return { text: count === 0 ? text : lines.join("\n"), count }
}

/**
 * Takes the texts out, found by how they begin: whole, or cut off by the end of the text, or of a text in JSON. A secret whose whole
 * is looked for begins with all of itself.
 */
const withoutTexts = (text: string, known: ReadonlyArray<string>, beginnings = known): Cleaned => {
  let clean = text
  let count = 0
  for (const [index, secret] of known.entries()) {
    const beginning = beginnings[index]!
    let rest = 0
    const parts: Array<string> = []
    for (let at = clean.indexOf(beginning); at !== -1;) {
      const end = endOfSame(clean, at, secret, beginning.length)
      const isEnd = end - at === secret.length || end === clean.length || /["\\]/.test(clean[end]!)
      const isOut = isEnd && !isWithinEscape(clean, at)
      if (isOut) {
        parts.push(clean.slice(rest, at))
        rest = end
      }
      at = clean.indexOf(beginning, isOut ? end : Math.max(at, end - beginning.length) + 1)
    }
    if (parts.length === 0) continue
    count += parts.length
    clean = [...parts, clean.slice(rest)].join(redacted)
  }
  return { text: clean, count }
}

const beginningMin = 8

/**
 * A body, or a text in it, may have been cut within a secret. What is left of it goes as well where it is more than half: a
 * shorter beginning gives little away, and may be a word of its own.
 */
const beginningOf = (secret: string): string => secret.slice(0, Math.max(beginningMin, Math.ceil(secret.length / 2)))

/** Where a text that has so much of a secret at this place no longer says what the secret does. */
const endOfSame = (text: string, at: number, secret: string, known: number): number => {
  let same = known
  while (same < secret.length && at + same < text.length && text[at + same] === secret[same]) same += 1
  return at + same
}

/** Whether a place in a text, were it JSON, is the letter of an escape such as `\n`: no secret begins there. */
const isWithinEscape = (text: string, at: number): boolean => {
  if (!/[bfnrtu"\\]/.test(text[at]!)) return false
  let from = at
  while (text[from - 1] === "\\") from -= 1
  return (at - from) % 2 === 1
}

const textOf = (bytes: Uint8Array, encoding: "latin1" | "utf8"): string =>
  encoding === "utf8" ? utf8Of(bytes) : Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length).toString("latin1")

/**
 * The text of a body whose characters take two bytes each or four, which many servers read as well as UTF-8; null where no character
 * is ASCII, and for any other body. `text` is how it reads otherwise: one of which only a part is written so tells of that without its
 * NULs.
 */
const wideTextOf = (bytes: Uint8Array, text: string): string | null => {
  const place = text.indexOf("\0")
  if (place === -1) return null
  const [first, second] = bytes
  const isLittleEndian = first === 0xff && second === 0xfe || place === 1
  const isBigEndian = first === 0xfe && second === 0xff || place === 0
  const encoding = isLittleEndian ? "utf-16le" : isBigEndian ? "utf-16be" : null
  return (encoding === null ? text : new TextDecoder(encoding).decode(bytes)).replaceAll("\0", "")
}

/**
 * JSON may write any character as an escape: those of printable ASCII say nothing, save quote and backslash. Character by character,
 * as a text may be escapes from end to end.
 */
const plainText = (text: string): string => {
  if (!text.includes("\\u00") && !text.includes("\\/")) return text
  const bytes = Buffer.from(text, "utf16le")
  const codes = new Uint16Array(bytes.buffer, bytes.byteOffset, text.length)
  let length = 0
  for (let at = 0; at < text.length; at++) {
    const code = codes[at]!
    if (code !== backslash) {
      codes[length++] = code
      continue
    }
    const plain = plainCode(codes, at)
    if (plain !== null) {
      codes[length++] = plain
      at += codes[at + 1] === slash ? 1 : 5
    } else {
      codes[length++] = code
      if (at + 1 < text.length) codes[length++] = codes[++at]!
    }
  }
  return bytes.toString("utf16le", 0, 2 * length)
}

const slash = 0x2f
const del = 0x7f

/** What the escape at this place stands for; null where it must stay as it is. */
const plainCode = (codes: Uint16Array, at: number): number | null => {
  if (codes[at + 1] === slash) return slash
  if (codes[at + 1] !== 0x75 || codes[at + 2] !== 0x30 || codes[at + 3] !== 0x30) return null
  const code = 16 * hexDigit(codes[at + 4]) + hexDigit(codes[at + 5])
  return code >= 0x20 && code < del && code !== quote && code !== backslash ? code : null
}

/** NaN for what is none. */
const hexDigit = (code = 0): number => {
  if (code >= 0x30 && code <= 0x39) return code - 0x30
  const lower = code | 0x20
  return lower >= 0x61 && lower <= 0x66 ? lower - 0x57 : Number.NaN
}

/** How often a text of a path may be escaped and still be looked through. */
const escapesMax = 3

const unescaped = (text: string): string =>
  text.replace(/%([2-7][0-9a-fA-F])/g, (_, code: string) => String.fromCharCode(Number.parseInt(code, 16)))

const textsMax = 4096
/** Most events of a stream that look like JSON and are none: it takes long to find that out. */
const brokenMax = 4096

const collect = (value: unknown, place: string, texts: Map<string, string>): void => {
  if (typeof value === "string") {
    if (texts.has(place) || texts.size < textsMax) texts.set(place, (texts.get(place) ?? "") + value)
  } else if (Array.isArray(value)) { for (const child of value) collect(child, `${place}[]`, texts) }
  else if (isObject(value)) {
    for (const [key, child] of Object.entries(value)) {
      collect(child, `${place}.${key}`, texts)
    }
  }
}
