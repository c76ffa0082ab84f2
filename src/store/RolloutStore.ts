import * as SqlClient from "@effect/sql/SqlClient"
import * as SqlSchema from "@effect/sql/SqlSchema"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import type * as Option from "effect/Option"
import * as Schema from "effect/Schema"
import { AttemptId, RolloutId, RunId } from "../domain/Ids.js"
import { Reward } from "../domain/Reward.js"
import { Attempt, Rollout } from "../domain/Rollout.js"
import { orStoreError } from "./reading.js"
import type { StoreError } from "./StoreError.js"

/** Rollouts with their attempts and rewards, for reading. `RolloutQueue` moves them. */
export class RolloutStore extends Context.Tag("tau/store/RolloutStore")<RolloutStore, {
  readonly get: (id: RolloutId) => Effect.Effect<Option.Option<Rollout>, StoreError>
  /** A page of a run's rollouts in order of position, starting after `afterOrdinal` (-1 for the first page). */
  readonly page: (
    runId: RunId,
    afterOrdinal: number,
    limit: number
  ) => Effect.Effect<ReadonlyArray<Rollout>, StoreError>
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

      return RolloutStore.of({
        get: (id) => orStoreError("reading a rollout", get(id)),
        page: (runId, afterOrdinal, limit) => orStoreError("reading rollouts", page({ runId, afterOrdinal, limit })),
        attempts: (id) => orStoreError("reading attempts", attempts(id)),
        rewards: (id) => orStoreError("reading rewards", rewards(id))
      })
    })
  )
}
