/** Who is calling: read from the path prefix and the headers of a request, in plain functions. */
import type { IncomingMessage } from "node:http"
import { isAttributionId, parsePrefix } from "../domain/AttributionPath.js"
import { type CallerHeaders, callerHeadersOf } from "../openai/CallerHeaders.js"
import { randomHex } from "./SpanIds.js"

export interface CallIdentity {
  /** Null for a call that names no attempt: it belongs to the capture session. */
  readonly attribution: { readonly rolloutId: string; readonly attemptId: string } | null
  /** What the attempt is for, where the prefix says so. */
  readonly mode: string | null
  /** Text when it is too large to go on from: see `sequenceMax`. */
  readonly sequenceId: number | string | null
  readonly traceId: string
  readonly parentId: string | null
  /** What the client says of its session and its tries; null when it says nothing. */
  readonly caller: CallerHeaders | null
  /** Path and query without the prefix. */
  readonly path: string
}

/** The caller's identity, or in words what is malformed about it. The prefix wins over headers that name another attempt. */
export const identify = (request: IncomingMessage): CallIdentity | string => {
  const url = request.url ?? "/"
  const prefix = parsePrefix(url)
  if (prefix === "malformed") return "the path's /rollout/<id>/attempt/<id> prefix names no usable ids"
  const headers = request.headers
  for (const name of ["x-rollout-id", "x-attempt-id", "x-trace-id"]) {
    const value = headers[name]
    if (isPresent(value) && !isAttributionId(value)) {
      return `${name} is not a single id of 1 to 200 visible ASCII characters`
    }
  }
  const sequence = headers["x-sequence-id"]
  if (isPresent(sequence) && !(typeof sequence === "string" && isUnsigned(sequence.trim()))) {
    return "x-sequence-id is not an unsigned integer of 64 bits"
  }
  const rolloutId = headers["x-rollout-id"] as string | undefined
  const attemptId = headers["x-attempt-id"] as string | undefined
  const parent = traceparent.exec((headers["traceparent"] as string | undefined) ?? "")
  const givenTrace = headers["x-trace-id"]
  const traceId = isPresent(givenTrace) ? givenTrace : parent?.[1] ?? randomHex(16)
  return {
    attribution: prefix ?? (isPresent(rolloutId) && isPresent(attemptId) ? { rolloutId, attemptId } : null),
    mode: prefix?.mode ?? null,
    sequenceId: isPresent(sequence) ? sequenceOf(sequence.trim()) : null,
    traceId,
    // A parent is looked for in the span's own trace: one of another trace would never be found.
    parentId: parent?.[1] === traceId.toLowerCase() ? parent[2]! : null,
    caller: callerHeadersOf(headers),
    path: prefix === null ? url : prefix.rest
  }
}

const isPresent = (value: string | ReadonlyArray<string> | undefined): value is string =>
  value !== undefined && (typeof value !== "string" || value.trim() !== "")

/** Numbers up to here are exact, and so are the many that may follow. */
const sequenceMax = 9_000_000_000_000_000

const isUnsigned = (text: string) => /^\d{1,20}$/.test(text) && (text.length < 20 || BigInt(text) < 1n << 64n)

const sequenceOf = (text: string): number | string => Number(text) <= sequenceMax ? Number(text) : text

/** W3C Trace Context, section 3.2; of a version that is not known yet, its beginning (section 4.3). */
const traceparent =
  /^(?:00(?=-.{52}$)|(?!00|ff)[0-9a-f]{2})-(?!0{32})([0-9a-f]{32})-(?!0{16})([0-9a-f]{16})-[0-9a-f]{2}(?=-|$)/
