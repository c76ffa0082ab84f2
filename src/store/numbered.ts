/** Logs whose rows are numbered by the store and never changed: read from a row on, or from the end. */
import type * as SqlClient from "@effect/sql/SqlClient"
import * as SqlSchema from "@effect/sql/SqlSchema"
import type * as Effect from "effect/Effect"
import * as Schema from "effect/Schema"
import { orStoreError } from "./reading.js"
import type { StoreError } from "./StoreError.js"

export interface Numbered<A> {
  /** Up to `limit` rows after row `n`, oldest first. */
  readonly after: (n: number, limit: number) => Effect.Effect<ReadonlyArray<A>, StoreError>
  /** The last rows, newest first. */
  readonly last: (limit: number) => Effect.Effect<ReadonlyArray<A>, StoreError>
}

/** `operation` is what a failure to read is called. */
export const numbered = <A, I>(
  sql: SqlClient.SqlClient,
  { operation, row, table }: {
    readonly table: "control_log" | "run_events"
    readonly row: Schema.Schema<A, I>
    readonly operation: string
  }
): Numbered<A> => {
  const after = SqlSchema.findAll({
    Request: Schema.Struct({ n: Schema.Int, limit: Schema.Int }),
    Result: row,
    execute: ({ limit, n }) => sql`SELECT * FROM ${sql(table)} WHERE n > ${n} ORDER BY n LIMIT ${limit}`
  })
  const last = SqlSchema.findAll({
    Request: Schema.Int,
    Result: row,
    execute: (limit) => sql`SELECT * FROM ${sql(table)} ORDER BY n DESC LIMIT ${limit}`
  })
  return {
    after: (n, limit) => orStoreError(operation, after({ n, limit })),
    last: (limit) => orStoreError(operation, last(limit))
  }
}
