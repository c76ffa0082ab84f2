/** How the pieces of a streamed message are put together; the dialects of servers are in here. */
import type { Assembly } from "./Assembly.js"
import { emptyRecord, isObject, type JsonObject, parseJson, textAt } from "./Json.js"

type Draft = Record<string, unknown>

/** Fields of a delta whose pieces are appended. Reasoning has three names, and some servers send two of them. */
const appended = new Set(["content", "refusal", "reasoning_content", "reasoning", "reasoning_text"])
const appendedInAudio = new Set(["data", "transcript"])
const appendedInCall = new Set(["arguments", "input"])
/** Fields that are sent once; a server that repeats them repeats the same value. */
const once = new Set(["id", "type", "name", "role"])

/** Later values win, save for null, which says nothing. Lists grow. */
const mergeField = (draft: Draft, key: string, value: unknown): void => {
  const known = draft[key]
  if (value === null || value === undefined) {
    if (known === undefined && value === null) draft[key] = null
  } else if (Array.isArray(value)) {
    const list: Array<unknown> = Array.isArray(known) ? known : []
    for (const item of value as ReadonlyArray<unknown>) list.push(item)
    draft[key] = list
  } else if (!once.has(key) || known === undefined || known === null || known === "") draft[key] = value
}

/** Text appends to text; where one piece is a list of parts (Mistral's thinking), the whole becomes a list of parts. */
const append = (draft: Draft, key: string, value: unknown): void => {
  const known = draft[key]
  if (typeof value === "string" && typeof known === "string") draft[key] = known + value
  else if (Array.isArray(value) || typeof value === "string" && Array.isArray(known)) {
    // The list is the draft's own: a copy for each piece would make long streams take forever.
    const list: Array<unknown> = Array.isArray(known) ? known : []
    if (typeof known === "string") addText(list, known)
    if (typeof value === "string") addText(list, value)
    else for (const part of value as ReadonlyArray<unknown>) addPart(list, part)
    draft[key] = list
  } else mergeField(draft, key, value)
}

const addText = (list: Array<unknown>, text: string): void => {
  if (text !== "") addPart(list, { type: "text", text })
}

/** Of these, a part goes on with the one before it. */
const goingOn = new Set<unknown>(["text", "thinking"])

const addPart = (list: Array<unknown>, part: unknown): void => {
  if (!isObject(part)) {
    list.push(part)
    return
  }
  const last = list.at(-1)
  const goesOn = goingOn.has(part["type"]) && isObject(last) && last["type"] === part["type"]
  const draft = goesOn ? last as Draft : emptyRecord()
  if (!goesOn) list.push(draft)
  for (const key of Object.keys(part)) {
    if (key === "text" || key === "thinking") append(draft, key, part[key])
    else mergeField(draft, key, part[key])
  }
}

const mergePiece = (draft: Draft, key: string, value: unknown, appending: ReadonlySet<string>): void => {
  if (key === "obfuscation") return
  if (appending.has(key)) append(draft, key, value)
  else mergeField(draft, key, value)
}

const mergeInto = (draft: Draft, delta: JsonObject, appending: ReadonlySet<string>): void => {
  for (const key of Object.keys(delta)) mergePiece(draft, key, delta[key], appending)
}

const childOf = (draft: Draft, key: string): Draft => {
  if (!isObject(draft[key])) draft[key] = emptyRecord()
  return draft[key] as Draft
}

/**
 * The tool calls of one message. A call is known by its `index`; without one (Gemini) by its `id`; without either, one that
 * names its function is new, and any other piece belongs to the call at its place.
 */
class ToolCalls {
  private readonly drafts = new Map<string, Draft>()
  private readonly keys: Array<string> = []
  /** Keys of the calls whose arguments came whole in their first piece. */
  private readonly whole = new Set<string>()

  constructor(private readonly assembly: Assembly) {}

  merge(calls: ReadonlyArray<unknown>): void {
    for (const [place, call] of calls.entries()) {
      if (!isObject(call)) continue
      const draft = this.draftOf(this.keyOf(call, calls.length === 1 ? this.keys.length - 1 : place), call)
      if (draft === undefined) continue
      for (const key of Object.keys(call)) {
        if (key === "index") continue
        const value = call[key]
        if ((key === "function" || key === "custom") && isObject(value)) {
          mergeInto(childOf(draft, key), value, appendedInCall)
        } else mergeField(draft, key, value)
      }
    }
  }

  /** In the order of their numbers, which need not be that of their first pieces; those without one in the order they came. */
  toList(): ReadonlyArray<unknown> {
    return [...this.drafts].toSorted(([a], [b]) => numberOf(a) - numberOf(b)).map(([, draft]) => draft)
  }

  private keyOf(call: JsonObject, place: number): string {
    const id = textAt(call, "id")
    const name = textAt(call, "function", "name")
    if (typeof call["index"] === "number") {
      const key = `index ${call["index"]}`
      const known = this.drafts.get(key)
      const latest = this.latest(key)
      if (known === undefined || name === null) return latest
      // Old versions of Ollama number every call 0. An id alone proves nothing: some servers make up one per piece.
      if (id !== null) return known["id"] === id ? latest : `${key} id ${id}`
      // So does Gemini, whose calls have no ids either: but nothing can follow arguments that are whole.
      const isAnother = this.whole.has(latest) && argumentsOf(call) !== null
      return isAnother ? `${key} id ${this.keys.length}` : latest
    }
    if (id !== null) return `id ${id}`
    return (name === null ? this.keys[place] : undefined) ?? `place ${this.keys.length}`
  }

  /** Pieces that follow a second call under the same index are that call's. */
  private latest(key: string): string {
    const last = this.keys.at(-1)
    return last?.startsWith(`${key} id `) === true ? last : key
  }

  private draftOf(key: string, call: JsonObject): Draft | undefined {
    const isNew = !this.drafts.has(key)
    const draft = this.assembly.part(this.drafts, key, emptyRecord)
    if (isNew && draft !== undefined) {
      this.keys.push(key)
      if (isObject(parseJson(argumentsOf(call) ?? ""))) this.whole.add(key)
    }
    return draft
  }
}

const argumentsOf = (call: JsonObject): string | null => textAt(call, "function", "arguments")

/** The number in the key of a tool call; one without it comes last. */
const numberOf = (key: string): number => Number(/^index (-?[\d.]+)/.exec(key)?.[1] ?? Number.MAX_VALUE)

/** One choice of a streamed answer, chat or text completion, while its pieces arrive. */
export class ChoiceDraft {
  private readonly fields: Draft = emptyRecord()
  private readonly message: Draft = emptyRecord()
  private readonly toolCalls: ToolCalls
  private isChat = false

  constructor(private readonly index: number, assembly: Assembly) {
    this.toolCalls = new ToolCalls(assembly)
  }

  merge(choice: JsonObject): void {
    for (const key of Object.keys(choice)) {
      const value = choice[key]
      if (key === "delta" || key === "message") {
        // Perplexity sends the message so far beside each delta.
        if (isObject(value) && (key === "delta" || !isObject(choice["delta"]))) this.mergeMessage(value)
      } else if (key === "logprobs" && isObject(value)) {
        mergeInto(childOf(this.fields, key), value, new Set())
      } else if (key === "text") append(this.fields, key, value)
      // Some gateways send an empty reason with every chunk that is not the last of its choice, one behind it as well.
      else if (key === "finish_reason") mergeField(this.fields, key, value === "" ? null : value)
      else if (key !== "index" && key !== "usage" && key !== "obfuscation") mergeField(this.fields, key, value)
    }
  }

  toChoice(): Record<string, unknown> {
    const calls = this.toolCalls.toList()
    if (calls.length > 0) this.message["tool_calls"] = calls
    if (this.isChat && this.message["content"] === undefined) this.message["content"] = null
    return Object.assign(emptyRecord(), {
      index: this.index,
      ...(this.isChat && { message: this.message }),
      finish_reason: null
    }, this.fields)
  }

  private mergeMessage(delta: JsonObject): void {
    this.isChat = true
    for (const key of Object.keys(delta)) {
      const value = delta[key]
      if (key === "tool_calls") {
        if (Array.isArray(value)) this.toolCalls.merge(value)
      } else if (key === "function_call") {
        if (isObject(value)) mergeInto(childOf(this.message, key), value, appendedInCall)
      } else if (key === "audio") {
        if (isObject(value)) mergeInto(childOf(this.message, key), value, appendedInAudio)
      } else mergePiece(this.message, key, value, appended)
    }
  }
}
