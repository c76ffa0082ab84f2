/** What the two bodies of a model call say, as attributes of its span. */
import { finishReasons, modelOf, reasoningText, responseIdOf, toolNames, type Usage } from "./ChatCompletion.js"
import { GenAi, type GenAiName } from "./GenAi.js"
import { at, isObject, listAt, numberAt, textAt, textJson } from "./Json.js"

/** Longest text and longest list that an attribute keeps; the bodies hold the rest. */
const textMax = 1024
const listMax = 32

const short = (value: unknown): unknown => {
  if (typeof value === "string") return value.slice(0, textMax)
  if (Array.isArray(value)) return value.slice(0, listMax).map(short)
  return value
}

/**
 * The attributes of one span: two lists, and JSON made of them by hand. There are some twenty, which are found faster than they
 * would be hashed; a plain object of so many shapes costs three times as much.
 */
export class Attributes {
  constructor(private readonly names: Array<GenAiName> = [], private readonly values: Array<unknown> = []) {}

  copy(): Attributes {
    return new Attributes(this.names.slice(), this.values.slice())
  }

  /** Keeps what is a text, a number, a boolean or a list of texts; anything else says nothing. */
  set(name: GenAiName, value: unknown): void {
    if (value === null || value === undefined) return
    const scalar = (typeof value === "string" && value !== "") || typeof value === "boolean" || Number.isFinite(value)
    const texts = !scalar && Array.isArray(value) && value.length > 0 && value.every((item) => typeof item === "string")
    if (scalar || texts) this.put(name, short(value))
  }

  /** Keeps a value of our own as it is. */
  put(name: GenAiName, value: unknown): void {
    const place = this.placeOf(name)
    if (place === -1) {
      this.names.push(name)
      this.values.push(value)
    } else this.values[place] = value
  }

  putAll(values: Readonly<Partial<Record<GenAiName, unknown>>>): void {
    for (const [name, value] of Object.entries(values)) this.put(name as GenAiName, value)
  }

  get(name: GenAiName): unknown {
    return this.values[this.placeOf(name)]
  }

  delete(name: GenAiName): void {
    const place = this.placeOf(name)
    if (place === -1) return
    this.names.splice(place, 1)
    this.values.splice(place, 1)
  }

  get record(): Record<string, unknown> {
    return Object.fromEntries(this.names.map((name, place) => [name, this.values[place]]))
  }

  private placeOf(name: GenAiName): number {
    const { names } = this
    for (let place = 0; place < names.length; place++) if (names[place] === name) return place
    return -1
  }

  /** JSON. With `clean`, each text in it as that leaves it. */
  toText(clean?: (text: string) => string): string {
    const { names, values } = this
    let text = "{"
    for (let place = 0; place < names.length; place++) {
      if (place > 0) text += ","
      text += quoted.get(names[place]!)!
      const value = clean === undefined ? values[place] : cleaned(values[place], clean)
      if (typeof value === "number") text += Number.isFinite(value) ? String(value) : "null"
      else if (typeof value === "string") text += textJson(value)
      else text += JSON.stringify(value) ?? "null"
    }
    return `${text}}`
  }
}

const cleaned = (value: unknown, clean: (text: string) => string): unknown => {
  if (typeof value === "string") return clean(value)
  return Array.isArray(value) ? value.map((item) => cleaned(item, clean)) : value
}

const quoted: ReadonlyMap<GenAiName, string> = new Map(
  Object.values(GenAi).map((name) => [name, `${JSON.stringify(name)}:`])
)

/** Sets what the request says. Of a body that is no JSON object, nothing. */
export const describeRequest = (attributes: Attributes, request: unknown): void => {
  const stop = at(request, "stop") ?? at(request, "stop_sequences")
  const format = at(request, "response_format", "type") ?? at(request, "text", "format", "type") ??
    at(request, "output_config", "format", "type")
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

/** Sets what the answer says, and what it used. */
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
  // Perplexity says what each part of a call cost, and in all.
  attributes.set(
    GenAi.usageCost,
    numberAt(response, "usage", "cost") ?? numberAt(response, "usage", "cost", "total_cost")
  )
  attributes.set(
    GenAi.responseServiceTier,
    textAt(response, "service_tier") ?? textAt(response, "usage", "service_tier")
  )
  attributes.set(GenAi.systemFingerprint, textAt(response, "system_fingerprint"))
  attributes.set(GenAi.answerToolCalls, toolNames(response))
  attributes.set(GenAi.answerReasoning, reasoningText(response) === null ? null : true)
  attributes.set(GenAi.answerLogprobs, hasLogprobs ? true : null)
}
