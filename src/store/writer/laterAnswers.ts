/**
 * Answers that were still being made when their call ended, as with `background`: the span of such a call is completed by
 * the request that fetches the answer.
 */
import type { Attributes } from "../../openai/Attributes.js"
import { derive, type LaterAnswer } from "../../openai/Derive.js"
import { GenAi } from "../../openai/GenAi.js"
import { redacted } from "../../openai/Secrets.js"
import type { Db } from "./Database.js"
import { cleanAttributes, cleanEvents, cleanText } from "./recorded.js"
import type { FinishedSpan } from "./spans.js"

/** Null for one that a rule of redaction took out, whole or in part: others may look the same. */
const keyOf = (responseId: string, { secrets }: FinishedSpan): string | null => {
  const id = cleanText(responseId, secrets)
  return id.includes(redacted) ? null : id
}

/** Ids are their server's own: those of two servers may be equal. */
const isOf = (attributes: Attributes, { address, port }: Waiting): boolean =>
  attributes.get(GenAi.serverAddress) === (address ?? undefined) &&
  attributes.get(GenAi.serverPort) === (port ?? undefined)

interface Waiting {
  readonly spanId: string
  readonly runId: string | null
  readonly inputTokens: number | null
  readonly outputTokens: number | null
  readonly isReplay: 0 | 1
  readonly secretsFound: number | null
  readonly address: string | null
  readonly port: number | null
}

const attribute = (name: string, span = "s") => `${span}.attributes ->> '$."${name}"'`

const waiting =
  `SELECT s.span_id AS spanId, s.run_id AS runId, s.input_tokens AS inputTokens, s.output_tokens AS outputTokens,
    ${attribute(GenAi.replayed)} IS NOT NULL AS isReplay, ${attribute(GenAi.redacted)} AS secretsFound,
    ${attribute(GenAi.serverAddress)} AS address, ${attribute(GenAi.serverPort)} AS port
  FROM awaited_answers a JOIN spans s ON s.span_id = a.span_id WHERE a.response_id = ?`

/** The spans that no longer wait: those of this server that waited for the answer. */
const release = (db: Db, key: string, attributes: Attributes): ReadonlyArray<Waiting> => {
  const found = (db.prepare(waiting).all(key) as ReadonlyArray<Waiting>).filter((one) => isOf(attributes, one))
  for (const { spanId } of found) {
    db.prepare("DELETE FROM awaited_answers WHERE response_id = ? AND span_id = ?").run(key, spanId)
  }
  return found
}

/**
 * The call was given only the id of its answer. A replay of it waits beside it; any other call has an answer of its own. Answers what
 * it used where its client, which had left, fetched the answer before the call's end.
 */
export const awaitAnswer = (db: Db, span: FinishedSpan, responseId: string, attributes: Attributes): Tokens => {
  const key = keyOf(responseId, span)
  if (key === null) return none
  if (span.replayOf === undefined) release(db, key, attributes)
  db.prepare("INSERT OR IGNORE INTO awaited_answers (response_id, span_id) VALUES (?, ?)").run(key, span.spanId)
  return span.state === "client_cancel" ? completeFetched(db, span, key) : none
}

interface Fetched {
  readonly spanId: string
  readonly method: string
  readonly path: string
  readonly contentType: string | null
  readonly contentEncoding: string | null
  readonly secretsFound: number | null
  readonly unrecorded: string | null
  readonly sha256: string
  readonly content: Uint8Array
}

/** Requests of the same attempt, made after the call, that may have fetched its answer; the latest first. */
const fetched = `SELECT s.span_id AS spanId, s.method, s.path, ${attribute(GenAi.responseContentType)} AS contentType,
    ${attribute(GenAi.responseContentEncoding)} AS contentEncoding, ${attribute(GenAi.redacted)} AS secretsFound,
    ${attribute(GenAi.unrecorded)} AS unrecorded, coalesce(s.answer_sha256, s.response_sha256) AS sha256, b.content
  FROM spans call JOIN spans s ON s.attempt_id = call.attempt_id AND s.sequence_id > call.sequence_id
    JOIN bodies b ON b.sha256 = s.response_sha256 AND b.form = 'whole'
  WHERE call.span_id = ? AND s.status_code = 200 AND instr(s.path, ?) > 0
    AND ${attribute(GenAi.serverAddress, "s")} IS ${attribute(GenAi.serverAddress, "call")}
    AND ${attribute(GenAi.serverPort, "s")} IS ${attribute(GenAi.serverPort, "call")}
  ORDER BY s.sequence_id DESC LIMIT 8`

/** Such a request found nobody who waited: the call was being read on. */
const completeFetched = (db: Db, span: FinishedSpan, key: string): Tokens => {
  for (const one of db.prepare(fetched).all(span.spanId, `/${key}`) as ReadonlyArray<Fetched>) {
    const { attributes, later } = derive({
      method: one.method,
      path: one.path,
      statusCode: 200,
      requestBytes: nothing,
      responseBytes: one.content,
      responseContentType: one.contentType,
      responseContentEncoding: one.contentEncoding,
      upstreamUrl: span.upstreamUrl
    })
    if (later?.responseId !== key) continue
    attributes.set(GenAi.redacted, one.secretsFound)
    attributes.set(GenAi.unrecorded, one.unrecorded)
    return completeAnswered(db, { ...span, spanId: one.spanId }, later, attributes, one.sha256)
  }
  return none
}

/** A later version of a span that has its answer by now knows no more than the first. */
export const isAnswered = (db: Db, { spanId }: FinishedSpan): boolean =>
  db.prepare(`SELECT 1 FROM spans s WHERE s.span_id = ? AND ${attribute(GenAi.answeredBy)} IS NOT NULL`).get(spanId) !==
    undefined

export interface Tokens {
  readonly inputTokens: number
  readonly outputTokens: number
}

const none: Tokens = { inputTokens: 0, outputTokens: 0 }
const nothing = new Uint8Array(0)

const complete = `UPDATE spans SET
    attributes = json_patch(attributes, ?), input_tokens = ?, output_tokens = ?, answer_sha256 = ?, events = ?,
    state = CASE WHEN state = 'done' AND ? = 1 THEN 'upstream_error' ELSE state END
  WHERE span_id = ?`

/**
 * What the answer used is counted once, however often it is fetched. `answer` is the hash of its bytes, and `fetched` are the
 * attributes of the request that brought it.
 */
export const completeAnswered = (
  db: Db,
  span: FinishedSpan,
  later: LaterAnswer,
  fetched: Attributes,
  answer: string | null
): Tokens => {
  const key = keyOf(later.responseId, span)
  let counted = none
  if (key === null) return counted
  const events = cleanEvents(later.error, span.secrets)
  const hasFailed = later.error === undefined ? 0 : 1
  later.attributes.put(GenAi.answeredBy, span.spanId)
  // Whoever reads the answer under the call's span has to know that it is not as it came.
  later.attributes.set(GenAi.unrecorded, fetched.get(GenAi.unrecorded))
  const secretsFound = fetched.get(GenAi.redacted)
  for (const one of release(db, key, fetched)) {
    if (typeof secretsFound === "number") later.attributes.put(GenAi.redacted, secretsFound + (one.secretsFound ?? 0))
    const inputTokens = later.inputTokens ?? one.inputTokens
    const outputTokens = later.outputTokens ?? one.outputTokens
    db.prepare(complete).run(
      cleanAttributes(later.attributes, span.secrets),
      inputTokens,
      outputTokens,
      answer,
      events,
      hasFailed,
      one.spanId
    )
    if (one.isReplay === 1) continue
    // A stream may have told what it had used so far before it was cut.
    counted = {
      inputTokens: (inputTokens ?? 0) - (one.inputTokens ?? 0),
      outputTokens: (outputTokens ?? 0) - (one.outputTokens ?? 0)
    }
    if (one.runId === null) continue
    db.prepare("UPDATE runs SET input_tokens = input_tokens + ?, output_tokens = output_tokens + ? WHERE id = ?")
      .run(counted.inputTokens, counted.outputTokens, one.runId)
  }
  return counted
}
