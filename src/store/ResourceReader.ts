import * as SqlClient from "@effect/sql/SqlClient"
import * as Arr from "effect/Array"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import type * as Option from "effect/Option"
import { unfinishedStates } from "../domain/Lifecycle.js"
import type { Resources } from "../domain/Resources.js"
import { type Page, pageOf, type PageRequest } from "./Page.js"
import { resourceRows } from "./resourceRows.js"
import type { StoreError } from "./StoreError.js"

/** Versions of the resources for reading, without a writer. */
export class ResourceReader extends Context.Tag("tau/store/ResourceReader")<ResourceReader, {
  readonly get: (version: number) => Effect.Effect<Option.Option<Resources>, StoreError>
  readonly latest: Effect.Effect<Option.Option<Resources>, StoreError>
  /** Those that the unfinished run of this config was begun with, which is what the config's command goes on with. */
  readonly ofUnfinished: (configHash: string) => Effect.Effect<Option.Option<Resources>, StoreError>
  /** Newest first; ids of these pages are versions. */
  readonly page: (request: PageRequest) => Effect.Effect<Page<Resources>, StoreError>
}>() {
  static readonly layer = Layer.effect(
    ResourceReader,
    Effect.gen(function*() {
      const sql = yield* SqlClient.SqlClient
      const { get, latest, rows } = resourceRows(sql)
      return ResourceReader.of({
        get,
        latest,
        ofUnfinished: (configHash) =>
          Effect.map(
            rows(
              sql`WHERE version = (SELECT resources_version FROM runs
                WHERE ${sql.in("state", unfinishedStates)} AND desired <> 'cancel' AND config_hash = ${configHash}
                ORDER BY ordinal DESC LIMIT 1)`
            ),
            Arr.head
          ),
        page: ({ after, limit }) => {
          const before = after === null ? Number.MAX_SAFE_INTEGER : Number(after)
          return Effect.map(
            rows(sql`WHERE version < ${before} ORDER BY version DESC LIMIT ${limit + 1}`),
            (found) => pageOf(found, limit, ({ version }) => String(version))
          )
        }
      })
    })
  )
}
