/** Streams of the Responses API. */
import { type Assembled, Assembly, inOrder } from "./Assembly.js"
import { at, emptyRecord, isObject, type JsonObject, listAt, numberAt, parseJson, textAt } from "./Json.js"
import { terminalTypes } from "./SocketEvents.js"
import { eventsOf, type SseEvent } from "./Sse.js"

type Draft = Record<string, unknown>

/** Lists of parts that an item may have, and the field of an event that numbers them. A shell's commands are in its `action`. */
const lists = {
  content: "content_index",
  summary: "summary_index",
  commands: "command_index",
  output: "command_index"
} as const
type List = keyof typeof lists

/** Per kind of piece: the field that it appends to, of the item itself or of a part of the item, and the types of both. */
const pieces: ReadonlyMap<string, readonly [field: string, item: string, list?: List, part?: string]> = new Map([
  ["output_text", ["text", "message", "content", "output_text"]],
  ["refusal", ["refusal", "message", "content", "refusal"]],
  ["reasoning_text", ["text", "reasoning", "content", "reasoning_text"]],
  ["reasoning_summary_text", ["text", "reasoning", "summary", "summary_text"]],
  ["function_call_arguments", ["arguments", "function_call"]],
  ["mcp_call_arguments", ["arguments", "mcp_call"]],
  ["custom_tool_call_input", ["input", "custom_tool_call"]],
  ["code_interpreter_call_code", ["code", "code_interpreter_call"]],
  ["shell_call_command", ["command", "shell_call", "commands"]]
])

/** What an event says that is named for the type of its item: how far the item has come. */
const statuses = new Set(["in_progress", "searching", "interpreting", "generating", "completed", "failed"])

const isEmpty = (value: unknown) => value === undefined || value === null || value === ""

/** A piece goes on the end; the whole text of a `done` event counts where no piece of it came. */
const mergePiece = (draft: Draft, field: string, payload: JsonObject, isDelta: boolean): void => {
  const piece = payload[isDelta ? "delta" : field]
  if (typeof piece !== "string") return
  if (isDelta) draft[field] = (typeof draft[field] === "string" ? draft[field] : "") + piece
  else if (piece !== "" || isEmpty(draft[field])) draft[field] = piece
}

/** One output item while its pieces arrive. The `done` event of an item holds it whole. */
class Item {
  private fields: Draft = emptyRecord()
  private readonly parts: { readonly [list in List]: Map<number, Draft> } = {
    content: new Map(),
    summary: new Map(),
    commands: new Map(),
    output: new Map()
  }
  private isDone = false

  constructor(private readonly assembly: Assembly) {}

  /** A whole item, as far as it is known. */
  set(item: JsonObject, isDone: boolean): void {
    if (this.isDone) return
    this.fields = Object.assign(emptyRecord(), this.fields, item)
    this.isDone = isDone
  }

  merge(type: string, payload: JsonObject): void {
    const [, name = "", verb = ""] = /^response\.(\w+)(?:\.(\w+(?:\.\w+)?))?$/.exec(type) ?? []
    if (this.isDone) return
    if (name === "content_part" || name === "reasoning_summary_part") {
      const part = this.part(name === "content_part" ? "content" : "summary", payload)
      if (part !== undefined && isObject(payload["part"])) Object.assign(part, payload["part"])
      return
    }
    if (name === "shell_call_output_content") {
      this.mergeShellOutput(payload)
      return
    }
    if (name === this.fields["type"] && statuses.has(verb) && Object.hasOwn(this.fields, "status")) {
      this.fields["status"] = verb
    }
    const [field, itemType, list, partType] = pieces.get(name) ?? []
    if (field === undefined) return
    this.fields["type"] ??= itemType
    const draft = list === undefined ? this.fields : this.part(list, payload)
    if (draft === undefined) return
    if (partType !== undefined) draft["type"] ??= partType
    if (verb === "delta" || verb === "done") mergePiece(draft, field, payload, verb === "delta")
    if (verb === "delta") this.push(draft, "logprobs", listAt(payload, "logprobs"))
    if (verb === "annotation.added") this.push(draft, "annotations", [payload["annotation"]])
  }

  toItem(): Draft {
    if (this.isDone) return this.fields
    for (const list of ["content", "summary", "output"] as const) {
      if (this.parts[list].size > 0) this.fields[list] = inOrder(this.parts[list])
    }
    if (this.parts.commands.size > 0) {
      const commands = inOrder(this.parts.commands).map((draft) => draft["command"] ?? "")
      const { action } = this.fields
      this.fields["action"] = Object.assign(emptyRecord(), isObject(action) ? action : {}, { commands })
    }
    return this.fields
  }

  private part(list: List, payload: JsonObject): Draft | undefined {
    return this.assembly.part(this.parts[list], numberAt(payload, lists[list]) ?? 0, emptyRecord)
  }

  /** What a command of the shell printed: pieces of both streams in one event, and whole in the last. */
  private mergeShellOutput(payload: JsonObject): void {
    const draft = this.part("output", payload)
    if (draft === undefined) return
    this.fields["type"] ??= "shell_call_output"
    const [whole] = listAt(payload, "output")
    if (isObject(whole)) Object.assign(draft, whole)
    for (const field of ["stdout", "stderr"]) mergePiece(draft, field, { delta: at(payload, "delta", field) }, true)
  }

  private push(draft: Draft, field: string, news: ReadonlyArray<unknown>): void {
    if (news.length === 0) return
    if (!Array.isArray(draft[field])) draft[field] = []
    for (const value of news) (draft[field] as Array<unknown>).push(value)
  }
}

/** The items of one answer, known by `output_index`; where a server sends none, by their ids. */
class Items {
  private readonly items = new Map<number, Item>()
  private readonly indexes = new Map<string, number>()

  constructor(private readonly assembly: Assembly) {}

  get size(): number {
    return this.items.size
  }

  take(type: string, payload: JsonObject): void {
    const isItem = type === "response.output_item.added" || type === "response.output_item.done"
    const item = payload["item"]
    const id = textAt(payload, "item_id") ?? textAt(item, "id")
    const known = numberAt(payload, "output_index") ?? (id === null ? undefined : this.indexes.get(id))
    const index = known ?? (isItem || id !== null ? this.items.size : Math.max(0, this.items.size - 1))
    if (!isItem && !Object.hasOwn(payload, "item_id") && known === undefined) return
    const draft = this.assembly.part(this.items, index, () => new Item(this.assembly))
    if (draft === undefined) return
    if (id !== null) this.indexes.set(id, index)
    if (!isItem) draft.merge(type, payload)
    else if (isObject(item)) draft.set(item, type === "response.output_item.done")
  }

  toList(): ReadonlyArray<unknown> {
    return inOrder(this.items).map((item) => item.toItem()).filter((item) => Object.keys(item).length > 0)
  }
}

/** The events by their `sequence_number`; one without it stays behind the one that it came after. */
const inSequence = (stream: Uint8Array | Iterable<SseEvent>): ReadonlyArray<SseEvent> => {
  let latest = 0
  const numbered = Array.from(eventsOf(stream), (event) => {
    latest = numberAt(parseJson(event.data), "sequence_number") ?? latest
    return [latest, event] as const
  })
  return numbered.toSorted(([a], [b]) => a - b).map(([, event]) => event)
}

/**
 * The Responses object of a stream: the one that the terminal event carries. Without a terminal event (the stream was cut),
 * or where its `output` is empty (Codex's own backend), the output is put together from the items and their pieces, in the
 * order of their sequence numbers where they came in another one.
 */
export const assembleResponse = (stream: Uint8Array | Iterable<SseEvent>): Assembled => {
  const { assembled, isInSequence } = assembleInOrder(stream)
  return isInSequence ? assembled : assembleInOrder(inSequence(stream)).assembled
}

/** `isInSequence` is false where the order of the events counts and is not that of their numbers. */
const assembleInOrder = (
  stream: Uint8Array | Iterable<SseEvent>
): { readonly assembled: Assembled; readonly isInSequence: boolean } => {
  const assembly = new Assembly()
  const items = new Items(assembly)
  let response: JsonObject | null = null
  let latest = -Infinity
  let isInSequence = true
  for (const { payload, type } of assembly.events(stream)) {
    const sequence = numberAt(payload, "sequence_number") ?? latest
    if (sequence < latest) isInSequence = false
    latest = sequence
    if (assembly.reports(payload) || type === undefined) continue
    const carried = at(payload, "response")
    const carries = isObject(carried)
    if (carries) response = carried
    if (terminalTypes.has(type)) {
      const isReported = assembly.reports(carried) || assembly.reports(at(carried, "status_details"))
      const isFailed = type === "response.failed" || at(carried, "status") === "failed"
      if (!isReported && isFailed) assembly.reports({ error: "the response failed" })
      assembly.isOver = true
      if (carries) break
    } else if (!carries) items.take(type, payload)
  }
  if (response === null && items.size === 0) return { assembled: assembly.result(null), isInSequence: true }
  const object: Draft = Object.assign(emptyRecord(), response ?? { object: "response" })
  if (listAt(object, "output").length > 0) return { assembled: assembly.result(object), isInSequence: true }
  object["output"] = items.toList()
  return { assembled: assembly.result(object), isInSequence }
}
