/** What a model call is for: the agent's work, or one of the side calls that agents make around it. */
import { at, listAt, numberAt, textAt } from "./Json.js"

/** A `reflection` is told by whom it is attributed to, not by its request. */
export const callRoles = ["main", "title", "compaction", "warm_up", "ping", "judge", "reflection"] as const
export type CallRole = typeof callRoles[number]

/** How the system prompt of the `judge` scorer begins, and how its calls are told from the agent's. */
export const judgeOpening = "You grade an answer of another program by a rubric."

/** How much of a prompt is looked at: what a side call is for stands at its beginning. */
const headLength = 600
const pingLength = 32

const textOf = (content: unknown): string => {
  if (typeof content === "string") return content.slice(0, headLength)
  return (Array.isArray(content) ? content.slice(0, 8) : []).map((part) => textAt(part, "text") ?? "").join("\n")
    .slice(0, headLength)
}

const turnsOf = (request: unknown): ReadonlyArray<unknown> => {
  const turns = listAt(request, "messages")
  return turns.length > 0 ? turns : listAt(request, "input")
}

const isSystem = (turn: unknown) => at(turn, "role") === "system" || at(turn, "role") === "developer"

const systemText = (request: unknown): string => {
  const own = textAt(request, "instructions") ?? at(request, "system")
  return textOf(own ?? at(turnsOf(request).find(isSystem), "content"))
}

/** Text of the last turn; a plain `input` is one turn. */
const lastText = (request: unknown): string => textOf(lastContent(request))

const lastContent = (request: unknown): unknown => at(turnsOf(request).at(-1), "content") ?? at(request, "input")

/** The last part of the last turn: an agent may add its own request as one more part of what its user said last. */
const lastPart = (request: unknown): string => {
  const content = lastContent(request)
  return textOf(Array.isArray(content) ? content.slice(-1) : content)
}

/** One search that tells whether any of the three below can be there: nearly every prompt costs only this. */
const hint = /title|summar|compaction|context extraction/i
const title = /\btitle generator\b|\bgenerate an? (?:[\w-]+,? ){0,3}title\b/i
const summary =
  /\btasked with summarizing conversations\b|\bcontext summarization (?:assistant|agent)\b|\bsummarizes internal chat history\b/i
const checkpoint =
  /^<role>\s*context extraction assistant\s*<\/role>|\bcontext checkpoint compaction\b|\byour task is to create a detailed summary of (?:the|this) (?:recent portion of the )?conversation\b/i

const isPing = (request: unknown, last: string): boolean => {
  const limit = numberAt(request, "max_tokens") ?? numberAt(request, "max_completion_tokens") ??
    numberAt(request, "max_output_tokens")
  // A limit of one token with log probabilities is how answers are scored, not a sign of life.
  return limit !== null && limit <= 1 && turnsOf(request).length === 1 && at(request, "logprobs") === undefined &&
    last.length <= pingLength
}

/** By simple rules on the request alone; what fits none of them is `main`. */
export const roleOf = (path: string, request: unknown): CallRole => {
  if (/\/responses\/compact\/?(?:\?|$)/.test(path)) return "compaction"
  if (at(request, "compaction", "type") === "summarize") return "compaction"
  if (at(request, "generate") === false) return "warm_up"
  const system = systemText(request)
  if (system.startsWith(judgeOpening)) return "judge"
  const last = lastText(request)
  if (isPing(request, last)) return "ping"
  const asked = lastPart(request)
  if (hint.test(asked) && checkpoint.test(asked)) return "compaction"
  // Agents give their side calls no tools: a prompt that has some and speaks of titles is the work itself.
  if (!hint.test(system) || listAt(request, "tools").length > 0) return "main"
  if (summary.test(system)) return "compaction"
  return title.test(system) ? "title" : "main"
}
