/** Puts back the rollouts that nobody holds any more: their lease ran out. */
import * as Effect from "effect/Effect"
import type { RunId } from "../domain/Ids.js"
import { RolloutQueue } from "../store/RolloutQueue.js"
import { Announcer } from "./Announcer.js"
import { Leases } from "./Leases.js"

/**
 * Looks once per heartbeat, after it: a machine that slept longer than a lease renews what it still holds before anything
 * is taken from it.
 */
export const rescuer = (runId: RunId) =>
  Effect.gen(function*() {
    const announcer = yield* Announcer
    const leases = yield* Leases
    const queue = yield* RolloutQueue
    const rescue = Effect.gen(function*() {
      yield* leases.renewed
      const ids = yield* queue.rescue(runId)
      if (ids.length > 0) yield* announcer.say(`put back, after missed heartbeats: ${ids.join(", ")}`)
    })
    return yield* Effect.forever(rescue)
  })
