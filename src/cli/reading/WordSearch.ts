/** Looks for words in what was said in a recorded call, decoded as `tau span` shows it. */
import type { Conversation, Part } from "../../openai/Conversation.js"
import { conversationOf, textOfBody } from "../../openai/Conversation.js"
import { isText, jsonOf, otherMax, toolName } from "./SpanCommand.js"

export interface Found {
  readonly in: "request" | "answer"
  /** What stands around the words, and they themselves, as they were written. */
  readonly before: string
  readonly match: string
  readonly after: string
  /** More stands before `before`. */
  readonly isInside: boolean
}

interface Bodies {
  readonly request: Uint8Array | null
  readonly answer: Uint8Array | null
}

/** Characters that are shown before the words, and behind where they begin. */
const beforeMax = 24
const afterMax = 200

export class WordSearch {
  /** As they are read. A blank stands for blanks and line breaks of any number. */
  private readonly spoken: RegExp
  /** The same in JSON that is not whole, with its escapes. */
  private readonly written: RegExp
  /** A part that JSON writes only as it is, or as `\u` and a number: what has neither need not be read. */
  private readonly plain: RegExp | null

  constructor(words: string) {
    const each = words.trim().split(/\s+/)
    this.spoken = new RegExp(each.map(literal).join(String.raw`\s+`), "i")
    this.written = new RegExp(
      each.map((word) => Array.from(word, asWritten).join("")).join(String.raw`(?:\s|\\[nrt])+`),
      "i"
    )
    const [longest] = each.flatMap((word) => word.match(/[\w.,:;!?()=*+-]+/g) ?? [])
      .toSorted((one, other) => other.length - one.length)
    this.plain = longest === undefined ? null : new RegExp(literal(longest), "i")
  }

  /** Where the words stand first, in the request if there; null where they do not. */
  find({ answer, request }: Bodies): Found | null {
    const asked = this.mayHold(request) ? request : null
    const answered = this.mayHold(answer) ? answer : null
    if (asked === null && answered === null) return null
    const json = { request: jsonOf(asked), answer: jsonOf(answered) }
    const conversation = conversationOf(json.request, json.answer)
    return this.findIn("request", textsOfInput(conversation), asked, json.request)
      ?? this.findIn("answer", messageTexts(conversation.output), answered, json.answer)
  }

  private mayHold(body: Uint8Array | null): boolean {
    if (body === null || body.length === 0) return false
    if (this.plain === null || (body[0] !== 0x7b && body[0] !== 0x5b)) return true
    const bytes = Buffer.from(body.buffer, body.byteOffset, body.byteLength)
    return bytes.includes(String.raw`\u`) || this.plain.test(bytes.toString("latin1"))
  }

  private findIn(
    place: Found["in"],
    said: Iterable<string>,
    body: Uint8Array | null,
    json: unknown
  ): Found | null {
    let isSilent = true
    for (const text of said) {
      isSilent = false
      const found = this.spoken.exec(text)
      if (found !== null) return foundAt(place, text, found)
    }
    if (!isSilent || body === null) return null
    if (json !== undefined) return this.findIn(place, valueTexts(json), null, undefined)
    const text = textOfBody(body)
    if (!isText(text)) return null
    const found = this.spoken.exec(text) ?? this.written.exec(text)
    return found === null ? null : foundAt(place, text, found)
  }
}

const foundAt = (place: Found["in"], text: string, { 0: match, index }: RegExpExecArray): Found => ({
  in: place,
  isInside: index > beforeMax,
  before: text.slice(Math.max(0, index - beforeMax), index).replace(/^[\uDC00-\uDFFF]/, ""),
  match,
  after: text.slice(index + match.length, index + match.length + afterMax).replace(/[\uD800-\uDBFF]$/, "")
})

const literal = (word: string): string => word.replaceAll(/[\\^$.*+?()[\]{}|/-]/g, String.raw`\$&`)

/** A character as JSON may have it. */
const asWritten = (character: string): string => {
  const code = Array.from(
    { length: character.length },
    (_, n) => String.raw`\\u${character.charCodeAt(n).toString(16).padStart(4, "0")}`
  ).join("")
  const escaped = "\"\\/".includes(character) ? String.raw`\\${literal(character)}|` : ""
  return `(?:${escaped}${literal(character)}|${code})`
}

function* textsOfInput({ input, tools }: Conversation): Generator<string> {
  yield* messageTexts(input)
  for (const tool of tools) yield toolName(tool)
}

function* messageTexts(messages: Conversation["input"]): Generator<string> {
  for (const { parts } of messages) for (const part of parts) yield* partTexts(part)
}

function* partTexts(part: Part): Generator<string> {
  switch (part.type) {
    case "text":
    case "reasoning":
      yield part.content
      return
    case "tool_call":
      yield part.name
      yield* valueTexts(part.arguments)
      return
    case "tool_call_response":
      yield* valueTexts(part.response)
      return
    case "other":
      // Of an image nobody looks for what its letters happen to spell.
      for (const text of valueTexts(part.value)) yield text.slice(0, otherMax)
  }
}

/** The texts in a JSON value, and its names and numbers, in order. A value may be nested deeply. */
function* valueTexts(value: unknown): Generator<string> {
  const left: Array<unknown> = [value]
  while (left.length > 0) {
    const next = left.pop()
    if (typeof next === "string") yield next
    else if (Array.isArray(next)) { for (let n = next.length - 1; n >= 0; n--) left.push(next[n]) }
    else if (typeof next === "object" && next !== null) {
      for (const [name, inner] of Object.entries(next).toReversed()) left.push(inner, name)
    } else if (next !== null && next !== undefined) yield String(next)
  }
}
