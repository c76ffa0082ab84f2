import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"

/**
 * Runs an effect in a fiber of its own and, should we be interrupted, waits until all of it has stopped. A race or a
 * timeout alone lets go at once and leaves its parts to be stopped when the fiber around them ends: too late for a caller
 * who hands back a claim next.
 */
export const inOwnFiber = <A, E, R>(effect: Effect.Effect<A, E, R>): Effect.Effect<A, E, R> =>
  Effect.scoped(Effect.flatMap(Effect.forkScoped(effect), Fiber.join))
