import * as SqlClient from "@effect/sql/SqlClient"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import { setImmediate } from "node:timers/promises"
import type { RunId } from "../domain/Ids.js"
import { type Conversation, conversationOf, isInstruction, jsonOfBody } from "../openai/Conversation.js"
import { orStoreError } from "./reading.js"
import { isJudges, isOwnWork, isPaid, isUnpriced, type Usage, usageColumns } from "./spanUsage.js"
import type { StoreError } from "./StoreError.js"
import { Writer } from "./Writer.js"
import { brokenBy, isUnjudged } from "./writer/broken.js"
import type { Input, Output } from "./writer/operations.js"
import { lastAttempt } from "./writer/rollouts.js"

/** How a rollout of a search ended, and what it used. */
export interface SearchOutcome {
  readonly id: string
  readonly status: "succeeded" | "failed" | "cancelled"
  readonly output: string | null
  readonly score: number | null
  readonly error: string | null
  /** What scorers said of the attempt that counts, in the order of their names. */
  readonly feedback: ReadonlyArray<{ readonly name: string; readonly value: number; readonly feedback: string | null }>
  readonly usage: ReadonlyArray<Usage>
  /** What broke it, where it failed for want of its model or its scorer: see `writer/broken.ts`. Null for any other end. */
  readonly brokenBy: string | null
  /** It failed, and no scorer has said anything of it. */
  readonly isUnjudged: boolean
}

interface StepsAt {
  readonly firstMs: number
  readonly latestMs: number
}

/** A search's record: its steps, its candidates, what it was answered, what came of it. */
export class SearchStore extends Context.Tag("tau/store/SearchStore")<SearchStore, {
  /** Writes a step with all it starts, or answers what was written at its place before. */
  readonly take: (step: Input<"takeSearchStep">) => Effect.Effect<Output<"takeSearchStep">, StoreError>
  /** How the rollouts ended; those that have not are left out. */
  readonly outcomes: (ids: ReadonlyArray<string>) => Effect.Effect<ReadonlyArray<SearchOutcome>, StoreError>
  /**
   * What was said in the attempt that ended a rollout: of the agent's model calls, side calls only where there are no others, the
   * last under each system message, in the order in which they were made.
   */
  readonly conversations: (rolloutId: string) => Effect.Effect<ReadonlyArray<Conversation>, StoreError>
  /** What the calls of an attributed id used. */
  readonly usage: (rolloutId: string) => Effect.Effect<ReadonlyArray<Usage>, StoreError>
  readonly versionOf: (runId: RunId, candidate: number) => Effect.Effect<number | null, StoreError>
  /** What the search came to, once it has ended. */
  readonly result: (runId: RunId) => Effect.Effect<string | null, StoreError>
  /** Answers the result as it is stored: without the promotion where that was overtaken. */
  readonly end: (
    runId: RunId,
    result: string,
    promotion: Input<"endSearch">["promotion"]
  ) => Effect.Effect<string, StoreError>
  /** Makes a version the latest by a person's decision, on record. Answers false, and does nothing, where that was decided already. */
  readonly promote: (
    runId: RunId,
    version: number,
    principal: string,
    reason: string | null
  ) => Effect.Effect<boolean, StoreError>
  /** When its first step was taken, and when the latest so far, in Unix milliseconds; null before there is one. */
  readonly stepsAt: (runId: RunId) => Effect.Effect<StepsAt | null, StoreError>
}>() {
  static readonly layer = Layer.effect(
    SearchStore,
    Effect.gen(function*() {
      const sql = yield* SqlClient.SqlClient
      const writer = yield* Writer
      return SearchStore.of({
        take: (step) => writer.run("takeSearchStep", step),
        outcomes: (ids) => orStoreError("reading the outcomes of a step", outcomes(sql, ids)),
        conversations: (rolloutId) => orStoreError("reading what an agent did", conversations(sql, rolloutId)),
        usage: (rolloutId) => orStoreError("reading what calls used", usage(sql, [rolloutId])),
        promote: (runId, version, principal, reason) =>
          writer.run("promote", { runId, version, decision: "forced", principal, reason }),
        versionOf: (runId, candidate) =>
          orStoreError(
            "reading a candidate",
            Effect.map(
              sql<{ version: number | null }>`SELECT resources_version AS version FROM search_candidates
                                              WHERE run_id = ${runId} AND n = ${candidate}`,
              ([row]) => row?.version ?? null
            )
          ),
        result: (runId) =>
          orStoreError(
            "reading what a search came to",
            Effect.map(
              sql<{ result: string }>`SELECT result FROM search_results WHERE run_id = ${runId}`,
              ([row]) => row?.result ?? null
            )
          ),
        end: (runId, result, promotion) => writer.run("endSearch", { runId, result, promotion }),
        stepsAt: (runId) =>
          orStoreError(
            "reading when a search began",
            Effect.map(
              sql<StepsAt>`SELECT at_ms AS first_ms,
                             (SELECT max(at_ms) FROM search_steps WHERE run_id = ${runId}) AS latest_ms
                           FROM search_steps WHERE run_id = ${runId} AND n = 0`,
              ([row]) => row ?? null
            )
          )
      })
    })
  )
}

interface OutcomeRow extends Pick<SearchOutcome, "id" | "status" | "output" | "score" | "error" | "brokenBy"> {
  readonly feedback: string
  readonly isUnjudged: 0 | 1
}

const outcomes = (sql: SqlClient.SqlClient, ids: ReadonlyArray<string>) =>
  Effect.gen(function*() {
    const rows = yield* sql<OutcomeRow>`
      SELECT r.id, r.status, r.output, r.score, r.error,
        (SELECT json_group_array(json_object('name', w.name, 'value', w.value, 'feedback', w.feedback))
         FROM rewards w WHERE w.attempt_id = ${sql.literal(lastAttempt)}) AS feedback,
        ${sql.literal(brokenBy)} AS broken_by, ${sql.literal(isUnjudged)} AS is_unjudged
      FROM json_each(${JSON.stringify(ids)}) AS wanted JOIN rollouts r ON r.id = wanted.value
      WHERE r.status IN ('succeeded', 'failed', 'cancelled')`
    const used = yield* usage(sql, ids)
    const byRollout = new Map<string, Array<Usage>>()
    for (const { rolloutId, ...one } of used) byRollout.set(rolloutId, [...byRollout.get(rolloutId) ?? [], one])
    return rows.map(({ feedback, isUnjudged, ...row }): SearchOutcome => ({
      ...row,
      feedback: JSON.parse(feedback) as SearchOutcome["feedback"],
      usage: byRollout.get(row.id) ?? [],
      isUnjudged: isUnjudged === 1
    }))
  })

const usage = (sql: SqlClient.SqlClient, rolloutIds: ReadonlyArray<string>) =>
  sql<Usage & { readonly rolloutId: string }>`
    SELECT s.rollout_id, ${usageColumns(sql)}
    FROM json_each(${JSON.stringify(rolloutIds)}) AS wanted JOIN spans s ON s.rollout_id = wanted.value
    WHERE ${isPaid(sql)}
    GROUP BY s.rollout_id, s.model, is_judge, ${isUnpriced(sql)}`

/** Model calls of an attempt that are looked at for what its agent did: the last ones. */
const callsMax = 24

const conversations = (sql: SqlClient.SqlClient, rolloutId: string) =>
  Effect.gen(function*() {
    const calls = yield* sql<{ readonly spanId: string; readonly isOwn: 0 | 1 }>`
      SELECT s.span_id, ${isOwnWork(sql)} AS is_own
      FROM rollouts r JOIN spans s ON s.attempt_id = ${sql.literal(lastAttempt)}
      WHERE r.id = ${rolloutId} AND s.kind = 'llm' AND s.state NOT IN ('open', 'unknown_after_crash')
        AND NOT ${isJudges(sql)}
      ORDER BY is_own DESC, s.sequence_id DESC LIMIT ${callsMax}`
    const bySystem = new Map<string, Conversation>()
    for (const { isOwn, spanId } of calls) {
      // An agent that makes titles makes no other calls.
      if (isOwn !== calls[0]?.isOwn) break
      const talk = yield* conversation(sql, spanId)
      if (talk === null) continue
      const system = JSON.stringify(talk.input.filter(isInstruction))
      if (!bySystem.has(system)) bySystem.set(system, talk)
      // Bodies may be megabytes each: what else this thread does goes on between them.
      yield* Effect.promise(() => setImmediate())
    }
    return [...bySystem.values()].toReversed()
  })

const conversation = (sql: SqlClient.SqlClient, spanId: string) =>
  Effect.map(
    sql<{ readonly request: Uint8Array | null; readonly answer: Uint8Array | null }>`
      SELECT (SELECT content FROM payloads WHERE sha256 = s.request_sha256) AS request,
             (SELECT content FROM payloads WHERE sha256 = coalesce(s.answer_sha256, s.response_sha256)) AS answer
      FROM spans s WHERE s.span_id = ${spanId}`,
    ([row]) =>
      row === undefined || row.request === null
        ? null
        : conversationOf(jsonOfBody(row.request), row.answer === null ? undefined : jsonOfBody(row.answer))
  )
