/** How the simulated models use tools: by plain rules, so that the same request always calls the same tool. */
import { at, isObject, listAt, numberAt, textAt } from "../openai/Json.js"
import { idOf } from "./Chance.js"

export interface Tool {
  readonly name: string
  /** What the agent says it is for; empty when it says nothing. */
  readonly description: string
  /** JSON Schema of its arguments. */
  readonly parameters: unknown
}

/** Null leaves the choice to the model. */
export type ToolChoice = "none" | "required" | { readonly name: string } | null

export interface ToolCall {
  readonly id: string
  readonly name: string
  /** JSON text. */
  readonly arguments: string
}

/** Most tools of a request that are looked at, and deepest level of a schema that is filled in. */
const toolsMax = 128
const depthMax = 5

/** Function tools in the shapes of chat completions, responses and Anthropic messages; others are left out. */
export const readTools = (tools: unknown): ReadonlyArray<Tool> =>
  (Array.isArray(tools) ? tools.slice(0, toolsMax) : []).flatMap((tool: unknown) => {
    const own = isObject(at(tool, "function")) ? at(tool, "function") : tool
    const name = textAt(own, "name")
    const parameters = at(own, "parameters") ?? at(own, "input_schema")
    const type = at(tool, "type") ?? "function"
    return name !== null && (type === "function" || type === "custom" && at(tool, "input_schema") !== undefined)
      ? [{ name, description: textAt(own, "description") ?? "", parameters }]
      : []
  })

/** `tool_choice` of any of the three APIs. */
export const readToolChoice = (choice: unknown): ToolChoice => {
  const word = typeof choice === "string" ? choice : textAt(choice, "type")
  const name = textAt(choice, "function", "name") ?? textAt(choice, "name")
  if (name !== null) return { name }
  if (word === "none") return "none"
  return word === "required" || word === "any" ? "required" : null
}

/** Words of at least four letters: shorter ones (`get`, `set`, `run`) say nothing of what a tool is for. */
const wordsOf = (text: string): ReadonlyArray<string> =>
  (text.replaceAll(/(?<=[a-z])(?=[A-Z])/g, " ").toLowerCase().match(/[a-z]+/g) ?? []).filter((word) => word.length >= 4)

/** Agents put reminders and context before what they were asked: the last line is the request itself. */
const lastLine = (question: string): string => question.trimEnd().split("\n").at(-1)!

/** The first tool whose name shares a word with the question. */
const fitting = (tools: ReadonlyArray<Tool>, question: string): Tool | undefined => {
  const asked = new Set(wordsOf(question.slice(0, 100_000)))
  return tools.find(({ name }) => wordsOf(name).some((word) => asked.has(word)))
}

/** What the question offers for a text: what it quotes in backquotes, else its proper name, else all of it. */
const phraseOf = (question: string): string =>
  /`([^`]{1,2000})`/.exec(question)?.[1] ??
    /(?<=\S\s)[A-Z]\w+(?:\s[A-Z]\w+){0,4}/.exec(question.slice(0, 2000))?.[0] ?? question.slice(0, 200)

/** A value that the schema allows, taken from the question where it can be. */
const valueFor = (schema: unknown, question: string, depth: number): unknown => {
  const options = listAt(schema, "enum")
  if (options.length > 0) return options[0]
  const fixed = at(schema, "const")
  if (fixed !== undefined) return fixed
  const either = listAt(schema, "anyOf")[0] ?? listAt(schema, "oneOf")[0]
  if (either !== undefined && depth < depthMax) return valueFor(either, question, depth + 1)
  const named = at(schema, "type")
  const type = Array.isArray(named) ? named[0] as unknown : named
  if (type === "number" || type === "integer") {
    const found = Number(/-?\d{1,15}(?:\.\d{1,6})?/.exec(question)?.[0] ?? numberAt(schema, "minimum") ?? 1)
    return type === "integer" ? Math.trunc(found) : found
  }
  if (type === "boolean") return false
  if (type === "null") return null
  if (type === "array") {
    return (numberAt(schema, "minItems") ?? 0) > 0 && depth < depthMax
      ? [valueFor(at(schema, "items"), question, depth + 1)]
      : []
  }
  return type === "object" ? argumentsFor(schema, question, depth + 1) : phraseOf(question)
}

/** The required properties, each with a value. */
const argumentsFor = (schema: unknown, question: string, depth = 0): Record<string, unknown> => {
  const names = depth > depthMax ? [] : listAt(schema, "required").filter((name) => typeof name === "string")
  return Object.fromEntries(names.map((name) => [name, valueFor(at(schema, "properties", name), question, depth)]))
}

/**
 * The call that answers a request, or null when it is answered in words. A tool is called only in answer to a user's turn, so
 * that an agent's loop ends after one call: the one that `tool_choice` names; with `required` the one that fits the question,
 * else the first; else, by the model's own choice, one whose name shares a word with the question. The question is the last
 * line of what the user said.
 */
export const toolCallFor = (
  { messages, toolChoice, tools }: {
    readonly messages: ReadonlyArray<{ readonly role: string; readonly text: string }>
    readonly tools: ReadonlyArray<Tool>
    readonly toolChoice: ToolChoice
  },
  text: string
): ToolCall | null => {
  const question = lastLine(text)
  if (tools.length === 0 || toolChoice === "none" || messages.at(-1)?.role !== "user") return null
  const tool = toolChoice === null
    ? fitting(tools, question)
    : toolChoice === "required"
    ? fitting(tools, question) ?? tools[0]
    : tools.find(({ name }) => name === toolChoice.name)
  if (tool === undefined) return null
  const json = JSON.stringify(argumentsFor(tool.parameters, question))
  return { id: `call_${idOf(JSON.stringify(messages), tool.name, json)}`, name: tool.name, arguments: json }
}
