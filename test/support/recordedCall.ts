import * as Effect from "effect/Effect"
import { randomBytes } from "node:crypto"
import { Writer } from "../../src/store/Writer.js"
import type { FinishedSpan, SpanIntent } from "../../src/store/writer/spans.js"

const intent = (): SpanIntent => ({
  spanId: randomBytes(8).toString("hex"),
  traceId: randomBytes(16).toString("hex"),
  parentId: null,
  rolloutId: "r",
  attemptId: "r:attempt-1",
  clientSequenceId: null,
  processId: "p",
  method: "POST",
  path: "/v1/chat/completions",
  startTimeUs: Date.now() * 1000,
  caller: null
})

/** Commits that a call has begun. */
export const openCall = (span: Partial<SpanIntent>) =>
  Effect.flatMap(Writer, (writer) =>
    Effect.async<void, string>((resume) => {
      writer.submit("openSpan", { ...intent(), ...span }, {
        nowMs: Date.now(),
        done: (failure) => resume(failure === null ? Effect.void : Effect.fail(failure.message))
      })
    }))

export interface RecordedCall {
  readonly request?: Uint8Array
  /** The request as its agent had it, where another was sent. */
  readonly original?: Uint8Array
  readonly response?: Uint8Array
  readonly path?: string
  readonly attemptId?: string
  /** What else is special about its span. */
  readonly span?: Partial<FinishedSpan>
}

/** Commits the span of a finished call, as the proxy does; fails with the writer's message. */
export const recordCall = (
  { attemptId = "r:attempt-1", original, path = "/v1/chat/completions", request, response, span = {} }: RecordedCall
) =>
  Effect.flatMap(Writer, (writer) =>
    Effect.async<void, string>((resume) => {
      const nowMs = Date.now()
      writer.submit("closeSpan", {
        ...intent(),
        attemptId,
        path,
        state: "done",
        endTimeUs: nowMs * 1000,
        statusCode: 200,
        errorCode: null,
        errorMessage: null,
        upstreamUrl: "http://127.0.0.1",
        firstByteUs: null,
        chunks: 1,
        requestBytes: request?.length ?? 0,
        responseBytes: response?.length ?? 0,
        requestTruncated: false,
        responseTruncated: false,
        requestContentEncoding: null,
        responseContentType: "application/json",
        responseContentEncoding: null,
        isFirst: true,
        wasOpened: false,
        ...span
      }, {
        nowMs,
        bodies: [request, response, original].map((body) => body ?? new Uint8Array(0)),
        done: (failure) => resume(failure === null ? Effect.void : Effect.fail(failure.message))
      })
    }))
