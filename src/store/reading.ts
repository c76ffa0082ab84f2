import * as Effect from "effect/Effect"
import { StoreError } from "./StoreError.js"

/** A question the database could not answer, or answered with rows we cannot read. */
export const orStoreError = <A, E, R>(
  operation: string,
  read: Effect.Effect<A, E, R>
): Effect.Effect<A, StoreError, R> =>
  Effect.mapError(read, (error) => new StoreError({ operation, reason: "other", detail: String(error) }))
