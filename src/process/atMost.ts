import type * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import type * as Option from "effect/Option"

/**
 * Waits in a finalizer for a bounded time; none when that was over first. In a fiber that is nobody's child: each interruption of
 * a fiber goes on to its children, also while it cannot be interrupted itself, so that a second one would end a plain timeout
 * at once, and the finalizer half-way.
 */
export const atMost = <A, E, R>(
  limit: Duration.DurationInput,
  wait: Effect.Effect<A, E, R>
): Effect.Effect<Option.Option<A>, E, R> =>
  Effect.flatMap(Effect.forkDaemon(Effect.timeoutOption(Effect.interruptible(wait), limit)), Fiber.join)
