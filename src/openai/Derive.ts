/** What a recorded call means: its kind, the answer rebuilt from a stream, and the attributes of its span. */
import { assembleMessage } from "./AnthropicStream.js"
import { assembleChat, finishReasons, modelOf, responseIdOf, usageOf } from "./ChatCompletion.js"
import { decodeBody } from "./Decode.js"
import { type Endpoint, endpointOf } from "./Endpoint.js"
import { GenAi } from "./GenAi.js"
import { at, emptyRecord, isObject, listAt, numberAt, parseJson, textAt, utf8Of } from "./Json.js"
import { assembleResponse } from "./ResponsesStream.js"
import type { Assembled } from "./Sse.js"

/** A call as it was recorded: the bytes of both bodies as they were on the wire. */
export interface RecordedCall {
  readonly method: string
  readonly path: string
  readonly requestBytes: Uint8Array
  readonly requestContentEncoding?: string | null | undefined
  readonly responseBytes: Uint8Array
  readonly responseContentType?: string | null | undefined
  readonly responseContentEncoding?: string | null | undefined
  /** Null when the upstream never answered. */
  readonly statusCode: number | null
}

export interface Derived {
  readonly kind: Endpoint["kind"]
  readonly operation: Endpoint["operation"]
  /** For a stream, the object it amounts to; null for every other answer, which is its own object. */
  readonly assembled: Record<string, unknown> | null
  /** Names as in `GenAi.ts`. Without a prototype. */
  readonly attributes: Record<string, unknown>
  /** What the upstream reported as an error inside a stream that had begun with status 200. */
  readonly streamError?: string
  readonly inputTokens: number | null
  readonly outputTokens: number | null
  /** The model that answered, else the one that was asked for. */
  readonly model: string | null
}

/** Longest text and longest list that an attribute keeps; the bodies hold the rest. */
const textMax = 1024
const listMax = 32

const short = (value: unknown): unknown => {
  if (typeof value === "string") return value.slice(0, textMax)
  if (Array.isArray(value)) return value.slice(0, listMax).map(short)
  return value
}

class Attributes {
  readonly record = emptyRecord()

  /** Keeps what is a text, a number, a boolean or a list of texts; anything else says nothing. */
  set(name: string, value: unknown): void {
    const scalar = (typeof value === "string" && value !== "") || typeof value === "boolean" || Number.isFinite(value)
    const texts = Array.isArray(value) && value.length > 0 && value.every((item) => typeof item === "string")
    if (scalar || texts) this.record[name] = short(value)
  }
}

const describeRequest = (attributes: Attributes, request: unknown): void => {
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

const describeResponse = (attributes: Attributes, response: unknown): void => {
  const usage = usageOf(response)
  attributes.set(GenAi.responseId, responseIdOf(response))
  attributes.set(GenAi.responseModel, modelOf(response))
  attributes.set(GenAi.responseFinishReasons, finishReasons(response))
  attributes.set(GenAi.usageInputTokens, usage.inputTokens)
  attributes.set(GenAi.usageOutputTokens, usage.outputTokens)
  attributes.set(GenAi.usageCacheRead, usage.cachedInputTokens)
  attributes.set(GenAi.usageCacheWrite, usage.cacheWriteTokens)
  attributes.set(GenAi.usageReasoning, usage.reasoningTokens)
  attributes.set(GenAi.responseServiceTier, textAt(response, "service_tier"))
  attributes.set(GenAi.systemFingerprint, textAt(response, "system_fingerprint"))
}

const errorTypeOf = (body: unknown, statusCode: number): string => {
  const error = at(body, "error") ?? at(body, 0, "error")
  return textAt(error, "type") ?? textAt(error, "code") ?? textAt(error, "status") ?? String(statusCode)
}

const assemble = (api: Endpoint["api"], bytes: Uint8Array): Assembled => {
  if (api === "responses") return assembleResponse(bytes)
  return api === "messages" ? assembleMessage(bytes) : assembleChat(bytes)
}

/** Some servers name their streams something else: the first field of an event, or a comment, gives them away. */
const looksLikeStream = (bytes: Uint8Array): boolean =>
  /^(\uFEFF)?(data|event|id|retry)?:/.test(utf8Of(bytes.subarray(0, 16)))

interface Answer {
  readonly object: unknown
  readonly assembled: Record<string, unknown> | null
  readonly error: string | null
  /** Why there is no object. */
  readonly reason: string | null
}

const readAnswer = (api: Endpoint["api"], call: RecordedCall): Answer => {
  const none = { object: undefined, assembled: null, error: null }
  const decoded = decodeBody(call.responseBytes, call.responseContentEncoding)
  if ("reason" in decoded) return { ...none, reason: `response: ${decoded.reason}` }
  if (decoded.bytes.length === 0) return { ...none, reason: "response: empty" }
  if (/^\s*text\/event-stream\b/i.test(call.responseContentType ?? "") || looksLikeStream(decoded.bytes)) {
    const { error, object } = assemble(api, decoded.bytes)
    const reason = object === null && error === null ? "response: no chunk that could be read" : null
    return { object: object ?? undefined, assembled: object, error, reason }
  }
  const object = parseJson(utf8Of(decoded.bytes))
  return { ...none, object, reason: object === undefined ? "response: not JSON" : null }
}

const readRequest = (call: RecordedCall): { readonly object: unknown; readonly reason: string | null } => {
  const decoded = decodeBody(call.requestBytes, call.requestContentEncoding)
  if ("reason" in decoded) return { object: undefined, reason: `request: ${decoded.reason}` }
  const object = parseJson(utf8Of(decoded.bytes))
  return isObject(object) ? { object, reason: null } : { object: undefined, reason: "request: not a JSON object" }
}

/**
 * Reads a recorded call. Never throws: what could not be read is named in the attribute `tau.unassembled`, and the rest
 * is derived all the same. Deterministic, so that a span can be derived anew from its stored bodies.
 */
export const derive = (call: RecordedCall): Derived => {
  const { api, kind, operation } = endpointOf(call.method, call.path)
  const attributes = new Attributes()
  if (kind === "http") {
    if (call.statusCode !== null && call.statusCode >= 400) attributes.set(GenAi.errorType, String(call.statusCode))
    return {
      kind,
      operation,
      assembled: null,
      attributes: attributes.record,
      inputTokens: null,
      outputTokens: null,
      model: null
    }
  }
  const request = readRequest(call)
  const answer = readAnswer(api, call)
  const failed = call.statusCode !== null && call.statusCode >= 400
  attributes.set(GenAi.operationName, operation)
  attributes.set(GenAi.apiType, api === "embeddings" || api === "messages" ? null : api)
  describeRequest(attributes, request.object)
  if (!failed) describeResponse(attributes, answer.object)
  const reasons = [request.reason, failed || call.statusCode === null ? null : answer.reason].filter((text) =>
    text !== null
  )
  attributes.set(GenAi.unassembled, reasons.join("; "))

  const finishedInError = listAt(answer.object, "choices").some((choice) => at(choice, "finish_reason") === "error")
  const streamError = failed ? null : answer.error ?? (finishedInError ? "a choice finished with an error" : null)
  if (failed) attributes.set(GenAi.errorType, errorTypeOf(answer.object, call.statusCode))
  else if (streamError !== null) attributes.set(GenAi.errorType, "stream_error")
  const usage = usageOf(failed ? undefined : answer.object)
  return {
    kind,
    operation,
    assembled: answer.assembled,
    attributes: attributes.record,
    ...(streamError !== null && { streamError: streamError.slice(0, textMax) }),
    inputTokens: usage.inputTokens,
    outputTokens: usage.outputTokens,
    model: modelOf(failed ? undefined : answer.object) ?? textAt(request.object, "model")
  }
}
