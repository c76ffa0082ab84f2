/**
 * Which rows of `spans` are looked at for a filter, and in which order: always along an index, for the table is the largest
 * of the store. Span ids begin with the second they were made in, so that their order is the order of time.
 */
import type * as SqlClient from "@effect/sql/SqlClient"
import type * as Statement from "@effect/sql/Statement"
import * as Effect from "effect/Effect"
import { GenAi } from "../openai/GenAi.js"
import { lookedAtMax, positionOf } from "./Page.js"
import { orStoreError } from "./reading.js"
import type { SpanFilter, SpanOrder } from "./SpanStore.js"

type Fragment = Statement.Fragment

/** Where a span stands in each of the orders. */
interface SpanPosition {
  readonly spanId: string
  readonly startTimeUs: number
  readonly sequenceId: number
}

interface RunTimes {
  readonly createdAtMs: number
  readonly endedAtMs: number | null
}

export interface SpanQuery {
  /** From `FROM` to `LIMIT`. */
  readonly rows: Fragment
  /** The opposite order. */
  readonly reversed: Fragment
}

const rowsOf = (
  sql: SqlClient.SqlClient,
  filter: SpanFilter,
  position: SpanPosition | null,
  order: SpanOrder,
  run: RunTimes | undefined
): SpanQuery => {
  const beyond = sql.literal(order === "oldest" ? ">" : "<")
  const direction = sql.literal(order === "oldest" ? "ASC" : "DESC")
  const opposite = sql.literal(order === "oldest" ? "DESC" : "ASC")
  if (filter.spanIds === null && filter.attemptId !== null) {
    return {
      rows: sql`FROM spans INDEXED BY spans_by_attempt WHERE attempt_id = ${filter.attemptId}
        AND ${position === null ? sql`TRUE` : sql`sequence_id ${beyond} ${position.sequenceId}`}
        ORDER BY sequence_id ${direction} LIMIT ${lookedAtMax}`,
      reversed: sql`sequence_id ${opposite}`
    }
  }
  if (filter.spanIds === null && filter.rolloutId !== null) {
    return {
      rows: sql`FROM spans INDEXED BY spans_by_rollout WHERE rollout_id = ${filter.rolloutId}
        AND ${
        position === null
          ? sql`TRUE`
          : sql`(start_time_us, span_id) ${beyond} (${position.startTimeUs}, ${position.spanId})`
      }
        ORDER BY start_time_us ${direction}, span_id ${direction} LIMIT ${lookedAtMax}`,
      reversed: sql`start_time_us ${opposite}, span_id ${opposite}`
    }
  }
  const { since, until } = window(filter, run)
  const ids = sql.and([
    sql`span_id >= ${since}`,
    sql`span_id < ${until}`,
    position === null ? sql`TRUE` : sql`span_id ${beyond} ${position.spanId}`,
    filter.spanIds === null
      ? sql`TRUE`
      : sql`span_id IN (SELECT value FROM json_each(${JSON.stringify(filter.spanIds)}))`
  ])
  return {
    rows: filter.failed
      ? sql`FROM spans INDEXED BY spans_troubled WHERE (${troubled(sql)}) AND ${ids}
        ORDER BY span_id ${direction} LIMIT ${lookedAtMax}`
      : sql`FROM spans WHERE ${ids} ORDER BY span_id ${direction} LIMIT ${lookedAtMax}`,
    reversed: sql`span_id ${opposite}`
  }
}

/** The rows behind this one, which must be there; from the first one on where it is null. */
export const rowsAfter = (sql: SqlClient.SqlClient, filter: SpanFilter, after: string | null, order: SpanOrder) =>
  Effect.gen(function*() {
    const position = yield* positionOf("span", after, null, (id) =>
      orStoreError(
        "reading spans",
        sql<SpanPosition>`SELECT span_id, start_time_us, sequence_id FROM spans
          WHERE span_id = ${id} AND ${filter.attemptId === null ? sql`TRUE` : sql`attempt_id = ${filter.attemptId}`}`
      ))
    const run = filter.runId === null ? undefined : (yield* orStoreError(
      "reading spans",
      sql<RunTimes>`SELECT created_at_ms, ended_at_ms FROM runs WHERE id = ${filter.runId}`
    ))[0]
    return rowsOf(sql, filter, position, order, run)
  })

/** The last of the rows, where there may be more behind them; null at the end. */
export const lastLookedAt = (sql: SqlClient.SqlClient, query: SpanQuery) =>
  Effect.map(
    sql<{ id: string; n: number }>`SELECT span_id AS id, count(*) OVER () AS n
      FROM (SELECT span_id, start_time_us, sequence_id ${query.rows}) ORDER BY ${query.reversed} LIMIT 1`,
    ([last]) => last !== undefined && last.n === lookedAtMax ? last.id : null
  )

/** The condition of the index `spans_troubled`, word for word, which makes it usable. */
export const troubled = (sql: SqlClient.SqlClient) => sql`state NOT IN ('open', 'done') OR status_code >= 400`

/** The ids that a span of these times can have; a call that a run waits for may begin a moment before its row is made. */
const window = (filter: SpanFilter, run: RunTimes | undefined) => {
  const marginMs = 2_000
  const since = Math.max(filter.sinceMs ?? 0, (run?.createdAtMs ?? 0) - marginMs)
  const until = Math.min(
    filter.untilMs ?? Number.MAX_SAFE_INTEGER,
    (run?.endedAtMs ?? Number.MAX_SAFE_INTEGER) + marginMs
  )
  return { since: firstIdAt(since), until: firstIdAt(until + 1_000) }
}

const firstIdAt = (ms: number): string => {
  const seconds = Math.floor(ms / 1_000)
  if (seconds <= 0) return ""
  return seconds > 0xffff_ffff ? "g" : seconds.toString(16).padStart(8, "0")
}

/** What of a filter the index does not answer. */
export const conditionsOf = (sql: SqlClient.SqlClient, filter: SpanFilter): Fragment => {
  const attribute = (name: string, value: string) => sql`attributes ->> ${`$."${name}"`} = ${value}`
  return sql.and([
    sql`TRUE`,
    ...(filter.runId === null ? [] : [sql`run_id = ${filter.runId}`]),
    ...(filter.captured ? [sql`run_id IS NULL`] : []),
    ...(filter.rolloutId === null ? [] : [sql`rollout_id = ${filter.rolloutId}`]),
    ...(filter.attemptId === null ? [] : [sql`attempt_id = ${filter.attemptId}`]),
    ...(filter.kind === null ? [] : [sql`kind = ${filter.kind}`]),
    ...(filter.state === null ? [] : [sql`state = ${filter.state}`]),
    ...(filter.model === null ? [] : [sql`model = ${filter.model}`]),
    ...(filter.failed ? [sql`(${troubled(sql)})`] : []),
    ...(filter.sinceMs === null ? [] : [sql`start_time_us >= ${filter.sinceMs * 1_000}`]),
    ...(filter.untilMs === null ? [] : [sql`start_time_us < ${filter.untilMs * 1_000}`]),
    ...(filter.role === null ? [] : [attribute(GenAi.callRole, filter.role)]),
    ...(filter.session === null ? [] : [
      sql.or([
        attribute(GenAi.sessionId, filter.session),
        attribute(GenAi.conversationId, filter.session),
        sql`attempt_id = ${filter.session}`,
        sql`rollout_id || ' ' || attempt_id = ${filter.session}`
      ])
    ])
  ])
}
