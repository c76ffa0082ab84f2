/** What the two bodies of a model call say, as attributes of its span. */
import { finishReasons, modelOf, reasoningText, responseIdOf, toolNames, type Usage } from "./ChatCompletion.js"
import { GenAi, type GenAiName } from "./GenAi.js"
import { at, isObject, listAt, numberAt, textAt } from "./Json.js"

/** Longest text and longest list that an attribute keeps; the bodies hold the rest. */
const textMax = 1024
const listMax = 32

const short = (value: unknown): unknown => {
  if (typeof value === "string") return value.slice(0, textMax)
  if (Array.isArray(value)) return value.slice(0, listMax).map(short)
  return value
}

/** The attributes of one span. A map, and JSON made of it by hand: a plain object of so many shapes costs three times as much. */
export class Attributes {
  private readonly values = new Map<GenAiName, unknown>()

  /** Keeps what is a text, a number, a boolean or a list of texts; anything else says nothing. */
  set(name: GenAiName, value: unknown): void {
    if (value === null || value === undefined) return
    const scalar = (typeof value === "string" && value !== "") || typeof value === "boolean" || Number.isFinite(value)
    const texts = !scalar && Array.isArray(value) && value.length > 0 && value.every((item) => typeof item === "string")
    if (scalar || texts) this.values.set(name, short(value))
  }

  /** Keeps a value of our own as it is. */
  put(name: GenAiName, value: unknown): void {
    this.values.set(name, value)
  }

  putAll(values: Readonly<Partial<Record<GenAiName, unknown>>>): void {
    for (const [name, value] of Object.entries(values)) this.values.set(name as GenAiName, value)
  }

  get(name: GenAiName): unknown {
    return this.values.get(name)
  }

  delete(name: GenAiName): void {
    this.values.delete(name)
  }

  get record(): Record<string, unknown> {
    return Object.fromEntries(this.values)
  }

  /** JSON, each text in it as `clean` leaves it. */
  toText(clean: (text: string) => string): string {
    const cleaned = (value: unknown): unknown =>
      typeof value === "string" ? clean(value) : Array.isArray(value) ? value.map(cleaned) : value
    let text = "{"
    for (const [name, value] of this.values) {
      if (text.length > 1) text += ","
      text += quoted.get(name)!
      text += Number.isFinite(value) ? String(value) : JSON.stringify(cleaned(value)) ?? "null"
    }
    return `${text}}`
  }
}

const quoted: ReadonlyMap<GenAiName, string> = new Map(
  Object.values(GenAi).map((name) => [name, `${JSON.stringify(name)}:`])
)

export const describeRequest = (attributes: Attributes, request: unknown): void => {
  const stop = at(request, "stop") ?? at(request, "stop_sequences")
  const format = at(request, "response_format", "type") ?? at(request, "text", "format", "type")
  const choices = numberAt(request, "n")
  const encoding = textAt(request, "encoding_format")
  attributes.set(GenAi.requestModel, textAt(request, "model"))
  attributes.set(GenAi.requestTemperature, numberAt(request, "temperature"))
  attributes.set(GenAi.requestTopP, numberAt(request, "top_p"))
  attributes.set(GenAi.requestTopK, numberAt(request, "top_k"))
  attributes.set(
    GenAi.requestMaxTokens,
    numberAt(request, "max_completion_tokens") ?? numberAt(request, "max_output_tokens") ??
      numberAt(request, "max_tokens")
  )
  attributes.set(GenAi.requestStopSequences, typeof stop === "string" ? [stop] : stop)
  attributes.set(GenAi.requestFrequencyPenalty, numberAt(request, "frequency_penalty"))
  attributes.set(GenAi.requestPresencePenalty, numberAt(request, "presence_penalty"))
  attributes.set(GenAi.requestSeed, numberAt(request, "seed"))
  attributes.set(GenAi.requestChoiceCount, choices === 1 ? null : choices)
  attributes.set(GenAi.requestStream, at(request, "stream") === true ? true : null)
  attributes.set(GenAi.requestEncodingFormats, encoding === null ? null : [encoding])
  attributes.set(GenAi.embeddingsDimensions, numberAt(request, "dimensions"))
  attributes.set(GenAi.requestServiceTier, textAt(request, "service_tier"))
  attributes.set(GenAi.conversationId, textAt(request, "conversation") ?? textAt(request, "conversation", "id"))
  attributes.set(GenAi.linkedResponseId, textAt(request, "previous_response_id"))
  if (typeof format === "string") attributes.set(GenAi.outputType, format.startsWith("json") ? "json" : "text")
}

export const describeResponse = (attributes: Attributes, response: unknown, usage: Usage): void => {
  const hasLogprobs = listAt(response, "choices").some((choice) => isObject(at(choice, "logprobs"))) ||
    listAt(response, "output").some((item) =>
      listAt(item, "content").some((part) => listAt(part, "logprobs").length > 0)
    )
  attributes.set(GenAi.responseId, responseIdOf(response))
  attributes.set(GenAi.responseModel, modelOf(response))
  attributes.set(GenAi.responseFinishReasons, finishReasons(response))
  attributes.set(GenAi.usageInputTokens, usage.inputTokens)
  attributes.set(GenAi.usageOutputTokens, usage.outputTokens)
  attributes.set(GenAi.usageCacheRead, usage.cachedInputTokens)
  attributes.set(GenAi.usageCacheWrite, usage.cacheWriteTokens)
  attributes.set(GenAi.usageReasoning, usage.reasoningTokens)
  attributes.set(GenAi.usageCost, numberAt(response, "usage", "cost"))
  attributes.set(
    GenAi.responseServiceTier,
    textAt(response, "service_tier") ?? textAt(response, "usage", "service_tier")
  )
  attributes.set(GenAi.systemFingerprint, textAt(response, "system_fingerprint"))
  attributes.set(GenAi.answerToolCalls, toolNames(response))
  attributes.set(GenAi.answerReasoning, reasoningText(response) === null ? null : true)
  attributes.set(GenAi.answerLogprobs, hasLogprobs ? true : null)
}
