/**
 * Requests that this thread reads while their answers are made, so that the end of an answer waits for the reading of that answer
 * alone: an agent sends its whole history with each step.
 */
import type { AskedCall } from "../../openai/Derive.js"
import { type Payload, repeatingPayload, wholePayload } from "./payloads.js"
import { type CleanRequest, recordedRequest } from "./recorded.js"
import type { FinishedSpan, SpanIntent } from "./spans.js"

/** What is known of a call when its request is whole. */
export interface AskedSpan extends SpanIntent {
  readonly upstreamUrl: string
  readonly requestContentEncoding: string | null
}

interface ReadRequest {
  readonly request: CleanRequest
  readonly payload: Payload | null
}

/** A list: the tables that a `Map` outgrows lead to those after them, and keep what was in them from the young collector. */
const ahead: Array<ReadRequest & { readonly spanId: string }> = []

const read = (call: AskedCall, secrets: ReadonlyArray<string> | undefined): ReadRequest => {
  const request = recordedRequest(call, secrets)
  const isModelCall = request.asked.endpoint.kind === "llm"
  return { request, payload: isModelCall ? repeatingPayload(request.bytes) : wholePayload(request.bytes) }
}

/** Keeps what the request comes to until it is forgotten; of its bytes, only what is to be stored. */
export const readAhead = (span: AskedSpan, bytes: Uint8Array): void => {
  const { method, path, requestContentEncoding, secrets, upstreamUrl } = span
  const sessionHeader = span.caller?.sessionId
  const call = { method, path, requestBytes: bytes, requestContentEncoding, upstreamUrl, sessionHeader }
  const { payload, request } = read(call, secrets)
  ahead.push({ spanId: span.spanId, payload, request: { ...request, bytes: nothing } })
}

/** The request of a span: as it was read ahead, or now. */
export const requestOf = (span: FinishedSpan, call: AskedCall): ReadRequest =>
  (span.isRequestAhead === true ? ahead.find(({ spanId }) => spanId === span.spanId) : undefined) ??
    read(call, span.secrets)

/** Nothing more will be said of their calls. */
export const forgetRequests = (spanIds: ReadonlyArray<string> = []): void => {
  for (const id of spanIds) {
    const place = ahead.findIndex(({ spanId }) => spanId === id)
    if (place !== -1) ahead.splice(place, 1)
  }
}

const nothing = new Uint8Array(0)
