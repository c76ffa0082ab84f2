/**
 * Answers that were still being made when their call ended, as with `background`: the span of such a call is completed by
 * the request that fetches the answer.
 */
import type { LaterAnswer } from "../../openai/Derive.js"
import { GenAi } from "../../openai/GenAi.js"
import type { Db } from "./Database.js"
import { cleanAttributes, cleanEvents, cleanText } from "./recorded.js"
import type { FinishedSpan } from "./spans.js"

/** The call was given only the id of its answer. A replay of it waits beside it; any other call has an answer of its own. */
export const awaitAnswer = (db: Db, span: FinishedSpan, responseId: string): void => {
  const id = cleanText(responseId, span.secrets)
  if (span.replayOf === undefined) db.prepare("DELETE FROM awaited_answers WHERE response_id = ?").run(id)
  db.prepare("INSERT OR IGNORE INTO awaited_answers (response_id, span_id) VALUES (?, ?)").run(id, span.spanId)
}

export interface Tokens {
  readonly inputTokens: number
  readonly outputTokens: number
}

const nothing: Tokens = { inputTokens: 0, outputTokens: 0 }

const complete = `UPDATE spans SET
    attributes = json_patch(attributes, ?), input_tokens = ?, output_tokens = ?, answer_sha256 = ?, events = ?,
    state = CASE WHEN state = 'done' AND ? = 1 THEN 'upstream_error' ELSE state END
  WHERE span_id = ?
  RETURNING run_id AS runId, attributes ->> '$."${GenAi.replayed}"' IS NOT NULL AS isReplay`

/** What the answer used is counted once, however often it is fetched. `answer` is the hash of its bytes. */
export const completeAnswered = (db: Db, span: FinishedSpan, later: LaterAnswer, answer: string | null): Tokens => {
  const waiting = db.prepare("DELETE FROM awaited_answers WHERE response_id = ? RETURNING span_id AS id")
    .all(cleanText(later.responseId, span.secrets)) as ReadonlyArray<{ readonly id: string }>
  if (waiting.length === 0) return nothing
  later.attributes.put(GenAi.answeredBy, span.spanId)
  const attributes = cleanAttributes(later.attributes, span.secrets)
  const events = cleanEvents(later.error, span.secrets)
  const hasFailed = later.error === undefined ? 0 : 1
  const used = { inputTokens: later.inputTokens ?? 0, outputTokens: later.outputTokens ?? 0 }
  let counted = nothing
  for (const { id } of waiting) {
    const row = db.prepare(complete)
      .get(attributes, later.inputTokens, later.outputTokens, answer, events, hasFailed, id) as
        | { readonly runId: string | null; readonly isReplay: 0 | 1 }
        | undefined
    if (row === undefined || row.isReplay === 1) continue
    counted = used
    if (row.runId === null) continue
    db.prepare("UPDATE runs SET input_tokens = input_tokens + ?, output_tokens = output_tokens + ? WHERE id = ?")
      .run(used.inputTokens, used.outputTokens, row.runId)
  }
  return counted
}
