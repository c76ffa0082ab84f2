/** Recorded calls: the intent while a call is under way, and the finished span with its bodies. */
import type { CallerHeaders } from "../../openai/CallerHeaders.js"
import type { Derived } from "../../openai/Derive.js"
import { endpointOf, socketEndpointOf } from "../../openai/Endpoint.js"
import { GenAi } from "../../openai/GenAi.js"
import { noteForLog } from "./AttributionLog.js"
import type { Db } from "./Database.js"
import { awaitAnswer, completeAnswered, isAnswered } from "./laterAnswers.js"
import { type Payload, repeatingPayload, storePayload, wholePayload } from "./payloads.js"
import { cleanAttributes, cleanEvents, cleanRequest, cleanText, recorded } from "./recorded.js"
import { requestOf } from "./requestsAhead.js"
import { tryOf } from "./retries.js"
import { withOwnAttributes } from "./spanAttributes.js"
import { type Owner, ownerOf } from "./spanOwner.js"

export interface SpanIntent {
  readonly spanId: string
  readonly traceId: string
  readonly parentId: string | null
  readonly rolloutId: string
  readonly attemptId: string
  /** What the client sent as `x-sequence-id`. A number is used when it is higher than every earlier one of the attempt. */
  readonly clientSequenceId: number | string | null
  /** What the caller says that the attempt is for. */
  readonly mode?: string | null | undefined
  /** The id of the key that the client showed, which is no secret. */
  readonly clientKeyId?: string | undefined
  readonly processId: string
  readonly method: string
  readonly path: string
  /** A model call made by a message over the WebSocket of that path. */
  readonly isOverWebSocket?: boolean | undefined
  readonly startTimeUs: number
  /** What the client said of itself; null when it said nothing. */
  readonly caller: CallerHeaders | null
  /** Texts that are taken out of all that is written of it. */
  readonly secrets?: ReadonlyArray<string> | undefined
}

/** What is special about a span of something that passed over a WebSocket. */
export interface OverWebSocket {
  /** One model call made over it; else the connection itself. */
  readonly isCall: boolean
  /** Of a connection: frames each way, and the code of the first close frame. */
  readonly requestFrames: number
  readonly responseFrames: number
  readonly closeCode: number | null
  /** What of it could not be read. */
  readonly unread: string | null
}

export interface FinishedSpan extends SpanIntent {
  readonly state: "done" | "client_cancel" | "upstream_cut" | "upstream_error" | "timeout" | "refused"
  readonly endTimeUs: number
  readonly statusCode: number | null
  readonly errorCode: string | null
  readonly errorMessage: string | null
  readonly upstreamUrl: string
  readonly firstByteUs: number | null
  readonly chunks: number
  readonly requestBytes: number
  readonly responseBytes: number
  readonly requestTruncated: boolean
  readonly responseTruncated: boolean
  readonly requestContentEncoding: string | null
  readonly responseContentType: string | null
  readonly responseContentEncoding: string | null
  /** False for a later version of a span that was committed at its terminal event. */
  readonly isFirst: boolean
  /** Its row is there already: its intent was handed in, or an earlier version of it. */
  readonly wasOpened: boolean
  readonly webSocket?: OverWebSocket
  /** The span whose answer this call was given again: no upstream was asked. */
  readonly replayOf?: string
  /** The first call of its attempt that differs from the attempt before. */
  readonly hasDiverged?: boolean
  /** What the rules of `rewrite` came to; absent where there are none. */
  readonly rewrite?: RewriteOutcome
  /** The request asks for its usage although the client's did not. */
  readonly usageAsked?: boolean
  /** The client had left before the last of the answer came. */
  readonly wasReadOn?: boolean
  /** So long had nothing more come of the answer when its client left; one of HTTP had begun, or began later. */
  readonly silentMs?: number
  /** The writer thread has its request already (`requestsAhead.ts`). */
  readonly isRequestAhead?: boolean
}

/** Which rules found their text in a call. Rules are named by their position in the config. */
export interface RewriteOutcome {
  /** The resources that were put in place. */
  readonly components: ReadonlyArray<string>
  readonly matched: ReadonlyArray<number>
  readonly missed: ReadonlyArray<number>
  /** Of the resources, where no attempt says it. */
  readonly version?: number
}

/** The call is under way: should the process die now, the store knows that it was made. */
export const openSpan = (db: Db, span: SpanIntent): null => {
  const { isOverWebSocket, method, path } = span
  const { kind } = isOverWebSocket === true ? socketEndpointOf(path) : endpointOf(method, path)
  db.prepare(insertOpen).run(...beginningOf(span, ownerOf(db, span.attemptId)), `${method} ${path}`, kind)
  return null
}

const beginning = [
  "span_id",
  "trace_id",
  "parent_id",
  "run_id",
  "rollout_id",
  "attempt_id",
  "sequence_id",
  "process_id",
  "method",
  "path",
  "start_time_us",
  "resources_version"
]

const ending = [
  "name",
  "kind",
  "state",
  "status_code",
  "model",
  "input_tokens",
  "output_tokens",
  "attributes",
  "events",
  "end_time_us",
  "request_bytes",
  "response_bytes",
  "request_sha256",
  "response_sha256",
  "answer_sha256"
]

const places = (columns: ReadonlyArray<string>) => columns.map(() => "?").join(", ")

/** The number of a span in its attempt: the client's, or the next one where that is not higher than every earlier one. */
const sequence = "max((SELECT coalesce(max(sequence_id), 0) + 1 FROM spans WHERE attempt_id = ?), ?)"
const beginnings = beginning.map((column) => column === "sequence_id" ? sequence : "?").join(", ")

/** Spaces in the JSON of an open span, about as many bytes as its end will write: a row that grows is moved, and its neighbours too. */
const room = " ".repeat(640)

const insertOpen = `INSERT INTO spans (${beginning.join(", ")}, name, kind, state, attributes, events)
  VALUES (${beginnings}, ?, ?, 'open', '{${room}}', '[]') ON CONFLICT (span_id) DO NOTHING`
/** A process that was taken for dead and is not finds rows that were made of its notes. */
const insertFinished = `INSERT INTO spans (${[...beginning, ...ending].join(", ")})
  VALUES (${beginnings}, ${places(ending)})
  ON CONFLICT (span_id) DO UPDATE SET ${ending.map((column) => `${column} = excluded.${column}`).join(", ")}`
const updateSpan = `UPDATE spans SET ${ending.map((column) => `${column} = ?`).join(", ")} WHERE span_id = ?`

/** Values of the columns in `beginning`, two of them for `sequence`. */
const beginningOf = (span: SpanIntent, owner: Owner | undefined) => [
  span.spanId,
  span.traceId,
  span.parentId,
  owner?.runId ?? null,
  span.rolloutId,
  span.attemptId,
  span.attemptId,
  typeof span.clientSequenceId === "number" ? span.clientSequenceId : 0,
  span.processId,
  span.method,
  span.path,
  span.startTimeUs,
  owner?.resourcesVersion ?? null
]

/** What is read from a finished span's bodies, worked out before its transaction begins. */
export interface Prepared {
  readonly derived: Derived
  readonly request: Payload | null
  readonly response: Payload | null
  readonly answer: Payload | null
  /** The request as the agent had it, where another was sent. */
  readonly original: Payload | null
  /** How the stored response is to be read: one that held a secret is stored plain. */
  readonly responseContentEncoding: string | null
}

/**
 * Of the batch under way. A new map for each: the table of a cleared one leads to the table after it, so that what was once moved to
 * the old generation would keep every later batch from the young collector.
 */
let prepared = new Map<FinishedSpan, Prepared>()

/** The batch is over, whatever became of it. */
export const forgetPrepared = (): void => {
  prepared = new Map()
}

export const prepareSpan = (
  span: FinishedSpan,
  [request = empty, response = empty, original = empty]: ReadonlyArray<Uint8Array>
): Prepared => {
  const known = prepared.get(span)
  if (known !== undefined) return known
  const call = {
    method: span.method,
    path: span.path,
    statusCode: span.statusCode,
    requestBytes: request,
    requestContentEncoding: span.requestContentEncoding,
    responseBytes: response,
    responseContentType: span.responseContentType,
    responseContentEncoding: span.responseContentEncoding,
    upstreamUrl: span.upstreamUrl,
    isOverWebSocket: span.webSocket?.isCall,
    sessionHeader: span.caller?.sessionId
  }
  const asked = requestOf(span, call)
  const kept = recorded(call, span.secrets, asked.request)
  const { derived } = kept
  const answer = derived.assembled === null ? empty : Buffer.from(JSON.stringify(derived.assembled))
  const result = {
    derived,
    request: asked.payload,
    response: wholePayload(kept.response),
    answer: wholePayload(answer),
    original: repeatingPayload(cleanRequest(original, span.requestContentEncoding, span.secrets)),
    responseContentEncoding: kept.responseContentEncoding
  }
  prepared.set(span, result)
  return result
}

/** How a call ended, and what it used as its upstream reported it; nothing for a replay, whose tokens were counted when they were paid for. */
export interface Closed {
  readonly state: FinishedSpan["state"]
  readonly inputTokens: number
  readonly outputTokens: number
}

/**
 * How a call ended, now that its answer has been read. Clients leave at an error that they read in it, and at its last event, which
 * need not show as it passes: it may be compressed. A gateway whose model dies may end the stream as if it were whole.
 */
const stateOf = (
  { responseTruncated, state, wasReadOn }: FinishedSpan,
  { isCut, isOver, streamError }: Derived
): FinishedSpan["state"] => {
  if (state !== "done" && (state !== "client_cancel" || wasReadOn === true)) return state
  if (streamError !== undefined) return "upstream_error"
  if (isOver) return "done"
  return state === "done" && isCut && !responseTruncated ? "upstream_cut" : state
}

/** The finished span; `bodies` are the recorded bytes of the request, the response, and the request before a rewrite. Null for a later version. */
export const closeSpan = (db: Db, span: FinishedSpan, bodies: ReadonlyArray<Uint8Array>): Closed | null => {
  if (!span.isFirst && isAnswered(db, span)) return null
  const ready = prepareSpan(span, bodies)
  const { answer, derived, original, request, response } = ready
  const owner = ownerOf(db, span.attemptId)
  for (const payload of [request, response, answer, original]) if (payload !== null) storePayload(db, payload)
  const clean = (text: string) => cleanText(text, span.secrets)
  const sessionId = derived.attributes.get(GenAi.sessionId) as string | undefined
  const logicalCall = derived.kind === "http" || request === null
    ? null
    : tryOf(db, span, request.sha256, sessionId ?? null)
  const state = stateOf(span, derived)
  const ending = [
    derived.kind === "http"
      ? `${span.method} ${span.path}`
      : clean(`${derived.operation} ${derived.model ?? "unknown"}`),
    derived.kind,
    state,
    span.statusCode,
    derived.model === null ? null : clean(derived.model),
    derived.inputTokens,
    derived.outputTokens,
    cleanAttributes(withOwnAttributes(span, state, owner, ready, logicalCall), span.secrets),
    cleanEvents(derived.streamError, span.secrets),
    span.endTimeUs,
    span.requestBytes,
    span.responseBytes,
    request?.sha256 ?? null,
    response?.sha256 ?? null,
    answer?.sha256 ?? null
  ]
  // Its intent may be missing although it was handed in: the batch that held it may have failed.
  const isKnown = span.wasOpened && db.prepare(updateSpan).run(...ending, span.spanId).changes === 1
  if (!isKnown) db.prepare(insertFinished).run(...beginningOf(span, owner), ...ending)
  if (!span.isFirst) return null
  noteForLog(span)
  const early = derived.awaitedId === null ? null : awaitAnswer(db, span, derived.awaitedId, derived.attributes)
  if (derived.later !== null) {
    const fetched = (answer ?? response)?.sha256 ?? null
    return { state, ...completeAnswered(db, span, derived.later, derived.attributes, fetched) }
  }
  if (span.replayOf !== undefined) return { state, inputTokens: 0, outputTokens: 0 }
  if (owner !== undefined && derived.kind === "llm") {
    db.prepare(
      "UPDATE runs SET calls = calls + 1, input_tokens = input_tokens + ?, output_tokens = output_tokens + ? WHERE id = ?"
    ).run(derived.inputTokens ?? 0, derived.outputTokens ?? 0, owner.runId)
  }
  return {
    state,
    inputTokens: (derived.inputTokens ?? 0) + (early?.inputTokens ?? 0),
    outputTokens: (derived.outputTokens ?? 0) + (early?.outputTokens ?? 0)
  }
}

const empty = new Uint8Array(0)
