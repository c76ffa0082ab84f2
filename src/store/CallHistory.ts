/** What earlier attempts of a rollout have asked and been answered, for an attempt that asks the same again. */
import * as SqlClient from "@effect/sql/SqlClient"
import * as Effect from "effect/Effect"
import { GenAi } from "../openai/GenAi.js"
import { orStoreError } from "./reading.js"
import type { StoreError } from "./StoreError.js"
import { isUnreadable } from "./writer/broken.js"
import { handedBack } from "./writer/rollouts.js"

/** A call of an earlier attempt. */
export interface PastCall {
  readonly spanId: string
  /** The attempt that made it. */
  readonly attemptId: string
  /** The number of the attempt in whose course it has its place, and when it was under way there, in Unix microseconds. */
  readonly attempt: number
  readonly startUs: number
  readonly endUs: number
  readonly method: string
  readonly path: string
  /** Null when the body was not recorded whole; an empty body has no hash. */
  readonly request: { readonly sha256: string | null } | null
  /** Null when there is none to give again: the call did not end well, or its answer was not recorded whole. */
  readonly answer: PastAnswer | null
}

export interface PastAnswer {
  readonly status: number
  readonly sha256: string | null
  readonly contentType: string | null
  readonly contentEncoding: string | null
}

/** Which attempts an attempt may have its answers from. */
export type ReplayFrom = "after-crash" | "always"

export interface CallHistory {
  /**
   * The calls that this attempt may make again and has not yet, in order. `after-crash` looks back over the attempts right
   * before it that ended with their worker, or whose answer no scorer could judge, up to the first that ended by itself; `always`
   * over all before it.
   */
  readonly before: (attemptId: string, from: ReplayFrom) => Effect.Effect<ReadonlyArray<PastCall>, StoreError>
  /** A recorded body; null when it is not there. */
  readonly body: (sha256: string) => Effect.Effect<Uint8Array | null, StoreError>
}

export const openCallHistory: Effect.Effect<CallHistory, never, SqlClient.SqlClient> = Effect.map(
  SqlClient.SqlClient,
  (sql) => ({
    before: (attemptId, from) => orStoreError("reading earlier calls", before(sql, attemptId, from)),
    body: (sha256) =>
      orStoreError(
        "reading a payload",
        Effect.map(
          sql<{ readonly content: Uint8Array }>`SELECT content FROM payloads WHERE sha256 = ${sha256}`,
          (rows) => rows[0]?.content ?? null
        )
      )
  })
)

/** Of one attempt no more calls are looked at. */
const callsMax = 10_000
/** Read at a time: what else the process has to do goes between. */
const pageRows = 500

interface AttemptRow {
  readonly id: string
  readonly n: number
  readonly isReplayable: number
  readonly isUnjudged: number
}

const before = Effect.fnUntraced(function*(sql: SqlClient.SqlClient, attemptId: string, from: ReplayFrom) {
  const attempts = yield* sql<AttemptRow>`
    SELECT a.id, a.n, a.broken_by IS 'scorer' AS is_unjudged,
      a.status = 'unresponsive' OR (a.status = 'failed' AND a.error = ${handedBack}) OR a.broken_by IS 'scorer' AS is_replayable
    FROM attempts a JOIN attempts self ON self.rollout_id = a.rollout_id AND a.n <= self.n
    WHERE self.id = ${attemptId} ORDER BY a.n DESC`
  const [self, ...earlier] = attempts
  if (self === undefined) return []
  const end = from === "always" ? -1 : earlier.findIndex(({ isReplayable }) => isReplayable === 0)
  let history: ReadonlyArray<PastCall> = []
  for (const attempt of earlier.slice(0, end === -1 ? undefined : end).toReversed()) {
    history = extended(history, yield* callsOf(sql, attempt))
  }
  return history.length === 0 ? [] : without(history, yield* callsOf(sql, self))
})

interface Row {
  readonly spanId: string
  readonly sequenceId: number
  readonly method: string
  readonly path: string
  readonly state: string
  readonly statusCode: number | null
  readonly startTimeUs: number
  readonly endTimeUs: number | null
  readonly requestBytes: number
  readonly responseBytes: number
  readonly requestSha256: string | null
  readonly responseSha256: string | null
  readonly replayOf: string | null
  readonly hasDiverged: number | null
  readonly role: string | null
  readonly contentType: string | null
  readonly contentEncoding: string | null
  readonly isRequestCut: number
  readonly isResponseCut: number
  readonly isAltered: number
  readonly isUnreadable: number | null
}

const attribute = (name: string) => `attributes ->> '$."${name}"'`

/** Without failed tries that have a next one, calls over WebSockets, and what an agent did after its time. */
const page = `SELECT span_id, sequence_id, method, path, state, status_code, start_time_us, end_time_us, request_bytes,
    response_bytes, request_sha256, response_sha256, ${attribute(GenAi.replayOf)} AS replay_of,
    ${attribute(GenAi.diverged)} AS has_diverged, ${attribute(GenAi.callRole)} AS role,
    ${attribute(GenAi.responseContentType)} AS content_type,
    ${attribute(GenAi.responseContentEncoding)} AS content_encoding,
    ${attribute(GenAi.requestTruncated)} IS NOT NULL AS is_request_cut,
    ${attribute(GenAi.responseTruncated)} IS NOT NULL AS is_response_cut,
    ${isUnreadable("spans")} AS is_unreadable,
    ${attribute(GenAi.redacted)} IS NOT NULL OR ${attribute(GenAi.unrecorded)} IS NOT NULL AS is_altered
  FROM spans
  WHERE attempt_id = ? AND sequence_id > ? AND retried_by IS NULL
    AND ${attribute(GenAi.late)} IS NULL AND ${attribute(GenAi.wire)} IS NOT 'ws'
  ORDER BY sequence_id LIMIT ${pageRows}`

/** A call as its attempt made it, and what the journal had to do with it. */
interface MadeCall extends PastCall {
  /** The call whose answer it was given; null when it went upstream. */
  readonly replayOf: string | null
  readonly hasDiverged: boolean
  readonly isDone: boolean
}

const callsOf = Effect.fnUntraced(function*(sql: SqlClient.SqlClient, attempt: AttemptRow) {
  const calls: Array<MadeCall> = []
  for (let after = 0; calls.length < callsMax;) {
    const rows = yield* sql.unsafe<Row>(page, [attempt.id, after])
    calls.push(...rows.map((row) => callOf(row, attempt)))
    if (rows.length < pageRows) break
    after = rows.at(-1)!.sequenceId
    yield* Effect.yieldNow()
  }
  return calls.toSorted((a, b) => a.startUs - b.startUs)
})

const callOf = (row: Row, { id, isUnjudged, n }: AttemptRow): MadeCall => {
  const isDone = row.state === "done"
  const isAltered = row.isAltered === 1
  const hasRequest = row.requestSha256 !== null || (row.requestBytes === 0 && isDone)
  const hasResponse = row.responseSha256 !== null || row.responseBytes === 0
  const request = hasRequest && !isAltered && row.isRequestCut === 0 ? { sha256: row.requestSha256 } : null
  // What failed, or could not be read, cost nothing, and may go better this time.
  const isGood = isDone && row.statusCode !== null && row.statusCode >= 200 && row.statusCode < 400 &&
    row.isUnreadable !== 1
  const isWhole = request !== null && hasResponse && row.isResponseCut === 0
  // Given again, an answer of a judge that could not be read would be all that is ever heard of it.
  const isUseless = isUnjudged === 1 && row.role === "judge"
  return {
    spanId: row.spanId,
    attemptId: id,
    attempt: n,
    startUs: row.startTimeUs,
    endUs: row.endTimeUs ?? Number.MAX_SAFE_INTEGER,
    method: row.method,
    path: row.path,
    request,
    answer: isGood && isWhole && !isUseless
      ? {
        status: row.statusCode,
        sha256: row.responseSha256,
        contentType: row.contentType,
        contentEncoding: row.contentEncoding
      }
      : null,
    replayOf: row.replayOf,
    hasDiverged: row.hasDiverged !== null,
    isDone
  }
}

/**
 * The history that an attempt leaves, given the one that it had. Calls that were answered from there keep their place in it;
 * calls that went upstream come after it, or in the place of the unanswered call that they made again. What an attempt did
 * not come to is still to come, unless it took another way.
 */
const extended = (
  history: ReadonlyArray<PastCall>,
  calls: ReadonlyArray<MadeCall>
): ReadonlyArray<PastCall> => {
  const known = new Set(history.map(({ spanId }) => spanId))
  const again = new Set(calls.flatMap(({ isDone, replayOf }) => isDone && replayOf !== null ? [replayOf] : []))
  const hasDiverged = calls.some((call) => call.hasDiverged)
  const kept = history.filter(({ answer, spanId }) => !hasDiverged || answer === null || again.has(spanId))
  for (const call of calls) {
    if (call.replayOf !== null && known.has(call.replayOf)) continue
    const place = kept.findIndex((gap) => isGapOf(gap, call))
    if (place === -1) kept.push(call)
    else if (call.answer !== null) {
      const { attempt, endUs, startUs } = kept[place]!
      kept[place] = { ...call, attempt, endUs, startUs }
    }
  }
  return kept
}

/** What is left of its history for an attempt that has made these calls. */
const without = (history: ReadonlyArray<PastCall>, calls: ReadonlyArray<MadeCall>): ReadonlyArray<PastCall> => {
  if (calls.some(({ hasDiverged }) => hasDiverged)) return []
  const made = new Set(calls.map(({ replayOf }) => replayOf))
  const left = history.filter(({ spanId }) => !made.has(spanId))
  for (const call of calls) {
    // One that is under way is asking.
    if (call.replayOf !== null || call.endUs === Number.MAX_SAFE_INTEGER) continue
    const place = left.findIndex((gap) => isGapOf(gap, call))
    if (place !== -1) left[place] = { ...left[place]!, request: call.request }
  }
  return left
}

const isGapOf = (gap: PastCall, { method, path, request }: PastCall) =>
  gap.answer === null && gap.method === method && gap.path === path &&
  (gap.request === null || gap.request.sha256 === request?.sha256)
