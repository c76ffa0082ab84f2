import * as SqlClient from "@effect/sql/SqlClient"
import * as SqlSchema from "@effect/sql/SqlSchema"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Schema from "effect/Schema"
import { orStoreError } from "./reading.js"
import type { StoreError } from "./StoreError.js"

const ClientKey = Schema.Struct({
  id: Schema.String,
  name: Schema.String,
  scope: Schema.String,
  createdAtMs: Schema.Number,
  expiresAtMs: Schema.NullOr(Schema.Number),
  revokedAtMs: Schema.NullOr(Schema.Number),
  lastUsedAtMs: Schema.NullOr(Schema.Number)
})

/** A key that clients of the proxy show, as it may be told: its secret is known to its holder only. */
export type ClientKey = typeof ClientKey.Type

/** The keys by which a proxy knows its clients, for reading, without a writer. */
export class ClientKeyReader extends Context.Tag("tau/store/ClientKeyReader")<ClientKeyReader, {
  /** All that ever were, the oldest first. */
  readonly list: Effect.Effect<ReadonlyArray<ClientKey>, StoreError>
}>() {
  static readonly layer = Layer.effect(
    ClientKeyReader,
    Effect.gen(function*() {
      const sql = yield* SqlClient.SqlClient
      const list = SqlSchema.findAll({
        Request: Schema.Void,
        Result: ClientKey,
        execute: () => sql`SELECT * FROM client_keys ORDER BY created_at_ms, id`
      })
      return ClientKeyReader.of({ list: orStoreError("reading client keys", list(undefined)) })
    })
  )
}
