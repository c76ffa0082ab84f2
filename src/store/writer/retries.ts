/** Which logical call a span is a try of: clients try again, and one step of an agent may be many requests. */
import { GenAi } from "../../openai/GenAi.js"
import type { Db } from "./Database.js"
import type { FinishedSpan } from "./spans.js"
import { isUnanswered } from "./unanswered.js"

/** How long after the end of a failed try the next one may begin: clients honour a `retry-after` of up to a minute. */
const pauseMaxUs = 120_000_000
/** A client that gives up on a try may begin the next one before the proxy has seen the last one end. */
const overlapMaxUs = 1_000_000

export interface Try {
  /** The client's idempotency key, else the span id of the first try. */
  readonly callId: string
  /** From 1. */
  readonly attempt: number
}

// The condition in brackets is that of the index `spans_failed`, word for word, which makes it usable.
const failed = `(state = 'client_cancel' OR state = 'upstream_cut' OR state = 'upstream_error' OR state = 'timeout'
    OR status_code = 408 OR status_code = 409 OR status_code = 425 OR status_code = 429 OR status_code >= 500)`

/** What nearly every call costs: sorting, even of nothing, costs five times as much. */
const anyBefore = `SELECT 1 FROM spans WHERE attempt_id = ? AND request_sha256 = ? AND ${failed} LIMIT 1`

const failedBefore =
  `SELECT span_id AS spanId, attributes ->> '$."${GenAi.callId}"' AS callId, attributes ->> '$."${GenAi.callAttempt}"' AS attempt
   FROM spans
   WHERE attempt_id = ? AND request_sha256 = ? AND rollout_id = ? AND span_id <> ?
     AND ${failed}
     AND end_time_us BETWEEN ? AND ? AND (retried_by IS NULL OR retried_by = ?)
     AND attributes ->> '$."${GenAi.sessionId}"' IS ?
     AND ${isUnanswered("spans")}
   ORDER BY retried_by IS NULL, end_time_us DESC LIMIT 8`

/**
 * A call with the same body as one of the same rollout, attempt and session that failed shortly before, and whose answer
 * nobody has fetched since, is its next try; a different idempotency key says that it is not. Each failed try has at most one
 * next. Where a try before this one was not recorded, the client's own count stands.
 */
export const tryOf = (db: Db, span: FinishedSpan, requestSha256: string, sessionId: string | null): Try => {
  const key = span.caller?.idempotencyKey ?? null
  const counted = (span.caller?.retryCount ?? 0) + 1
  const first = { callId: key ?? span.spanId, attempt: counted }
  if (db.prepare(anyBefore).get(span.attemptId, requestSha256) === undefined) return first
  const tries = db.prepare(failedBefore).all(
    span.attemptId,
    requestSha256,
    span.rolloutId,
    span.spanId,
    span.startTimeUs - pauseMaxUs,
    span.startTimeUs + overlapMaxUs,
    span.spanId,
    sessionId
  ) as ReadonlyArray<{ readonly spanId: string; readonly callId: string | null; readonly attempt: number | null }>
  const before = tries.find(({ callId }) => key === null || callId === key)
  if (before === undefined) return first
  db.prepare("UPDATE spans SET retried_by = ? WHERE span_id = ?").run(span.spanId, before.spanId)
  return { callId: before.callId ?? before.spanId, attempt: Math.max((before.attempt ?? 1) + 1, counted) }
}
