/** The orderly stop: take nothing new, let what is under way finish for a while, hand back the rest. */
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import { attemptName } from "../domain/AttemptName.js"
import { AttemptId } from "../domain/Ids.js"
import { Announcer } from "./Announcer.js"
import type { Supervision } from "./Supervisor.js"

/**
 * Runs the work in a fiber of its own. When interrupted, it drains the runners of the tree, for `drainMs` at most, before it
 * stops the work and waits for that. Work that ends during the drain has ended. `underWay` are the attempts that were under way
 * at the interruption.
 */
export const drainedOnInterrupt = <A, E, R, R2>(
  work: Effect.Effect<A, E, R>,
  tree: Supervision<R2>,
  drainMs: number
) => {
  let underWay: ReadonlyArray<AttemptId> = []
  const drain = (fiber: Fiber.Fiber<A, E>) =>
    Effect.gen(function*() {
      const announcer = yield* Announcer
      underWay = tree.report().flatMap(({ work }) =>
        work === null ? [] : [AttemptId.make(attemptName(work.rolloutId, work.attempt))]
      )
      if (underWay.length > 0 && drainMs > 0) {
        yield* announcer.say(
          `stopping: ${underWay.length} under way may finish within ${drainMs / 1_000} s; a second signal stops at once`
        )
      }
      yield* tree.drain("runners").pipe(
        Effect.raceFirst(Fiber.await(fiber)),
        Effect.interruptible,
        Effect.timeoutOption(drainMs)
      )
    })
  return {
    run: Effect.scoped(
      Effect.flatMap(
        Effect.forkScoped(work),
        (fiber) => Effect.onInterrupt(Fiber.join(fiber), () => drain(fiber))
      )
    ),
    underWay: () => underWay
  }
}
