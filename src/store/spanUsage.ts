/** What calls used of their models, added up from their spans. */
import type * as SqlClient from "@effect/sql/SqlClient"
import type { RunId } from "../domain/Ids.js"
import type { ModelUsage } from "../domain/Prices.js"
import { GenAi } from "../openai/GenAi.js"

export interface Usage extends ModelUsage {
  /** 1 where the calls were a judge's. */
  readonly isJudge: 0 | 1
}

/** Sums over spans named `s`, to be grouped by `s.model` and `is_judge`. */
export const usageColumns = (sql: SqlClient.SqlClient) =>
  sql`s.model, ${isJudges(sql)} AS is_judge,
      coalesce(sum(s.input_tokens), 0) AS input_tokens, coalesce(sum(s.output_tokens), 0) AS output_tokens,
      sum(s.attributes ->> ${at(GenAi.usageCost)}) AS cost,
      count(coalesce(s.input_tokens, s.output_tokens)) AS metered,
      sum(s.state = 'done' AND ${isSilent(sql)}) AS unmetered,
      sum(s.state <> 'done' AND ${isSilent(sql)}) AS broken_off`

/**
 * Of a call that does not say what it used, nor what it cost: its answer began well, or nobody waited for it any longer, or a crash
 * came before it, while the model was at work. A call that was refused used nothing.
 */
const isSilent = (sql: SqlClient.SqlClient) =>
  sql`((coalesce(s.status_code, iif(s.state IN ('client_cancel', 'unknown_after_crash'), 200, 500)) < 400
       OR s.state = 'timeout') AND s.input_tokens IS NULL AND s.output_tokens IS NULL AND ${isUnpriced(sql)})`

/** Of these spans: calls of a model that were paid for, as far as is known. An answer that is given again was paid for the first time. */
export const isPaid = (sql: SqlClient.SqlClient) =>
  sql`s.kind = 'llm' AND s.state <> 'open' AND s.attributes ->> ${at(GenAi.replayed)} IS NULL`

/** Calls of a judge, which are under the attempt that it judges. */
export const isJudges = (sql: SqlClient.SqlClient) => sql`coalesce(s.attributes ->> ${at(GenAi.callRole)} = 'judge', 0)`

/** Calls of the agent's own work, as far as a request tells: neither a judge's nor for a title and the like. */
export const isOwnWork = (sql: SqlClient.SqlClient) => sql`s.attributes ->> ${at(GenAi.callRole)} = 'main'`

/** Which calls the upstream itself priced: a sum over both kinds would hide those that it did not. */
export const isUnpriced = (sql: SqlClient.SqlClient) => sql`s.attributes ->> ${at(GenAi.usageCost)} IS NULL`

/** What all paid calls of a run used, by model. */
export const usageOfRun = (sql: SqlClient.SqlClient, runId: RunId) =>
  // Ids of what a run calls for begin with its own: the spans have an index by them, and none by run.
  sql<Usage>`
    SELECT ${usageColumns(sql)}
    FROM spans s
    WHERE s.rollout_id >= ${`${runId}-`} AND s.rollout_id < ${`${runId}.`} AND s.run_id = ${runId} AND ${isPaid(sql)}
    GROUP BY s.model, is_judge, ${isUnpriced(sql)}`

/** An answer that is given again. */
export const isReplay = (sql: SqlClient.SqlClient) => sql`s.attributes ->> ${at(GenAi.replayed)} IS NOT NULL`

export const at = (attribute: string) => `$."${attribute}"`
