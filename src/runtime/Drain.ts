/** The orderly stop: take nothing new, let what is under way finish for a while, hand back the rest. */
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import { Announcer } from "./Announcer.js"
import type { Supervision } from "./Supervisor.js"

/**
 * Runs the work in a fiber of its own. When interrupted, it drains the runners of the tree, for `drainMs` at most, before it
 * stops the work and waits for that. Work that ends during the drain has ended.
 */
export const drainedOnInterrupt = <A, E, R, R2>(
  work: Effect.Effect<A, E, R>,
  tree: Supervision<R2>,
  drainMs: number
) => {
  let handedBack = 0
  const underWay = () => tree.report().filter((actor) => actor.work !== null).length
  const drain = (fiber: Fiber.Fiber<A, E>) =>
    Effect.gen(function*() {
      const announcer = yield* Announcer
      if (underWay() > 0 && drainMs > 0) {
        yield* announcer.say(
          `stopping: ${underWay()} under way may finish within ${drainMs / 1_000} s; a second signal stops at once`
        )
      }
      yield* tree.drain("runners").pipe(
        Effect.raceFirst(Fiber.await(fiber)),
        Effect.interruptible,
        Effect.timeoutOption(drainMs)
      )
      handedBack = underWay()
    })
  return {
    run: Effect.scoped(
      Effect.flatMap(
        Effect.forkScoped(work),
        (fiber) => Effect.onInterrupt(Fiber.join(fiber), () => drain(fiber))
      )
    ),
    /** How many attempts were stopped because their time was up. */
    handedBack: () => handedBack
  }
}
