/** Chat completions: the final object from a stream, and what readers want from an answer of any of the three APIs. */
import { type Assembled, Assembly, inOrder } from "./Assembly.js"
import { ChoiceDraft } from "./ChatDelta.js"
import { at, countAt, emptyRecord, isObject, listAt, numberAt, textAt } from "./Json.js"
import type { SseEvent } from "./Sse.js"

/**
 * Rebuilds the `chat.completion` (or `text_completion`) object that a stream of chunks amounts to. A stream that was cut
 * gives what had arrived, with `finish_reason` null. Unknown fields are kept, later values over earlier; padding
 * (`obfuscation`) is dropped.
 */
export const assembleChat = (stream: Uint8Array | Iterable<SseEvent>): Assembled => {
  const assembly = new Assembly()
  const fields = emptyRecord()
  const choices = new Map<number, ChoiceDraft>()
  let usageOfChoice: unknown = null
  let seen = false
  for (const { payload: chunk } of assembly.events(stream)) {
    if (assembly.reports(chunk) && !Object.hasOwn(chunk, "choices")) continue
    seen = true
    for (const key of Object.keys(chunk)) {
      const value = chunk[key]
      // Most fields of most chunks say what they said before.
      if (key === "choices" || key === "obfuscation" || fields[key] === value && value !== undefined) continue
      // Azure's first chunk has an empty id and model: the first that says something counts.
      if (key === "id" || key === "model" || key === "created") fields[key] = fields[key] || value
      else if (value !== null || !(key in fields)) fields[key] = value
    }
    for (const [place, choice] of listAt(chunk, "choices").entries()) {
      if (!isObject(choice)) continue
      const index = numberAt(choice, "index") ?? place
      assembly.part(choices, index, () => new ChoiceDraft(index, assembly))?.merge(choice)
      usageOfChoice = choice["usage"] ?? usageOfChoice
    }
  }
  if (!seen) return assembly.result(null)
  if (fields["object"] !== "text_completion") fields["object"] = "chat.completion"
  fields["choices"] = inOrder(choices).map((draft) => draft.toChoice())
  // Groq's last chunk has it in a field of its own where nobody asked for it.
  fields["usage"] ??= usageOfChoice ?? at(fields, "x_groq", "usage") ?? null
  if (fields["usage"] === null) delete fields["usage"]
  return assembly.result(fields)
}

/** Token counts as the upstream reported them; null where it said nothing. */
export interface Usage {
  /** All tokens of the prompt, those read from a cache included. */
  readonly inputTokens: number | null
  readonly outputTokens: number | null
  readonly cachedInputTokens: number | null
  readonly cacheWriteTokens: number | null
  readonly reasoningTokens: number | null
}

/** Reads the usage of a chat completion, a Responses object or an Anthropic message. */
export const usageOf = (object: unknown): Usage => {
  const usage = at(object, "usage")
  const input = at(usage, "prompt_tokens_details") ?? at(usage, "input_tokens_details") ??
    at(usage, "input_token_details")
  const output = at(usage, "completion_tokens_details") ?? at(usage, "output_tokens_details")
  const isAnthropic = at(object, "type") === "message"
  const sumOf = (name: string): number | null => isAnthropic ? withCompactions(usage, name) : countAt(usage, name)
  const anthropicRead = sumOf("cache_read_input_tokens")
  const anthropicWrite = sumOf("cache_creation_input_tokens")
  const counted = countAt(usage, "prompt_tokens") ?? sumOf("input_tokens")
  const timings = isObject(usage) ? undefined : at(object, "timings")
  return {
    // Anthropic counts cached tokens apart from the rest of the prompt, everyone else among it.
    inputTokens: counted === null
      ? timedInput(timings)
      : !isAnthropic
      ? counted
      : counted + (anthropicRead ?? 0) + (anthropicWrite ?? 0),
    outputTokens: countAt(usage, "completion_tokens") ?? sumOf("output_tokens") ?? countAt(timings, "predicted_n"),
    cachedInputTokens: countAt(input, "cached_tokens") ?? countAt(usage, "prompt_cache_hit_tokens") ??
      countAt(usage, "cached_tokens") ?? anthropicRead ?? countAt(timings, "cache_n"),
    cacheWriteTokens: countAt(input, "cache_write_tokens") ?? anthropicWrite,
    reasoningTokens: countAt(output, "reasoning_tokens") ?? countAt(output, "thinking_tokens") ??
      countAt(usage, "reasoning_tokens")
  }
}

/** Anthropic's sums leave out what its compactions took, each a call of the model by itself. */
const withCompactions = (usage: unknown, name: string): number | null =>
  listAt(usage, "iterations").reduce<number | null>((sum, iteration) => {
    const count = at(iteration, "type") === "compaction" ? countAt(iteration, name) : null
    return count === null ? sum : (sum ?? 0) + count
  }, countAt(usage, name))

/** llama.cpp counts tokens in its timings where no usage was asked for; older versions leave out what the cache held. */
const timedInput = (timings: unknown): number | null => {
  const cached = countAt(timings, "cache_n")
  const read = countAt(timings, "prompt_n")
  return cached === null || read === null ? null : cached + read
}

/** Why each choice ended, in the words of the wire: `finish_reason`, `stop_reason`, or the status of a Responses object. */
export const finishReasons = (object: unknown): ReadonlyArray<string> => {
  const reasons: Array<string> = []
  for (const choice of listAt(object, "choices")) {
    const reason = textAt(choice, "finish_reason")
    if (reason !== null) reasons.push(reason)
  }
  const type = at(object, "object")
  const isResponse = type === "response" || type === "realtime.response"
  const status = isResponse ? textAt(object, "status") : null
  const reason = textAt(object, "stop_reason") ?? textAt(object, "incomplete_details", "reason") ??
    (status === "in_progress" || status === "queued" ? null : status)
  if (reason !== null) reasons.push(reason)
  return reasons
}

/** The model that answered, by its own word. */
export const modelOf = (object: unknown): string | null => textAt(object, "model")

/** The id the upstream gave the answer. */
export const responseIdOf = (object: unknown): string | null => textAt(object, "id")

/** Names of the tools that the answer calls, in order, of all choices. */
export const toolNames = (object: unknown): ReadonlyArray<string> => {
  const names: Array<string> = []
  const add = (name: string | null) => {
    if (name !== null) names.push(name)
  }
  for (const choice of listAt(object, "choices")) {
    const message = at(choice, "message")
    for (const call of listAt(message, "tool_calls")) {
      add(textAt(call, "function", "name") ?? textAt(call, "custom", "name"))
    }
    add(textAt(message, "function_call", "name"))
  }
  for (const items of [listAt(object, "output"), listAt(object, "content")]) {
    for (const item of items) {
      const type = textAt(item, "type")
      if (type !== null && /(tool_use|_call)$/.test(type)) add(textAt(item, "name") ?? type)
    }
  }
  return names
}

/** The reasoning that the answer shows: each server has a name of its own for it, and some send it under two. */
export const reasoningText = (object: unknown): string | null => {
  const message = at(object, "choices", 0, "message")
  const ofChat = textAt(message, "reasoning_content") ?? textAt(message, "reasoning") ??
    textAt(message, "reasoning_text")
  if (ofChat !== null) return ofChat
  const texts: Array<string> = []
  const add = (part: unknown) => {
    const text = textAt(part, "text") ?? textAt(part, "summary")
    if (text !== null) texts.push(text)
  }
  for (const part of listAt(message, "content")) listAt(part, "thinking").forEach(add)
  listAt(message, "reasoning_details").forEach(add)
  for (const item of listAt(object, "output")) {
    if (at(item, "type") !== "reasoning") continue
    listAt(item, "content").forEach(add)
    listAt(item, "summary").forEach(add)
  }
  for (const block of listAt(object, "content")) {
    const thought = textAt(block, "thinking")
    if (thought !== null) texts.push(thought)
  }
  return texts.length === 0 ? null : texts.join("")
}
