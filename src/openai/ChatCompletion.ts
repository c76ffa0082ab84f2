/** Chat completions: the final object from a stream, and what readers want from an answer of any of the three APIs. */
import { ChoiceDraft } from "./ChatDelta.js"
import { at, countAt, emptyRecord, isObject, listAt, numberAt, parseJson, textAt } from "./Json.js"
import { type Assembled, eventsOf, type SseEvent } from "./Sse.js"

/**
 * Rebuilds the `chat.completion` (or `text_completion`) object that a stream of chunks amounts to. A stream that was cut
 * gives what had arrived, with `finish_reason` null. Unknown fields are kept, later values over earlier; padding
 * (`obfuscation`) is dropped.
 */
export const assembleChat = (stream: Uint8Array | ReadonlyArray<SseEvent>): Assembled => {
  const fields = emptyRecord()
  const choices = new Map<number, ChoiceDraft>()
  let error: string | null = null
  let usageOfChoice: unknown = null
  let seen = false
  for (const { data } of eventsOf(stream)) {
    const chunk = parseJson(data)
    if (!isObject(chunk)) continue
    const failure = errorMessageOf(chunk)
    error ??= failure
    if (failure !== null && !Object.hasOwn(chunk, "choices")) continue
    seen = true
    for (const key of Object.keys(chunk)) {
      const value = chunk[key]
      if (key === "choices" || key === "obfuscation" || key === "error") continue
      // Azure's first chunk has an empty id and model: the first that says something counts.
      if (key === "id" || key === "model" || key === "created") fields[key] = fields[key] || value
      else if (value !== null || !(key in fields)) fields[key] = value
    }
    for (const [place, choice] of listAt(chunk, "choices").entries()) {
      if (!isObject(choice)) continue
      const index = numberAt(choice, "index") ?? place
      if (!choices.has(index)) choices.set(index, new ChoiceDraft(index))
      choices.get(index)!.merge(choice)
      usageOfChoice = choice["usage"] ?? usageOfChoice
    }
  }
  if (!seen) return { object: null, error }
  if (fields["object"] !== "text_completion") fields["object"] = "chat.completion"
  fields["choices"] = [...choices.entries()].toSorted(([a], [b]) => a - b).map(([, draft]) => draft.toChoice())
  fields["usage"] ??= usageOfChoice
  if (fields["usage"] === null) delete fields["usage"]
  return { object: fields, error }
}

/** What an error object of any dialect says, or null when the object is none. */
export const errorMessageOf = (object: unknown): string | null => {
  const error = at(object, "error") ?? at(object, 0, "error")
  if (error === undefined || error === null) return null
  return textAt(error, "message") ?? (typeof error === "string" ? error : JSON.stringify(error).slice(0, 500))
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
  const input = at(usage, "prompt_tokens_details") ?? at(usage, "input_tokens_details")
  const output = at(usage, "completion_tokens_details") ?? at(usage, "output_tokens_details")
  const anthropicRead = countAt(usage, "cache_read_input_tokens")
  const anthropicWrite = countAt(usage, "cache_creation_input_tokens")
  const counted = countAt(usage, "prompt_tokens") ?? countAt(usage, "input_tokens")
  const isAnthropic = at(object, "type") === "message"
  return {
    // Anthropic counts cached tokens apart from the rest of the prompt, everyone else among it.
    inputTokens: counted === null || !isAnthropic ? counted : counted + (anthropicRead ?? 0) + (anthropicWrite ?? 0),
    outputTokens: countAt(usage, "completion_tokens") ?? countAt(usage, "output_tokens"),
    cachedInputTokens: countAt(input, "cached_tokens") ?? countAt(usage, "prompt_cache_hit_tokens") ?? anthropicRead,
    cacheWriteTokens: countAt(input, "cache_write_tokens") ?? anthropicWrite,
    reasoningTokens: countAt(output, "reasoning_tokens")
  }
}

const partsText = (content: unknown): string | null => {
  if (typeof content === "string") return content
  if (!Array.isArray(content)) return null
  const texts = content.flatMap((part: unknown) => {
    const text = at(part, "type") === "text" || at(part, "type") === "output_text" ? at(part, "text") : undefined
    return typeof text === "string" ? [text] : []
  })
  return texts.length === 0 ? null : texts.join("")
}

/** The text a user would see of the first choice, without reasoning and tool calls; null when there is none. */
export const answerText = (object: unknown): string | null => {
  const choice = at(object, "choices", 0)
  if (choice !== undefined) return partsText(at(choice, "message", "content")) ?? partsText(at(choice, "text"))
  if (Array.isArray(at(object, "output"))) {
    return partsText(listAt(object, "output").flatMap((item) => listAt(item, "content")))
  }
  return partsText(at(object, "content"))
}

/** Why each choice ended, in the words of the wire: `finish_reason`, `stop_reason`, or the status of a Responses object. */
export const finishReasons = (object: unknown): ReadonlyArray<string> => {
  const choices = listAt(object, "choices").map((choice) => textAt(choice, "finish_reason"))
  const reason = textAt(object, "stop_reason") ?? textAt(object, "incomplete_details", "reason") ??
    (at(object, "object") === "response" ? textAt(object, "status") : null)
  return [...choices, reason].filter((text) => text !== null)
}

/** The model that answered, by its own word. */
export const modelOf = (object: unknown): string | null => textAt(object, "model")

/** The id the upstream gave the answer. */
export const responseIdOf = (object: unknown): string | null => textAt(object, "id")
