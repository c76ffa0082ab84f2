import * as SqlClient from "@effect/sql/SqlClient"
import type * as Statement from "@effect/sql/Statement"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import type { UsageGroup } from "../domain/Lifecycle.js"
import type { ModelUsage } from "../domain/Prices.js"
import { GenAi } from "../openai/GenAi.js"
import type { UnknownCursor } from "./Page.js"
import { ofOneMoment, orStoreError } from "./reading.js"
import { conditionsOf, lastLookedAt, rowsAfter, troubled } from "./spanQuery.js"
import type { SpanFilter } from "./SpanStore.js"
import { at, isReplay, usageColumns } from "./spanUsage.js"
import type { StoreError } from "./StoreError.js"

/** Calls of one group, one model and one run; of those that were answered again, nothing was paid. */
export interface GroupUsage extends ModelUsage {
  /** Null for calls that are of no group: no run, say, or no key. */
  readonly groupName: string | null
  readonly runId: string | null
  readonly isReplay: 0 | 1
  readonly calls: number
  /** Calls that did not end well, or were answered with status 400 and above. */
  readonly failed: number
  readonly cachedInputTokens: number
  readonly reasoningTokens: number
  /** JSON: how many milliseconds each took that is over. */
  readonly took: string
}

export interface UsagePart {
  readonly groups: ReadonlyArray<GroupUsage>
  /** The call to go on after, or null at the end. */
  readonly next: string | null
}

/** What recorded calls used, added up by group. */
export class UsageReader extends Context.Tag("tau/store/UsageReader")<UsageReader, {
  /**
   * Of as many calls as are looked at at a time (see `lookedAtMax`), newest first: a group may come again in the next part. Requests
   * that are none of a model are left out, unless the filter asks for them.
   */
  readonly part: (
    filter: SpanFilter,
    by: UsageGroup,
    after: string | null
  ) => Effect.Effect<UsagePart, StoreError | UnknownCursor>
}>() {
  static readonly layer = Layer.effect(
    UsageReader,
    Effect.map(SqlClient.SqlClient, (sql) =>
      UsageReader.of({
        part: (filter, by, after) =>
          Effect.gen(function*() {
            const query = yield* rowsAfter(sql, filter, after, "newest")
            return yield* orStoreError(
              "reading what calls used",
              ofOneMoment(
                sql,
                Effect.all({
                  // What the upstream priced is apart: a sum would hide the calls that it did not, or said 0 of.
                  groups: sql<GroupUsage>`
                    SELECT ${groupOf(sql, by)} AS group_name, s.run_id, ${isReplay(sql)} AS is_replay,
                      s.attributes ->> ${at(GenAi.usageCost)} > 0 AS is_priced, ${usageColumns(sql)},
                      count(*) AS calls, sum(${troubled(sql)}) AS failed,
                      ${summed(sql, GenAi.usageCacheRead)} AS cached_input_tokens,
                      ${summed(sql, GenAi.usageReasoning)} AS reasoning_tokens,
                      json_group_array((end_time_us - start_time_us) / 1000) FILTER (WHERE end_time_us IS NOT NULL) AS took
                    FROM (SELECT * ${query.rows}) s
                    WHERE ${conditionsOf(sql, filter)} AND ${filter.kind === null ? sql`kind <> 'http'` : sql`TRUE`}
                    GROUP BY group_name, s.run_id, s.model, is_replay, is_priced`,
                  next: lastLookedAt(sql, query)
                })
              )
            )
          })
      }))
  )
}

const summed = (sql: SqlClient.SqlClient, attribute: string) => sql`coalesce(sum(s.attributes ->> ${at(attribute)}), 0)`

const digits = (n: number) => "[0-9]".repeat(n)
const captures = `capture-${digits(8)}T${digits(6)}-*`

const groupOf = (sql: SqlClient.SqlClient, by: UsageGroup): Statement.Fragment => {
  switch (by) {
    case "model":
      return sql`s.model`
    case "day":
      return sql`strftime('%Y-%m-%d', s.start_time_us / 1000000, 'unixepoch')`
    case "session":
      // As `namedSession` has it, and the filter takes it.
      return sql`coalesce(s.attributes ->> ${at(GenAi.conversationId)}, s.attributes ->> ${at(GenAi.sessionId)},
        CASE WHEN s.rollout_id GLOB ${captures} THEN NULL
             WHEN substr(s.attempt_id, 1, length(s.rollout_id) + 1) = s.rollout_id || ':' THEN s.attempt_id
             ELSE s.rollout_id || ' ' || s.attempt_id END)`
    case "role":
      return sql`s.attributes ->> ${at(GenAi.callRole)}`
    case "run":
      return sql`s.run_id`
    case "key":
      return sql`s.attributes ->> ${at(GenAi.clientKeyId)}`
  }
}
