/** Puts back the rollouts that nobody holds any more: their lease ran out. */
import * as Effect from "effect/Effect"
import type { RunId } from "../domain/Ids.js"
import { whenWritable } from "../store/whenWritable.js"
import { Announcer } from "./Announcer.js"
import { Leases } from "./Leases.js"

/** Looks once per heartbeat, after it. Takes nothing from this process itself, not even after a sleep of the machine. */
export const rescuer = (runId: RunId) =>
  Effect.gen(function*() {
    const announcer = yield* Announcer
    const leases = yield* Leases
    const rescue = Effect.gen(function*() {
      yield* leases.renewed
      const ids = yield* whenWritable(leases.rescue(runId))
      if (ids.length > 0) yield* announcer.say(`put back, after missed heartbeats: ${ids.join(", ")}`)
    })
    return yield* Effect.forever(rescue)
  })
