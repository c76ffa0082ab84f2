/**
 * The texts of a model call that its agent gives with every call, whichever API it speaks, and where they stand in the
 * bytes of the request: system messages, instructions, and what tools are said to do. Nothing that a user said is among them.
 */
import type { Endpoint } from "./Endpoint.js"
import { elementsOf, membersOf, type Range, rootOf, stringAt } from "./JsonTokens.js"

export type TextPlace = "system" | "instructions" | "tool_description"

export interface RequestText {
  readonly place: TextPlace
  /** The tool that is described; null for anything else. */
  readonly tool: string | null
  readonly text: string
  /** The string in the bytes of the body, its quotes included. */
  readonly token: Range
}

/** APIs whose requests hold such texts. */
export const hasTexts = ({ api }: Endpoint): boolean =>
  api === "chat_completions" || api === "responses" || api === "messages"

/** In the order in which they stand in their lists; null when the body is not one JSON object in UTF-8. */
export const requestTexts = (api: Endpoint["api"], body: Buffer): ReadonlyArray<RequestText> | null => {
  const root = rootOf(body)
  const request = root === null ? null : membersOf(body, root)
  if (request === null) return null
  const texts: Array<RequestText> = []
  const add = (place: TextPlace, value: Range | undefined, tool: string | null) => {
    const text = value === undefined ? null : stringAt(body, value)
    if (text !== null) texts.push({ place, tool, text, token: value! })
  }
  /** A text, or a list of parts some of which are. */
  const addContent = (place: TextPlace, value: Range | undefined) => {
    add(place, value, null)
    for (const part of itemsOf(body, value)) {
      if (textTypes.has(textIn(body, part, "type") ?? "")) add(place, part.get("text"), null)
    }
  }
  if (api === "messages") addContent("system", request.get("system"))
  if (api === "responses") addContent("instructions", request.get("instructions"))
  for (const turn of itemsOf(body, request.get(api === "responses" ? "input" : "messages"))) {
    const role = textIn(body, turn, "role")
    if (role === "system" || role === "developer") addContent("system", turn.get("content"))
  }
  for (const tool of [...itemsOf(body, request.get("tools")), ...itemsOf(body, request.get("functions"))]) {
    // A chat keeps what a tool is one level below its type.
    const inner = tool.get("function") ?? tool.get("custom")
    const definition = inner === undefined ? tool : membersOf(body, inner)
    const name = textIn(body, definition, "name")
    if (name !== null) add("tool_description", definition?.get("description"), name)
  }
  return texts
}

/** Parts of a message that are text that somebody wrote. */
const textTypes = new Set(["text", "input_text"])

/** The objects of a list. */
const itemsOf = (body: Buffer, list: Range | undefined): ReadonlyArray<ReadonlyMap<string, Range>> =>
  list === undefined ? [] : (elementsOf(body, list) ?? []).flatMap((element) => membersOf(body, element) ?? [])

const textIn = (body: Buffer, members: ReadonlyMap<string, Range> | null, name: string): string | null => {
  const value = members?.get(name)
  return value === undefined ? null : stringAt(body, value)
}
