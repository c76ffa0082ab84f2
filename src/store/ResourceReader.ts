import * as SqlClient from "@effect/sql/SqlClient"
import * as SqlSchema from "@effect/sql/SqlSchema"
import * as Arr from "effect/Array"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import type * as Option from "effect/Option"
import * as Schema from "effect/Schema"
import { hash } from "node:crypto"
import { RunId } from "../domain/Ids.js"
import { unfinishedStates } from "../domain/Lifecycle.js"
import type { Resources, ResourceValues } from "../domain/Resources.js"
import { canonicalJson } from "./canonicalJson.js"
import { type Page, pageOf, type PageRequest } from "./Page.js"
import { orStoreError } from "./reading.js"
import { resourceRows } from "./resourceRows.js"
import type { StoreError } from "./StoreError.js"

/** The run that promoted a version last; where none did, the first that was begun under it. */
const Origin = Schema.Struct({ runId: RunId, configPath: Schema.String, isPromoted: Schema.Literal(0, 1) })

/** Versions of the resources for reading, without a writer. */
export class ResourceReader extends Context.Tag("tau/store/ResourceReader")<ResourceReader, {
  readonly get: (version: number) => Effect.Effect<Option.Option<Resources>, StoreError>
  readonly latest: Effect.Effect<Option.Option<Resources>, StoreError>
  /** Those that the unfinished run of this config was begun with, which is what the config's command goes on with. */
  readonly ofUnfinished: (configHash: string) => Effect.Effect<Option.Option<Resources>, StoreError>
  /** The latest, once a gate or a person has decided that it is. */
  readonly promoted: Effect.Effect<Option.Option<Resources>, StoreError>
  readonly origin: (version: number) => Effect.Effect<Option.Option<typeof Origin.Type>, StoreError>
  /** Whether a version has these values, or was searched for from them. */
  readonly descends: (version: number, values: ResourceValues) => Effect.Effect<boolean, StoreError>
  /** Newest first; ids of these pages are versions. */
  readonly page: (request: PageRequest) => Effect.Effect<Page<Resources>, StoreError>
}>() {
  static readonly layer = Layer.effect(
    ResourceReader,
    Effect.gen(function*() {
      const sql = yield* SqlClient.SqlClient
      const { get, latest, promoted, rows } = resourceRows(sql)

      const origin = SqlSchema.findOne({
        Request: Schema.Int,
        Result: Origin,
        execute: (version) =>
          sql`SELECT id AS run_id, config_path, is_promoted FROM (
                SELECT run_id AS id, 1 AS is_promoted, -n AS place FROM promotions WHERE version = ${version}
                UNION ALL SELECT id, 0, ordinal FROM runs WHERE resources_version = ${version}
              ) JOIN runs USING (id) ORDER BY is_promoted DESC, place LIMIT 1`
      })

      const descends = (version: number, sha256: string) =>
        // What was the latest when a config gave its own is not what that was made from.
        sql`WITH RECURSIVE line AS (
              SELECT * FROM resources WHERE version = ${version}
              UNION SELECT r.* FROM line JOIN resources r ON r.version = line.parent_version WHERE line.author <> 'config'
            ) SELECT 1 FROM line WHERE sha256 = ${sha256}`

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
        promoted,
        origin: (version) => orStoreError("reading resources", origin(version)),
        descends: (version, values) =>
          orStoreError("reading resources", descends(version, hash("sha256", canonicalJson(values), "hex"))).pipe(
            Effect.map(Arr.isNonEmptyReadonlyArray)
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
