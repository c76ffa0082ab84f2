import * as SqlClient from "@effect/sql/SqlClient"
import * as SqlSchema from "@effect/sql/SqlSchema"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import type * as Option from "effect/Option"
import * as Schema from "effect/Schema"
import { AttemptId, RolloutId, RunId } from "../domain/Ids.js"
import type { RolloutStatus as RolloutStatusName } from "../domain/Lifecycle.js"
import { Reward } from "../domain/Reward.js"
import { Attempt, Rollout, RolloutMode } from "../domain/Rollout.js"
import { lookedAtMax, type Page, pageOf, type PageRequest, positionOf, type UnknownCursor } from "./Page.js"
import { ofOneMoment, orStoreError } from "./reading.js"
import type { StoreError } from "./StoreError.js"
import { brokenBy } from "./writer/broken.js"

export interface RolloutFilter {
  readonly runId: string
  readonly status: RolloutStatusName | null
  readonly mode: RolloutMode | null
  /** Both bounds included; a rollout without a score fits no bound. */
  readonly scoreMin: number | null
  readonly scoreMax: number | null
}

/** A rollout that counts in a mean: it has a score, or failed and so earned 0. */
export class CountedRollout extends Schema.Class<CountedRollout>("CountedRollout")({
  id: RolloutId,
  /** Equal for rollouts that were asked the same, of any run. */
  inputSha256: Schema.String,
  mode: RolloutMode,
  score: Schema.Number,
  /** What broke it, where it failed for want of its model, its agent or its scorer: see `writer/broken.ts`. */
  brokenBy: Schema.NullOr(Schema.String),
  /** How long the attempt that succeeded took; null when none did. */
  tookMs: Schema.NullOr(Schema.Int)
}) {}

/** Rollouts with their attempts and rewards, for reading. `RolloutQueue` moves them. */
export class RolloutStore extends Context.Tag("tau/store/RolloutStore")<RolloutStore, {
  readonly get: (id: RolloutId) => Effect.Effect<Option.Option<Rollout>, StoreError>
  /** A page of a run's rollouts in order of position, starting after `afterOrdinal` (-1 for the first page). */
  readonly page: (
    runId: RunId,
    afterOrdinal: number,
    limit: number
  ) => Effect.Effect<ReadonlyArray<Rollout>, StoreError>
  /**
   * The rollouts of a run that a filter fits, in order of position. A page may end before it is full: see `lookedAtMax`.
   */
  readonly list: (
    filter: RolloutFilter,
    request: PageRequest
  ) => Effect.Effect<Page<Rollout>, StoreError | UnknownCursor>
  /** Those of a run that count in its mean score, in order of position, without what they were asked and answered. */
  readonly counted: (runId: RunId, mode: RolloutMode | null) => Effect.Effect<ReadonlyArray<CountedRollout>, StoreError>
  /** Oldest first. */
  readonly attempts: (id: RolloutId) => Effect.Effect<ReadonlyArray<Attempt>, StoreError>
  readonly rewards: (id: AttemptId) => Effect.Effect<ReadonlyArray<Reward>, StoreError>
}>() {
  static readonly layer = Layer.effect(
    RolloutStore,
    Effect.gen(function*() {
      const sql = yield* SqlClient.SqlClient

      const get = SqlSchema.findOne({
        Request: RolloutId,
        Result: Rollout,
        execute: (id) => sql`SELECT * FROM rollouts WHERE id = ${id}`
      })
      const page = SqlSchema.findAll({
        Request: Schema.Struct({ runId: RunId, afterOrdinal: Schema.Int, limit: Schema.Int }),
        Result: Rollout,
        execute: ({ afterOrdinal, limit, runId }) =>
          sql`SELECT * FROM rollouts WHERE run_id = ${runId} AND ordinal > ${afterOrdinal} ORDER BY ordinal LIMIT ${limit}`
      })
      const counted = SqlSchema.findAll({
        Request: Schema.Struct({ runId: RunId, mode: Schema.NullOr(RolloutMode) }),
        Result: CountedRollout,
        execute: ({ mode, runId }) =>
          sql`SELECT r.id, r.input_sha256, r.mode, coalesce(r.score, 0.0) AS score, ${
            sql.literal(brokenBy)
          } AS broken_by,
              a.ended_at_ms - a.started_at_ms AS took_ms
            FROM rollouts r LEFT JOIN attempts a ON a.rollout_id = r.id AND a.status = 'succeeded'
            WHERE r.run_id = ${runId} AND (r.score IS NOT NULL OR r.status = 'failed')
              AND ${mode === null ? sql`TRUE` : sql`r.mode = ${mode}`}
            ORDER BY r.ordinal`
      })
      const attempts = SqlSchema.findAll({
        Request: RolloutId,
        Result: Attempt,
        execute: (id) => sql`SELECT * FROM attempts WHERE rollout_id = ${id} ORDER BY n`
      })
      const rewards = SqlSchema.findAll({
        Request: AttemptId,
        Result: Reward,
        execute: (id) => sql`SELECT name, value, feedback FROM rewards WHERE attempt_id = ${id} ORDER BY name`
      })

      const list = ({ mode, runId, scoreMax, scoreMin, status }: RolloutFilter, position: number, limit: number) => {
        const conditions = sql.and([
          status === null ? sql`TRUE` : sql`status = ${status}`,
          mode === null ? sql`TRUE` : sql`mode = ${mode}`,
          scoreMin === null ? sql`TRUE` : sql`score >= ${scoreMin}`,
          scoreMax === null ? sql`TRUE` : sql`score <= ${scoreMax}`
        ])
        // Few rollouts fail, even of a million: they have an index of their own.
        const rows = status === "failed"
          ? sql`SELECT * FROM rollouts INDEXED BY rollouts_failed
                WHERE run_id = ${runId} AND ordinal > ${position} AND status = 'failed' AND ${conditions}
                ORDER BY ordinal LIMIT ${limit}`
          : sql`SELECT * FROM (SELECT * FROM rollouts WHERE run_id = ${runId} AND ordinal > ${position}
                               ORDER BY ordinal LIMIT ${lookedAtMax})
                WHERE ${conditions} LIMIT ${limit}`
        return Effect.flatMap(rows, decodeRollouts)
      }
      const lastLookedAt = (runId: string, position: number) =>
        Effect.map(
          sql<{ id: string; n: number }>`SELECT id, count(*) OVER () AS n
            FROM (SELECT id, ordinal FROM rollouts WHERE run_id = ${runId} AND ordinal > ${position}
                  ORDER BY ordinal LIMIT ${lookedAtMax})
            ORDER BY ordinal DESC LIMIT 1`,
          ([last]) => last !== undefined && last.n === lookedAtMax ? last.id : null
        )

      return RolloutStore.of({
        list: (filter, { after, limit }) =>
          Effect.gen(function*() {
            const { ordinal } = yield* positionOf("rollout", after, { ordinal: -1 }, (id) =>
              orStoreError(
                "reading rollouts",
                sql<{ ordinal: number }>`SELECT ordinal FROM rollouts WHERE id = ${id} AND run_id = ${filter.runId}`
              ))
            // Of one moment: a rollout that a search adds between the two questions would move where the page ends.
            return yield* orStoreError(
              "reading rollouts",
              ofOneMoment(
                sql,
                Effect.gen(function*() {
                  const page = pageOf(yield* list(filter, ordinal, limit + 1), limit, ({ id }) => id)
                  if (page.next !== null || filter.status === "failed") return page
                  return { ...page, next: yield* lastLookedAt(filter.runId, ordinal) }
                })
              )
            )
          }),
        get: (id) => orStoreError("reading a rollout", get(id)),
        page: (runId, afterOrdinal, limit) => orStoreError("reading rollouts", page({ runId, afterOrdinal, limit })),
        counted: (runId, mode) => orStoreError("reading scores", counted({ runId, mode })),
        attempts: (id) => orStoreError("reading attempts", attempts(id)),
        rewards: (id) => orStoreError("reading rewards", rewards(id))
      })
    })
  )
}

const decodeRollouts = Schema.decodeUnknown(Schema.Array(Rollout))
