import * as SqlClient from "@effect/sql/SqlClient"
import * as SqlSchema from "@effect/sql/SqlSchema"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Option from "effect/Option"
import * as Schema from "effect/Schema"
import type { Resources } from "../domain/Resources.js"
import { type Page, pageOf, type PageRequest } from "./Page.js"
import { orStoreError } from "./reading.js"
import { fromRow, Row } from "./ResourceStore.js"
import type { StoreError } from "./StoreError.js"

/** Versions of the resources for reading, without a writer. */
export class ResourceReader extends Context.Tag("tau/store/ResourceReader")<ResourceReader, {
  readonly get: (version: number) => Effect.Effect<Option.Option<Resources>, StoreError>
  readonly latest: Effect.Effect<Option.Option<Resources>, StoreError>
  /** Newest first; ids of these pages are versions. */
  readonly page: (request: PageRequest) => Effect.Effect<Page<Resources>, StoreError>
}>() {
  static readonly layer = Layer.effect(
    ResourceReader,
    Effect.gen(function*() {
      const sql = yield* SqlClient.SqlClient
      const get = SqlSchema.findOne({
        Request: Schema.Int,
        Result: Row,
        execute: (version) => sql`SELECT * FROM resources WHERE version = ${version}`
      })
      const latest = SqlSchema.findOne({
        Request: Schema.Void,
        Result: Row,
        execute: () => sql`SELECT * FROM resources WHERE is_latest = 1`
      })
      const page = SqlSchema.findAll({
        Request: Schema.Struct({ before: Schema.Number, limit: Schema.Int }),
        Result: Row,
        execute: ({ before, limit }) =>
          sql`SELECT * FROM resources WHERE version < ${before} ORDER BY version DESC LIMIT ${limit}`
      })
      return ResourceReader.of({
        get: (version) => orStoreError("reading resources", get(version)).pipe(Effect.map(Option.map(fromRow))),
        latest: orStoreError("reading resources", latest()).pipe(Effect.map(Option.map(fromRow))),
        page: ({ after, limit }) =>
          orStoreError(
            "reading resources",
            page({ before: after === null ? Number.MAX_SAFE_INTEGER : Number(after), limit: limit + 1 })
          ).pipe(Effect.map((rows) => pageOf(rows.map(fromRow), limit, ({ version }) => String(version))))
      })
    })
  )
}
