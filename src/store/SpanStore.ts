import * as SqlClient from "@effect/sql/SqlClient"
import * as SqlSchema from "@effect/sql/SqlSchema"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Option from "effect/Option"
import * as Schema from "effect/Schema"
import { AttemptId, RolloutId, SpanId } from "../domain/Ids.js"
import { Span } from "../domain/Span.js"
import { orStoreError } from "./reading.js"
import type { StoreError } from "./StoreError.js"

/** The recorded calls, for reading. The proxy writes them through the writer thread. */
export class SpanStore extends Context.Tag("tau/store/SpanStore")<SpanStore, {
  /** In the order the attempt made them. */
  readonly byAttempt: (id: AttemptId) => Effect.Effect<ReadonlyArray<Span>, StoreError>
  /** Of all attempts of a rollout or of a capture session, in order of time. */
  readonly byRollout: (id: RolloutId) => Effect.Effect<ReadonlyArray<Span>, StoreError>
  readonly get: (id: SpanId) => Effect.Effect<Option.Option<Span>, StoreError>
  /** A recorded body by its hash. */
  readonly payload: (sha256: string) => Effect.Effect<Option.Option<Uint8Array>, StoreError>
}>() {
  static readonly layer = Layer.effect(
    SpanStore,
    Effect.gen(function*() {
      const sql = yield* SqlClient.SqlClient

      const byAttempt = SqlSchema.findAll({
        Request: AttemptId,
        Result: Span,
        execute: (id) => sql`SELECT * FROM spans WHERE attempt_id = ${id} ORDER BY sequence_id`
      })
      const byRollout = SqlSchema.findAll({
        Request: RolloutId,
        Result: Span,
        execute: (id) => sql`SELECT * FROM spans WHERE rollout_id = ${id} ORDER BY start_time_us, sequence_id`
      })
      const get = SqlSchema.findOne({
        Request: SpanId,
        Result: Span,
        execute: (id) => sql`SELECT * FROM spans WHERE span_id = ${id}`
      })
      const payload = SqlSchema.findOne({
        Request: Schema.String,
        Result: Schema.Struct({ content: Schema.Uint8ArrayFromSelf }),
        execute: (sha256) => sql`SELECT content FROM payloads WHERE sha256 = ${sha256}`
      })

      return SpanStore.of({
        byAttempt: (id) => orStoreError("reading spans", byAttempt(id)),
        byRollout: (id) => orStoreError("reading spans", byRollout(id)),
        get: (id) => orStoreError("reading a span", get(id)),
        payload: (sha256) =>
          orStoreError("reading a payload", payload(sha256)).pipe(Effect.map(Option.map(({ content }) => content)))
      })
    })
  )
}
