import * as Effect from "effect/Effect"
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
