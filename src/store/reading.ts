import type * as SqlClient from "@effect/sql/SqlClient"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import { StoreError } from "./StoreError.js"
import { failureOf } from "./writer/failures.js"

/** A question the database could not answer, or answered with rows we cannot read. */
export const orStoreError = <A, E, R>(
  operation: string,
  read: Effect.Effect<A, E, R>
): Effect.Effect<A, StoreError, R> =>
  Effect.mapError(read, (error) => {
    // What SQLite said is inside of what the client makes of it.
    const { message, reason } = failureOf((error as { readonly cause?: unknown } | null)?.cause ?? error)
    return new StoreError({ operation, reason, detail: message })
  })

/** Questions that see the store as it was at the first of them. */
export const ofOneMoment = <A, E, R>(sql: SqlClient.SqlClient, read: Effect.Effect<A, E, R>) =>
  Effect.suspend(() => {
    let failure = Option.none<E>()
    const noted = Effect.tapError(read, (error) => Effect.sync(() => failure = Option.some(error)))
    // Where the disk fails, SQLite ends the transaction, and the client dies of ending it again: what failed is the news.
    return Effect.catchSomeDefect(sql.withTransaction(noted), () => Option.map(failure, Effect.fail))
  })
