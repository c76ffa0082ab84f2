import type * as SqlClient from "@effect/sql/SqlClient"
import type * as Statement from "@effect/sql/Statement"
import * as Arr from "effect/Array"
import * as Effect from "effect/Effect"
import * as Schema from "effect/Schema"
import { Resources } from "../domain/Resources.js"
import { orStoreError } from "./reading.js"
import { isDecided } from "./writer/isDecided.js"

/** Versions of the resources, for who writes them and for who only reads; `rest` follows the name of their table. */
export const resourceRows = (sql: SqlClient.SqlClient) => {
  const rows = (rest: Statement.Fragment) =>
    orStoreError("reading resources", Effect.flatMap(sql`SELECT * FROM resources ${rest}`, decoded)).pipe(
      Effect.map((found) => found.map((row) => new Resources({ ...row, isLatest: row.isLatest === 1 })))
    )
  return {
    rows,
    get: (version: number) => Effect.map(rows(sql`WHERE version = ${version}`), Arr.head),
    latest: Effect.map(rows(sql`WHERE is_latest = 1`), Arr.head),
    /** The latest, once a gate or a person has decided that it is: see `useResources`. */
    promoted: Effect.map(rows(sql`WHERE is_latest = 1 AND ${sql.literal(isDecided)}`), Arr.head)
  }
}

/** SQLite keeps booleans as 0 and 1. */
const decoded = Schema.decodeUnknown(
  Schema.Array(Schema.Struct({ ...Resources.fields, isLatest: Schema.Literal(0, 1) }))
)
