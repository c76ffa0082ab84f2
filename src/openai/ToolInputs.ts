/** Inputs of tools in Anthropic messages: JSON within the JSON of a body, with numbers that would not survive its being parsed. */
import { listAt, mayRound, textAt } from "./Json.js"
import { elementsOf, membersOf, type Range, rootOf } from "./JsonTokens.js"

const toolUses: ReadonlySet<string> = new Set(["tool_use", "server_tool_use"])

/** Gives each such input in `value`, which was parsed from this body, its text as `partial_json` beside it, as those of streams have. */
export const keepInputs = (body: Buffer, value: unknown): void => {
  if (!body.includes("tool_use")) return
  const root = rootOf(body)
  const members = root === null ? null : membersOf(body, root)
  keepInputsOf(body, members, value)
  for (const [index, message] of rangesIn(body, members?.get("messages")).entries()) {
    keepInputsOf(body, membersOf(body, message), listAt(value, "messages")[index])
  }
}

type Members = ReadonlyMap<string, Range> | null

const keepInputsOf = (body: Buffer, message: Members, value: unknown): void => {
  for (const [index, block] of rangesIn(body, message?.get("content")).entries()) {
    const part = listAt(value, "content")[index]
    if (!toolUses.has(textAt(part, "type") ?? "") || textAt(part, "partial_json") !== null) continue
    const input = membersOf(body, block)?.get("input")
    const json = input === undefined ? "" : body.toString("utf8", input.start, input.end)
    if (mayRound(json)) Object.assign(part as object, { partial_json: json })
  }
}

const rangesIn = (body: Buffer, list: Range | undefined): ReadonlyArray<Range> =>
  list === undefined ? [] : elementsOf(body, list) ?? []
