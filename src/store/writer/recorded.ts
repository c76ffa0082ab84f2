/** What of a call may be written down: everything goes through here between the wire and the store. */
import type { Attributes } from "../../openai/Attributes.js"
import { decodeBody } from "../../openai/Decode.js"
import {
  type Asked,
  type AskedCall,
  derive,
  type Derived,
  isStream,
  readRequest,
  type RecordedCall
} from "../../openai/Derive.js"
import { GenAi, type GenAiName } from "../../openai/GenAi.js"
import { defaultRules, type RedactedBody, type RedactionRules, Redactor } from "../../openai/Redaction.js"
import { eventsOfLines } from "../../openai/SocketEvents.js"
import type { SseEvent } from "../../openai/Sse.js"
import type { AskedSpan } from "./requestsAhead.js"
import type { FinishedSpan, SpanIntent } from "./spans.js"

export interface RecordingRules {
  /** False keeps no bodies and nothing that quotes them: sizes, usage, models and states are left. */
  readonly payloads: boolean
  readonly redaction: RedactionRules
}

let rules: RecordingRules = { payloads: true, redaction: defaultRules }
let rulesRedactor = new Redactor(rules.redaction)

/** Holds for this thread, from now on. */
export const recordBy = (chosen: RecordingRules): void => {
  rules = chosen
  rulesRedactor = new Redactor(chosen.redaction)
}

/** A call's answer as it may be stored, and what both bodies mean. */
export interface Recorded {
  readonly response: Uint8Array
  readonly responseContentEncoding: string | null
  readonly derived: Derived
}

const none = new Uint8Array(0)

/** A request as it may be stored, and what it says. */
export interface CleanRequest extends Pick<RedactedBody, "bytes" | "count" | "dropped"> {
  readonly asked: Asked
}

/** Done while the answer is made where it would hold that up; `recorded` takes it from there. */
export const recordedRequest = (call: AskedCall, secrets: ReadonlyArray<string> = []): CleanRequest => {
  if (keepsNothing()) return { bytes: none, count: 0, dropped: null, asked: readRequest(call) }
  const { bytes, contentEncoding, count, dropped } = rulesRedactor.knowing(secrets)
    .body(call.requestBytes, call.requestContentEncoding ?? null)
  // Of one that is not kept, sizes and models are read all the same.
  const isChanged = dropped === null && bytes !== call.requestBytes
  const asked = readRequest(
    isChanged ? { ...call, requestBytes: bytes, requestContentEncoding: contentEncoding } : call
  )
  return { bytes: rules.payloads ? bytes : none, count, dropped, asked }
}

/** Patterns hold in attributes too, when they are written. What has been taken out of its place in a body cannot be told there. */
const keepsNothing = () => !rules.payloads && rules.redaction.jsonPaths.length === 0

/** What is kept of a call where bodies are not. */
const bodiless = (call: RecordedCall, derived: Derived): Recorded => ({
  response: none,
  responseContentEncoding: null,
  derived: withoutContent(derived, call, { [GenAi.unrecorded]: "bodies are not recorded here" })
})

/** The call with its answer as it may be kept. Of one that is not kept, sizes and usage are read all the same. */
const withAnswer = (call: RecordedCall, { bytes, contentEncoding, dropped }: RedactedBody): RecordedCall =>
  dropped !== null || bytes === call.responseBytes
    ? call
    : { ...call, responseBytes: bytes, responseContentEncoding: contentEncoding }

/** `secrets` are texts that the caller is known to keep to itself. */
export const recorded = (
  call: RecordedCall,
  secrets: ReadonlyArray<string> = [],
  request: CleanRequest = recordedRequest(call, secrets)
): Recorded => {
  if (keepsNothing()) return bodiless(call, derive(call, request.asked))
  const redactor = rulesRedactor.knowing(secrets)
  const response = redactor.body(call.responseBytes, call.responseContentEncoding ?? null)
  const derived = derive(withAnswer(call, response), request.asked)
  if (!rules.payloads) return bodiless(call, derived)
  const dropped = droppedOf(request, response)
  if (dropped !== "") {
    const marks = { [GenAi.unrecorded]: dropped, ...counted(request.count + response.count) }
    return {
      response: response.bytes,
      responseContentEncoding: response.contentEncoding,
      derived: withoutContent(derived, call, marks)
    }
  }
  const answer = answerOf(redactor, derived, call, response)
  const isKept = answer.dropped === null
  const count = request.count + Math.max(response.count, answer.count)
  if (count > 0) derived.attributes.put(GenAi.redacted, count)
  if (!isKept) derived.attributes.put(GenAi.unrecorded, answer.dropped)
  return {
    response: isKept ? response.bytes : none,
    responseContentEncoding: isKept ? response.contentEncoding : null,
    derived: answer.object === derived.assembled ? derived : { ...derived, assembled: answer.object }
  }
}

const counted = (count: number) => count === 0 ? {} : { [GenAi.redacted]: count }

const droppedOf = (request: CleanRequest, response: RedactedBody): string =>
  request.dropped === null && response.dropped === null ?
    "" :
    [["request", request.dropped], ["response", response.dropped]]
      .flatMap(([name, reason]) => reason === null ? [] : [`${name}: ${reason}`]).join("; ")

interface Answer {
  readonly object: Record<string, unknown> | null
  readonly count: number
  /** Why the stream's own bytes are not kept. */
  readonly dropped: string | null
}

const asItCame: Answer = { object: null, count: 0, dropped: null }

/** A secret that comes in pieces shows in no event of a stream, and whole in the answer that they amount to. */
const answerOf = (redactor: Redactor, derived: Derived, call: RecordedCall, response: RedactedBody): Answer => {
  const { assembled } = derived
  if (assembled === null && derived.attributes.get(GenAi.wire) === "http" && !comesInLines(call)) return asItCame
  const spread = "response: a secret is spread over the events of the stream"
  try {
    const clean = assembled === null ? { object: null, count: 0 } : redactor.object(assembled)
    const isWhole = assembled !== null && derived.attributes.get(GenAi.unassembled) === undefined
    // A last event that repeats the answer has lost its secret already, and says nothing of the pieces before it.
    const mayBeUnseen = !isWhole || response.count > 0
    const isSpread = clean.count > 0 || mayBeUnseen && redactor.isSpread(eventsIn(call, response))
    if (!isSpread) return { ...clean, dropped: null }
    return { object: holdsPieces(redactor, clean.object) ? null : clean.object, count: clean.count, dropped: spread }
  } catch {
    return { object: null, count: 0, dropped: "response: the search for patterns took too long" }
  }
}

/** Whether the answer has lists of the pieces as well, as some servers' `reasoning_details` are. */
const holdsPieces = (redactor: Redactor, answer: Record<string, unknown> | null): boolean =>
  answer !== null && redactor.isSpread([{ data: JSON.stringify(answer) }])

/** The pieces in which an answer came: events, the messages of a WebSocket, or none. */
const eventsIn = (call: RecordedCall, { bytes, contentEncoding }: RedactedBody): Uint8Array | Iterable<SseEvent> => {
  if (call.isOverWebSocket !== undefined) return eventsOfLines(bytes)
  const decoded = decodeBody(bytes, contentEncoding)
  if (!("bytes" in decoded)) return none
  if (isStream(decoded.bytes, call.responseContentType)) return decoded.bytes
  return comesInLines(call) ? eventsOfLines(decoded.bytes) : none
}

/** Its type says that an answer is a line of JSON after the other, as Ollama's own API streams. */
const comesInLines = ({ responseContentType }: RecordedCall): boolean =>
  /\b(?:ndjson|jsonl|jsonlines|json-lines|json-seq|stream\+json)\b/i.test(responseContentType ?? "")

/** Attributes whose texts come from whoever wrote the prompt or the answer. */
const quoting: ReadonlyArray<GenAiName> = [
  GenAi.requestStopSequences,
  GenAi.answerToolCalls,
  GenAi.conversationId,
  GenAi.linkedResponseId,
  GenAi.sessionId
]

/** The meaning of a call without anything that quotes its bodies. */
const withoutContent = (derived: Derived, call: RecordedCall, marks: Record<string, unknown>): Derived => {
  const { attributes, later } = derived
  attributes.putAll(marks)
  for (const name of quoting) for (const said of [attributes, later?.attributes]) said?.delete(name)
  if (call.sessionHeader != null) attributes.put(GenAi.sessionId, call.sessionHeader)
  return {
    ...derived,
    assembled: null,
    streamError: withoutWords(derived.streamError),
    later: later === null ? null : { ...later, error: withoutWords(later.error) }
  }
}

const withoutWords = (error: string | undefined) => error === undefined ? undefined : "the upstream reported an error"

/** A request that is kept beside the one that was sent; empty when it may not be kept. */
export const cleanRequest = (
  body: Uint8Array,
  contentEncoding: string | null,
  secrets: ReadonlyArray<string> = []
): Uint8Array =>
  rules.payloads && body.length > 0 ? rulesRedactor.knowing(secrets).body(body, contentEncoding).bytes : none

/** Takes secrets out of the texts of a span itself, in place: it has just come off the wire between threads. */
export const cleanSpan = (span: Writable<SpanIntent | AskedSpan | FinishedSpan>): void => {
  const redactor = rulesRedactor.knowing(span.secrets ?? [])
  if (!rules.payloads) span.path = span.path.replace(/\?.*$/s, "")
  span.path = redactor.label(span.path)
  span.rolloutId = redactor.label(span.rolloutId)
  span.attemptId = redactor.label(span.attemptId)
  span.traceId = redactor.label(span.traceId)
  if (span.caller !== null) {
    span.caller = {
      ...span.caller,
      sessionId: orNull(redactor, span.caller.sessionId),
      idempotencyKey: orNull(redactor, span.caller.idempotencyKey)
    }
  }
  if ("upstreamUrl" in span) span.upstreamUrl = redactor.label(span.upstreamUrl)
}

type Writable<T> = T extends unknown ? { -readonly [Key in keyof T]: T[Key] } : never

const orNull = (redactor: Redactor, text: string | null) => text === null ? null : redactor.label(text)

/** A text that was made of a call's bodies, as the last thing before it is written. */
export const cleanText = (text: string, secrets: ReadonlyArray<string> = []): string => {
  try {
    return rulesRedactor.knowing(secrets).text(text).text
  } catch {
    return "{}"
  }
}

/** The events of a span as they are written: what went wrong in its answer, if anything did. */
export const cleanEvents = (error: string | undefined, secrets: ReadonlyArray<string> = []): string =>
  error === undefined ? "[]" : cleanText(JSON.stringify([{ name: "exception", message: error }]), secrets)

/** The attributes of a span as they are written. */
export const cleanAttributes = (attributes: Attributes, secrets: ReadonlyArray<string> = []): string => {
  const redactor = rulesRedactor.knowing(secrets)
  const text = attributes.toText()
  if (redactor.isCleanJson(text)) return text
  try {
    return attributes.toText((value) => redactor.text(value).text)
  } catch {
    return "{}"
  }
}
