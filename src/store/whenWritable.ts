import * as Effect from "effect/Effect"
import * as Schedule from "effect/Schedule"
import type { StoreError } from "./StoreError.js"

/**
 * Waits for as long as the store is locked or the disk is full: nothing of the operation was kept, and failing the attempt
 * would throw away work that was paid for. Leases and the completion timeout bound the wait.
 */
export const whenWritable = <A, E extends { readonly _tag: string }, R>(
  write: Effect.Effect<A, E | StoreError, R>
): Effect.Effect<A, E | StoreError, R> =>
  // What works at once, as nearly all does, does not pay for a schedule.
  Effect.catchAll(write, (error) => isPassing(error) ? Effect.delay(again(write), firstPause) : Effect.fail(error))

const again = <A, E extends { readonly _tag: string }, R>(write: Effect.Effect<A, E | StoreError, R>) =>
  Effect.retry(write, { while: isPassing, schedule: pauses })

const isPassing = (error: { readonly _tag: string; readonly reason?: unknown }) =>
  error._tag === "StoreError" && (error.reason === "locked" || error.reason === "full")

const firstPause = "100 millis"
const pauses = Schedule.union(Schedule.exponential("200 millis"), Schedule.spaced("2 seconds"))
