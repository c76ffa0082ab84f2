import * as SqlClient from "@effect/sql/SqlClient"
import * as SqlSchema from "@effect/sql/SqlSchema"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import type * as Option from "effect/Option"
import * as Schema from "effect/Schema"
import { RunId } from "../domain/Ids.js"
import type { Resources, ResourceValues } from "../domain/Resources.js"
import { canonicalJson } from "./canonicalJson.js"
import { orStoreError } from "./reading.js"
import { resourceRows } from "./resourceRows.js"
import type { StoreError } from "./StoreError.js"
import { Writer } from "./Writer.js"

/** Versions of what agents are given. A version never changes; exactly one is the latest. */
export class ResourceStore extends Context.Tag("tau/store/ResourceStore")<ResourceStore, {
  /** Values known already keep their version; new ones become the next version and the latest. Answers the version. */
  readonly publish: (values: ResourceValues, author: string) => Effect.Effect<number, StoreError>
  readonly get: (version: number) => Effect.Effect<Option.Option<Resources>, StoreError>
  readonly latest: Effect.Effect<Option.Option<Resources>, StoreError>
  /** The latest, once a gate or a person has decided that it is. */
  readonly promoted: Effect.Effect<Option.Option<Resources>, StoreError>
  /**
   * The versions after this one that no config gave: a search published them. And those before it that this run promoted, whose
   * texts an earlier search had tried. Oldest first.
   */
  readonly promotedAfter: (
    version: number,
    runId: RunId
  ) => Effect.Effect<ReadonlyArray<{ readonly version: number; readonly isLatest: boolean }>, StoreError>
  /** All versions, oldest first. */
  readonly list: Effect.Effect<ReadonlyArray<Resources>, StoreError>
}>() {
  static readonly layer = Layer.effect(
    ResourceStore,
    Effect.gen(function*() {
      const sql = yield* SqlClient.SqlClient
      const writer = yield* Writer
      const { get, latest, promoted, rows } = resourceRows(sql)

      const promotedAfter = SqlSchema.findAll({
        Request: Schema.Struct({ version: Schema.Int, runId: RunId }),
        Result: Schema.Struct({ version: Schema.Int, isLatest: Schema.Literal(0, 1) }),
        execute: ({ runId, version }) =>
          // A candidate that nobody promoted is no news to anybody but its search.
          sql`SELECT version, is_latest FROM resources
              WHERE version > ${version} AND author <> 'config'
                AND (version IN (SELECT version FROM promotions)
                     OR version NOT IN (SELECT resources_version FROM search_candidates WHERE resources_version IS NOT NULL))
                OR version IN (SELECT version FROM promotions WHERE run_id = ${runId})
              ORDER BY version`
      })

      return ResourceStore.of({
        publish: (values, author) => writer.run("publishResources", { resources: canonicalJson(values), author }),
        get,
        latest,
        promoted,
        promotedAfter: (version, runId) =>
          orStoreError("reading resources", promotedAfter({ version, runId })).pipe(
            Effect.map((rows) => rows.map((row) => ({ version: row.version, isLatest: row.isLatest === 1 })))
          ),
        list: rows(sql`ORDER BY version`)
      })
    })
  )
}
