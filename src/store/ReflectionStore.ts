import * as SqlClient from "@effect/sql/SqlClient"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import type { RunId } from "../domain/Ids.js"
import { textOfBody } from "../openai/Conversation.js"
import { orStoreError } from "./reading.js"
import type { StoreError } from "./StoreError.js"
import { Writer } from "./Writer.js"

export interface StoredReflection {
  readonly attempts: number
  readonly answer: string | null
  readonly failure: string | null
}

/** The reflections of searches: what a model was asked for, how often it was tried, what came of it. */
export class ReflectionStore extends Context.Tag("tau/store/ReflectionStore")<ReflectionStore, {
  /** One that a step of the search has begun. */
  readonly get: (runId: RunId, n: number) => Effect.Effect<StoredReflection, StoreError>
  /** Counts a try and answers its number, from 1. */
  readonly begin: (runId: RunId, n: number) => Effect.Effect<number, StoreError>
  readonly end: (
    runId: RunId,
    n: number,
    end: { readonly answer: string | null; readonly failure: string | null }
  ) => Effect.Effect<void, StoreError>
  /** The body of the last whole answer that calls under an attributed id were given; null when there is none. */
  readonly answered: (rolloutId: string) => Effect.Effect<string | null, StoreError>
}>() {
  static readonly layer = Layer.effect(
    ReflectionStore,
    Effect.gen(function*() {
      const sql = yield* SqlClient.SqlClient
      const writer = yield* Writer
      return ReflectionStore.of({
        get: (runId, n) =>
          orStoreError(
            "reading a reflection",
            Effect.map(
              sql<StoredReflection>`SELECT attempts, answer, failure FROM search_reflections
                                    WHERE run_id = ${runId} AND n = ${n}`,
              ([row]) => row!
            )
          ),
        begin: (runId, n) => writer.run("beginReflection", { runId, n }),
        end: (runId, n, end) => Effect.asVoid(writer.run("endReflection", { runId, n, ...end })),
        answered: (rolloutId) => orStoreError("reading an answer", answered(sql, rolloutId))
      })
    })
  )
}

const answered = (sql: SqlClient.SqlClient, rolloutId: string) =>
  Effect.map(
    sql<{ readonly answer: Uint8Array | null }>`
      SELECT (SELECT content FROM payloads WHERE sha256 = coalesce(s.answer_sha256, s.response_sha256)) AS answer
      FROM spans s WHERE s.rollout_id = ${rolloutId} AND s.state = 'done' AND s.status_code = 200 AND s.kind = 'llm'
      ORDER BY s.start_time_us DESC LIMIT 1`,
    ([row]) => row === undefined || row.answer === null ? null : textOfBody(row.answer)
  )
