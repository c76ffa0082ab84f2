import * as Effect from "effect/Effect"

/** Sets the wall clock of this process, forward or back, until the scope closes. The monotonic clock goes on as it did. */
export const setWallClock = (byMs: number) =>
  Effect.acquireRelease(
    Effect.sync(() => {
      const { now } = Date
      Date.now = () => now() + byMs
      return now
    }),
    (now) =>
      Effect.sync(() => {
        Date.now = now
      })
  )
