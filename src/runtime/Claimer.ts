import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import type * as Scope from "effect/Scope"
import type { RunId, WorkerId } from "../domain/Ids.js"
import { type Claim, RolloutQueue } from "../store/RolloutQueue.js"
import type { StoreError } from "../store/StoreError.js"

/** A rollout for a worker, and the monotonic time before the store was asked for it. */
export interface Claimed {
  readonly claim: Claim
  readonly askedAtNanos: bigint
}

/**
 * Claims for workers that are idle at the same time, in one transaction. Who asks while a claim is under way shares the
 * next one; who asked first is served first. Null when nothing was left that is due.
 *
 * Not to be interrupted while it waits: what it would have been given is leased to nobody then.
 */
export type Claimer = (runId: RunId, workerId: WorkerId) => Effect.Effect<Claimed | null, StoreError>

export const claimer = (leaseMs: number): Effect.Effect<Claimer, never, RolloutQueue | Scope.Scope> =>
  Effect.gen(function*() {
    const queue = yield* RolloutQueue
    const someAsked = Effect.unsafeMakeLatch(false)
    let asked: Array<Asked> = []

    /** Those of the run that was asked for first. */
    const take = (): ReadonlyArray<Asked> => {
      const runId = asked[0]?.runId
      const taken = asked.filter((one) => one.runId === runId)
      asked = asked.filter((one) => one.runId !== runId)
      if (asked.length === 0) someAsked.unsafeClose()
      return taken
    }

    const round = Effect.gen(function*() {
      yield* someAsked.await
      // The others whom the same event made idle ask before this goes on.
      yield* Effect.yieldNow()
      const taken = take()
      const [first] = taken
      if (first === undefined) return
      const askedAtNanos = yield* Clock.currentTimeNanos
      const exit = yield* Effect.exit(
        queue.claimEach({ runId: first.runId, leaseMs, workerIds: taken.map(({ workerId }) => workerId) })
      )
      taken.forEach(({ answer }, place) => {
        answer(Exit.map(exit, (claims) => {
          const claim = claims[place]
          return claim === undefined ? null : { claim, askedAtNanos }
        }))
      })
    })
    yield* Effect.forkScoped(Effect.forever(round))

    return (runId, workerId) =>
      Effect.async<Claimed | null, StoreError>((answer) => {
        asked.push({ runId, workerId, answer })
        someAsked.unsafeOpen()
      })
  })

interface Asked {
  readonly runId: RunId
  readonly workerId: WorkerId
  readonly answer: (exit: Exit.Exit<Claimed | null, StoreError>) => void
}
