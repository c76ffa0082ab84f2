/** How the pieces of a streamed message are put together; the dialects of servers are in here. */
import { emptyRecord, isObject, type JsonObject } from "./Json.js"

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
  else if (typeof value === "string" && Array.isArray(known)) {
    if (value !== "") draft[key] = [...known as ReadonlyArray<unknown>, { type: "text", text: value }]
  } else if (Array.isArray(value) && typeof known === "string") {
    draft[key] = [...(known === "" ? [] : [{ type: "text", text: known }]), ...value as ReadonlyArray<unknown>]
  } else mergeField(draft, key, value)
}

const mergeInto = (draft: Draft, delta: JsonObject, appending: ReadonlySet<string>): void => {
  for (const key of Object.keys(delta)) {
    if (key === "obfuscation") continue
    if (appending.has(key)) append(draft, key, delta[key])
    else mergeField(draft, key, delta[key])
  }
}

const childOf = (draft: Draft, key: string): Draft => {
  if (!isObject(draft[key])) draft[key] = emptyRecord()
  return draft[key] as Draft
}

/** The tool calls of one message. A call is known by its `index`, else by its `id` (Gemini sends no index), else by place. */
class ToolCalls {
  private readonly drafts = new Map<string, Draft>()

  merge(calls: ReadonlyArray<unknown>): void {
    for (const [place, call] of calls.entries()) {
      if (!isObject(call)) continue
      const draft = this.draftOf(this.keyOf(call, place))
      for (const key of Object.keys(call)) {
        if (key === "index") continue
        const value = call[key]
        if ((key === "function" || key === "custom") && isObject(value)) {
          mergeInto(childOf(draft, key), value, appendedInCall)
        } else mergeField(draft, key, value)
      }
    }
  }

  toList(): ReadonlyArray<unknown> {
    return [...this.drafts.values()]
  }

  private keyOf(call: JsonObject, place: number): string {
    if (typeof call["index"] === "number") return `index ${call["index"]}`
    if (typeof call["id"] === "string" && call["id"] !== "") return `id ${call["id"]}`
    return [...this.drafts.keys()][place] ?? `place ${place}`
  }

  private draftOf(key: string): Draft {
    const draft = this.drafts.get(key) ?? emptyRecord()
    this.drafts.set(key, draft)
    return draft
  }
}

/** One choice of a streamed answer, chat or text completion, while its pieces arrive. */
export class ChoiceDraft {
  private readonly fields: Draft = emptyRecord()
  private readonly message: Draft = emptyRecord()
  private readonly toolCalls = new ToolCalls()
  private isChat = false

  constructor(private readonly index: number) {}

  merge(choice: JsonObject): void {
    for (const key of Object.keys(choice)) {
      const value = choice[key]
      if (key === "delta" || key === "message") {
        if (isObject(value)) this.mergeMessage(value)
      } else if (key === "logprobs" && isObject(value)) {
        mergeInto(childOf(this.fields, key), value, new Set())
      } else if (key === "text") append(this.fields, key, value)
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
    const { audio, function_call: call, tool_calls: calls, ...rest } = delta
    mergeInto(this.message, rest, appended)
    if (Array.isArray(calls)) this.toolCalls.merge(calls)
    if (isObject(call)) mergeInto(childOf(this.message, "function_call"), call, appendedInCall)
    if (isObject(audio)) mergeInto(childOf(this.message, "audio"), audio, appendedInAudio)
  }
}
