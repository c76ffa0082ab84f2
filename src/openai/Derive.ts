/** What a recorded call means: its kind, the answer rebuilt from a stream, and the attributes of its span. */
import { assembleMessage } from "./AnthropicStream.js"
import type { Assembled } from "./Assembly.js"
import { Attributes, describeRequest, describeResponse } from "./Attributes.js"
import { type CallRole, roleOf } from "./CallRole.js"
import { assembleChat, finishReasons, modelOf, responseIdOf, usageOf } from "./ChatCompletion.js"
import { decodeBody } from "./Decode.js"
import { asksForLaterAnswer, type Endpoint, endpointOf, socketEndpointOf } from "./Endpoint.js"
import { GenAi } from "./GenAi.js"
import { at, isObject, listAt, parseJson, textAt, utf8Of } from "./Json.js"
import { objectOpens } from "./jsonBytes.js"
import { serverOf } from "./Provider.js"
import { errorOf, errorOfChoices, type ReportedError } from "./ReportedError.js"
import { assembleResponse } from "./ResponsesStream.js"
import { type Session, sessionOf } from "./Session.js"
import { eventsOfLines } from "./SocketEvents.js"

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
  /** Where the call went. */
  readonly upstreamUrl?: string | undefined
  /** It was made by messages over a WebSocket: the response is lines of events. */
  readonly isOverWebSocket?: boolean | undefined
  /** The session that the agent named in a header. */
  readonly sessionHeader?: string | null | undefined
}

/** What is known of a call before its answer is there. */
export type AskedCall = Pick<
  RecordedCall,
  "method" | "path" | "requestBytes" | "requestContentEncoding" | "upstreamUrl" | "isOverWebSocket" | "sessionHeader"
>

/** What a request means, without its bytes. */
export interface Asked {
  readonly endpoint: Endpoint
  readonly attributes: Attributes
  readonly session: Session | null
  /** Null where it has none, as what is no model call does. */
  readonly role: CallRole | null
  readonly model: string | null
  /** What of it could not be read. */
  readonly reason: string | null
}

export interface Derived {
  readonly kind: Endpoint["kind"]
  readonly operation: Endpoint["operation"]
  /** For a stream, the object it amounts to; null for every other answer, which is its own object. */
  readonly assembled: Record<string, unknown> | null
  readonly attributes: Attributes
  /** The answer was a stream, and its last event came. */
  readonly isOver: boolean
  /** It was a stream that could be read to its end, which was in the middle of an event, or before the last one of an API that has such. */
  readonly isCut: boolean
  /** What the upstream reported as an error in an answer that had begun with status 200. */
  readonly streamError: string | undefined
  readonly inputTokens: number | null
  readonly outputTokens: number | null
  /** The model that answered, else the one that was asked for. */
  readonly model: string | null
  /** Of a model call: the id of an answer that was still being made when its response ended, as with `background`. */
  readonly awaitedId: string | null
  /** Of any other request: the answer it fetched that an earlier call had been given only the id of. */
  readonly later: LaterAnswer | null
}

/** What the span of the call that asked for an answer lacks, now that the answer is there. */
export interface LaterAnswer {
  readonly responseId: string
  readonly attributes: Attributes
  /** What went wrong, where the answer failed. */
  readonly error: string | undefined
  readonly inputTokens: number | null
  readonly outputTokens: number | null
}

const streamErrorMax = 1024

const assemble = (api: Endpoint["api"], bytes: Uint8Array): Assembled => {
  if (api === "responses") return assembleResponse(bytes)
  return api === "messages" ? assembleMessage(bytes) : assembleChat(bytes)
}

/**
 * Some servers name their streams something else: the first field of an event, or a comment, gives them away. And some
 * answer a refused stream with plain JSON under the name of a stream.
 */
export const isStream = (bytes: Uint8Array, contentType: string | null | undefined): boolean => {
  if (bytes[0] === objectOpens) return false
  const start = utf8Of(bytes.subarray(0, 64))
  return /^\s*(data|event|id|retry)?:/.test(start) ||
    (/^\s*text\/event-stream\b/i.test(contentType ?? "") && !/^\s*[[{]/.test(start))
}

interface Answer {
  readonly wire: "http" | "sse" | "ws" | null
  readonly object: unknown
  readonly assembled: Record<string, unknown> | null
  readonly error: ReportedError | null
  readonly isOver: boolean
  /** As in `Derived`, whatever the status and what was reported. */
  readonly isCut: boolean
  /** What of the body could not be read. */
  readonly reason: string | null
}

const readAnswer = (api: Endpoint["api"], call: RecordedCall): Answer => {
  const wire = call.isOverWebSocket === true ? "ws" as const : null
  const decoded = decodeBody(call.responseBytes, call.responseContentEncoding)
  if ("reason" in decoded) return plainAnswer(wire, undefined, null, `response: ${decoded.reason}`)
  if (decoded.bytes.length === 0) {
    const isCut = wire === null && endsWithEvent.has(api) && isStream(decoded.bytes, call.responseContentType)
    return { ...plainAnswer(wire, undefined, null, "response: empty"), isCut }
  }
  if (wire === "ws" || isStream(decoded.bytes, call.responseContentType)) {
    const { error, isAllRead, isLastUnreadable, isOver, object, reason, unreadable } = wire === "ws"
      ? assembleResponse({ [Symbol.iterator]: () => eventsOfLines(decoded.bytes) })
      : assemble(api, decoded.bytes)
    const isTorn = isLastUnreadable && endsInLine(decoded.bytes)
    return {
      wire: wire ?? "sse",
      object: object ?? undefined,
      assembled: object,
      error,
      isOver,
      // Of events that cannot be read one might be the last, unless it is one that broke off.
      isCut: wire === null && isAllRead && !isOver && (isTorn || (endsWithEvent.has(api) && unreadable === 0)),
      reason: reason === null ? null : `response: ${reason}`
    }
  }
  const object = parseJson(utf8Of(decoded.bytes))
  const error = reportedIn(object)
  const reason = object === undefined
    ? "response: not JSON"
    : isObject(object) || error !== null
    ? null
    : "response: not a JSON object"
  return plainAnswer("http", object, error, reason)
}

const plainAnswer = (
  wire: Answer["wire"],
  object: unknown,
  error: ReportedError | null,
  reason: string | null
): Answer => ({ wire, object, assembled: null, error, isOver: false, isCut: false, reason })

const endsInLine = (stream: Uint8Array): boolean => {
  const last = stream.at(-1)
  return last !== 0x0a && last !== 0x0d
}

/** An answer of status 200 may be an error all the same. */
const reportedIn = (object: unknown): ReportedError | null => {
  const error = errorOf(object)
  if (error !== null || at(object, "object") !== "response" || at(object, "status") !== "failed") return error
  return { message: "the response failed", type: null }
}

/** Some gateways answer so where their provider was away, or a filter of theirs was not. A stream says it with its last event. */
const hasNoChoice = (api: Endpoint["api"], { error, isOver, object, wire }: Answer): boolean =>
  (api === "chat_completions" || api === "completions") && error === null && (wire === "http" || isOver) &&
  isObject(object) && Object.hasOwn(object, "choices") && listAt(object, "choices").length === 0

const readObject = (call: AskedCall): { readonly object: unknown; readonly reason: string | null } => {
  // A Realtime server answers speech of its own accord.
  if (call.isOverWebSocket === true && call.requestBytes.length === 0) return { object: undefined, reason: null }
  const decoded = decodeBody(call.requestBytes, call.requestContentEncoding)
  if ("reason" in decoded) return { object: undefined, reason: `request: ${decoded.reason}` }
  const object = parseJson(utf8Of(decoded.bytes))
  return isObject(object) ? { object, reason: null } : { object: undefined, reason: "request: not a JSON object" }
}

const describeServer = (attributes: Attributes, call: AskedCall, isModelCall: boolean): void => {
  const server = serverOf(call.upstreamUrl ?? "")
  if (isModelCall) attributes.set(GenAi.providerName, server?.provider)
  attributes.set(GenAi.serverAddress, server?.address)
  attributes.set(GenAi.serverPort, server?.port)
}

const describeSession = (attributes: Attributes, session: Session | null): void => {
  attributes.set(GenAi.sessionId, session?.id)
  // A `conversation` that the request itself names was there before.
  if (session?.isConversation === true && attributes.get(GenAi.conversationId) === undefined) {
    attributes.set(GenAi.conversationId, session.id)
  }
}

const plainRequest = (call: RecordedCall, { attributes: asked, endpoint, session }: Asked): Derived => {
  const attributes = asked.copy()
  describeSession(attributes, session)
  if (call.statusCode !== null && call.statusCode >= 400) attributes.set(GenAi.errorType, String(call.statusCode))
  const fetched = call.statusCode === 200 && asksForLaterAnswer(call.method, call.path)
    ? readAnswer("responses", call)
    : null
  const later = fetched === null ? null : laterAnswerIn(fetched)
  return {
    kind: endpoint.kind,
    operation: endpoint.operation,
    // Whoever reads the earlier call's span knows nothing of this one's stream or encoding.
    assembled: later !== null && isObject(fetched?.object) && (fetched.wire === "sse" || call.responseContentEncoding)
      ? fetched.object
      : null,
    attributes,
    isOver: false,
    isCut: false,
    streamError: undefined,
    inputTokens: null,
    outputTokens: null,
    model: null,
    awaitedId: null,
    later
  }
}

/** Null while the answer is still being made, and for everything that is none. */
const laterAnswerIn = ({ error, object }: Answer): LaterAnswer | null => {
  const responseId = idOfResponse(object)
  if (responseId === null || isAwaited(object)) return null
  const attributes = new Attributes()
  const usage = usageOf(object)
  describeResponse(attributes, object, usage)
  if (error !== null) attributes.set(GenAi.errorType, error.type ?? "stream_error")
  return {
    responseId,
    attributes,
    error: error?.message.slice(0, streamErrorMax),
    inputTokens: usage.inputTokens,
    outputTokens: usage.outputTokens
  }
}

const idOfResponse = (object: unknown) => at(object, "object") === "response" ? responseIdOf(object) : null

/** A Responses object without a reason to have ended is queued or in progress. */
const isAwaited = (object: unknown) => finishReasons(object).length === 0

/** Chats have no such event: not every server ends one with `[DONE]`. */
const endsWithEvent = new Set<Endpoint["api"]>(["responses", "messages"])

/** The model of a Realtime connection is in its URL. */
const modelInQuery = (path: string): string | null =>
  new URLSearchParams(path.slice(path.indexOf("?") + 1)).get("model")

/** Reads a request. Never throws, and may be done while its answer is still made: `derive` takes it from there. */
export const readRequest = (call: AskedCall): Asked => {
  const endpoint = call.isOverWebSocket === true ? socketEndpointOf(call.path) : endpointOf(call.method, call.path)
  const { api, kind, operation } = endpoint
  const attributes = new Attributes()
  if (kind === "http") {
    describeServer(attributes, call, false)
    return {
      endpoint,
      attributes,
      session: sessionOf(call.sessionHeader ?? null, undefined),
      role: null,
      model: null,
      reason: null
    }
  }
  const { object, reason } = readObject(call)
  attributes.set(GenAi.operationName, operation)
  attributes.set(GenAi.apiType, api === "embeddings" || api === "messages" ? null : api)
  describeServer(attributes, call, true)
  describeRequest(attributes, api === "realtime" ? at(object, "response") : object)
  if (api === "realtime") attributes.set(GenAi.requestModel, modelInQuery(call.path))
  return {
    endpoint,
    attributes,
    session: sessionOf(call.sessionHeader ?? null, object),
    role: kind === "llm" ? roleOf(call.path, object) : null,
    model: textAt(object, "model") ?? (api === "realtime" ? modelInQuery(call.path) : null),
    reason
  }
}

/**
 * Reads a recorded call. Never throws: what could not be read is named in the attribute `tau.unassembled`, and the rest
 * is derived all the same. Deterministic, so that a span can be derived anew from its stored bodies.
 */
export const derive = (call: RecordedCall, request: Asked = readRequest(call)): Derived => {
  const { api, kind, operation } = request.endpoint
  if (kind === "http") return plainRequest(call, request)
  const attributes = request.attributes.copy()
  const answer = readAnswer(api, call)
  const failed = call.statusCode !== null && call.statusCode >= 400
  const usage = usageOf(failed ? undefined : answer.object)
  if (!failed) describeResponse(attributes, answer.object, usage)
  describeSession(attributes, request.session)
  attributes.set(GenAi.callRole, request.role)
  attributes.set(GenAi.wire, answer.wire)
  const reason = failed || call.statusCode === null
    ? null
    : answer.reason ?? (hasNoChoice(api, answer) ? "response: no choices" : null)
  attributes.set(
    GenAi.unassembled,
    request.reason === null || reason === null ? request.reason ?? reason : `${request.reason}; ${reason}`
  )

  const error = failed ? null : answer.error ?? errorOfChoices(listAt(answer.object, "choices"))
  if (failed) attributes.set(GenAi.errorType, answer.error?.type ?? String(call.statusCode))
  else if (error !== null) attributes.set(GenAi.errorType, error.type ?? "stream_error")
  return {
    kind,
    operation,
    assembled: answer.assembled,
    attributes,
    isOver: answer.isOver,
    isCut: answer.isCut && !failed && error === null,
    streamError: error?.message.slice(0, streamErrorMax),
    inputTokens: usage.inputTokens,
    outputTokens: usage.outputTokens,
    model: modelOf(failed ? undefined : answer.object) ?? request.model,
    awaitedId: api === "responses" && !failed && error === null && isAwaited(answer.object)
      ? idOfResponse(answer.object)
      : null,
    later: null
  }
}
