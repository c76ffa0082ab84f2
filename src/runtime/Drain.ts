/** The orderly stop: take nothing new, let what is under way finish for a while, hand back the rest. */
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import { Announcer } from "./Announcer.js"
import type { Supervision } from "./Supervisor.js"

/** What became of the attempts that were under way at the interruption. */
export interface Stop {
  /** How many there were. */
  readonly underWay: () => number
  /** How many of them were stopped because their time was up; null where the work ended before that, and nobody counted. */
  readonly handedBack: () => number | null
}

/**
 * Runs the work in a fiber of its own. When interrupted, it drains the runners of the tree, for `drainMs` at most, before it
 * stops the work and waits for that. Work that ends during the drain has ended.
 */
export const drainedOnInterrupt = <A, E, R, R2>(
  work: Effect.Effect<A, E, R>,
  tree: Supervision<R2>,
  drainMs: number
) => {
  let begun = 0
  let handedBack: number | null = 0
  const underWay = () => tree.report().filter((actor) => actor.work !== null).length
  const drain = (fiber: Fiber.Fiber<A, E>) =>
    Effect.gen(function*() {
      const announcer = yield* Announcer
      begun = underWay()
      if (begun > 0 && drainMs > 0) {
        yield* announcer.say(
          `stopping: ${begun} under way may finish within ${drainMs / 1_000} s; a second signal stops at once`
        )
      }
      const hasEnded = yield* Effect.as(tree.drain("runners"), false).pipe(
        Effect.raceFirst(Effect.as(Fiber.await(fiber), true)),
        Effect.interruptible,
        Effect.timeoutTo({ duration: drainMs, onTimeout: () => false, onSuccess: (ended) => ended })
      )
      handedBack = hasEnded ? null : underWay()
    })
  return {
    run: Effect.scoped(
      Effect.flatMap(
        Effect.forkScoped(work),
        (fiber) => Effect.onInterrupt(Fiber.join(fiber), () => drain(fiber))
      )
    ),
    underWay: () => begun,
    handedBack: () => handedBack
  }
}
