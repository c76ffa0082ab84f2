import * as SqlClient from "@effect/sql/SqlClient"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import type { RunId } from "../domain/Ids.js"
import { isCounted } from "./brokenRollouts.js"
import { type Page, pageOf, type PageRequest } from "./Page.js"
import { orStoreError } from "./reading.js"
import { type Usage, usageOfRun } from "./spanUsage.js"
import type { StoreError } from "./StoreError.js"
import { lastAttempt } from "./writer/rollouts.js"

/** A search as its rows tell it; JSON as text, as it was written. */
export interface SearchRecord {
  readonly run: {
    readonly id: string
    readonly config: string
    readonly tokens: number
    readonly createdAtMs: number
    /** When the search ended, or before that the rollout that ended last; null where none has. */
    readonly lastEndedAtMs: number | null
  }
  readonly steps: ReadonlyArray<
    { readonly n: number; readonly rollouts: number; readonly reflections: number; readonly atMs: number }
  >
  readonly candidates: ReadonlyArray<
    { readonly n: number; readonly texts: string; readonly resourcesVersion: number | null }
  >
  readonly events: ReadonlyArray<{ readonly step: number; readonly data: string }>
  readonly result: string | null
  /** What all its calls used, by model. */
  readonly usage: ReadonlyArray<Usage>
  /** Reflections that brought no text, and why the last did not. */
  readonly failedReflections: { readonly n: number; readonly last: string | null }
  /** The promotion that the run led to, by the gate or by force; the last one. */
  readonly promotion: {
    readonly version: number
    readonly decision: "gate" | "forced"
    readonly principal: string | null
    readonly reason: string | null
  } | null
}

/** One scored rollout of a candidate on an example that was not the gate's. */
export interface ScoredExample {
  readonly candidate: number
  readonly example: string
  readonly input: string
  readonly score: number
  readonly feedback: string | null
}

/** One event of a search, and when the step was taken that it is part of. */
export interface StoredEvent {
  readonly n: number
  readonly step: number
  readonly atMs: number
  /** JSON object, as it was written. */
  readonly data: string
}

/** Searches for reading, without a writer. */
export class SearchReader extends Context.Tag("tau/store/SearchReader")<SearchReader, {
  /** Null when the run searches nothing. */
  readonly record: (runId: RunId) => Effect.Effect<SearchRecord | null, StoreError>
  /** How candidates did on the `validate` examples that a search looks at. Failed rollouts count as 0, save those of an outage. */
  readonly scored: (
    runId: RunId,
    candidates: ReadonlyArray<number>,
    samplesBelow: number
  ) => Effect.Effect<ReadonlyArray<ScoredExample>, StoreError>
  /** In the order that they happened; ids of these pages are the events' numbers. */
  readonly events: (runId: RunId, request: PageRequest) => Effect.Effect<Page<StoredEvent>, StoreError>
}>() {
  static readonly layer = Layer.effect(
    SearchReader,
    Effect.map(SqlClient.SqlClient, (sql) =>
      SearchReader.of({
        record: (runId) => orStoreError("reading a search", record(sql, runId)),
        events: (runId, { after, limit }) =>
          orStoreError(
            "reading the events of a search",
            Effect.map(
              sql<StoredEvent>`
                SELECT e.n, e.step, s.at_ms, e.data
                FROM search_events e JOIN search_steps s ON s.run_id = e.run_id AND s.n = e.step
                WHERE e.run_id = ${runId} AND e.n > ${after === null ? -1 : Number(after)}
                ORDER BY e.n LIMIT ${limit + 1}`,
              (rows) => pageOf(rows, limit, ({ n }) => String(n))
            )
          ),
        scored: (runId, candidates, samplesBelow) =>
          orStoreError(
            "reading what candidates scored",
            Effect.flatMap(isCounted(sql, runId), (isCounted) =>
              sql<ScoredExample>`
              SELECT r.candidate, r.example, r.input, coalesce(r.score, 0.0) AS score,
                (SELECT group_concat(w.feedback, char(10)) FROM rewards w
                 WHERE w.attempt_id = ${sql.literal(lastAttempt)} AND w.feedback IS NOT NULL) AS feedback
              FROM rollouts r
              WHERE r.run_id = ${runId} AND r.mode = 'val' AND r.status IN ('succeeded', 'failed')
                AND r.candidate IN (SELECT value FROM json_each(${JSON.stringify(candidates)}))
                AND r.sample < ${samplesBelow} AND ${isCounted}
              ORDER BY r.ordinal`)
          )
      }))
  )
}

interface Searched {
  readonly optimizer?: { readonly algorithm?: string }
}

const record = (sql: SqlClient.SqlClient, runId: RunId) =>
  Effect.gen(function*() {
    const [run] = yield* sql<SearchRecord["run"]>`
      SELECT id, config, input_tokens + output_tokens AS tokens, created_at_ms,
        coalesce((SELECT at_ms FROM search_results WHERE run_id = ${runId}),
                 (SELECT max(ended_at_ms) FROM rollouts WHERE run_id = ${runId})) AS last_ended_at_ms
      FROM runs WHERE id = ${runId}`
    const steps = yield* sql<SearchRecord["steps"][number]>`
      SELECT n, rollouts, reflections, at_ms FROM search_steps WHERE run_id = ${runId} ORDER BY n`
    if (run === undefined || (JSON.parse(run.config) as Searched).optimizer?.algorithm === "evaluate") return null
    const candidates = yield* sql<SearchRecord["candidates"][number]>`
      SELECT n, texts, resources_version FROM search_candidates WHERE run_id = ${runId} ORDER BY n`
    const events = yield* sql<SearchRecord["events"][number]>`
      SELECT step, data FROM search_events WHERE run_id = ${runId} ORDER BY n`
    const [result] = yield* sql<{ result: string }>`SELECT result FROM search_results WHERE run_id = ${runId}`
    const [promotion] = yield* sql<NonNullable<SearchRecord["promotion"]>>`
      SELECT version, decision, principal, reason FROM promotions WHERE run_id = ${runId} ORDER BY n DESC LIMIT 1`
    const [failed] = yield* sql<SearchRecord["failedReflections"]>`
      SELECT count(*) AS n, (SELECT failure FROM search_reflections WHERE run_id = ${runId} AND failure IS NOT NULL
                             ORDER BY n DESC LIMIT 1) AS last
      FROM search_reflections WHERE run_id = ${runId} AND failure IS NOT NULL`
    const usage = yield* usageOfRun(sql, runId)
    return {
      run,
      steps,
      candidates,
      events,
      result: result?.result ?? null,
      usage,
      failedReflections: failed!,
      promotion: promotion ?? null
    }
  })
