/** Waits until a run is over, one way or the other. */
import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import * as Schedule from "effect/Schedule"
import { counted } from "../domain/Figures.js"
import type { RunId } from "../domain/Ids.js"
import { RolloutQueue } from "../store/RolloutQueue.js"
import { RunStore } from "../store/RunStore.js"
import { whenWritable } from "../store/whenWritable.js"
import { Announcer } from "./Announcer.js"

export interface EndingOptions {
  readonly runId: RunId
  readonly completionPollIntervalMs: number
  /** Time the run may take, not counting pauses. */
  readonly completionTimeoutSecs: number
  /** Time worked so far: given from outside, it goes on where it stood when the wait has to begin anew. */
  readonly worked?: { ms: number }
  /** Whether nothing more will be enqueued: a search decides that as it goes. */
  readonly isOver?: () => boolean
  /** Told of every change of mind. */
  readonly onDesired?: (desired: "pause" | "resume") => void
}

/** `finished`: every rollout is. `timed-out`: time is up. `cancelled`: somebody asked for it, and it is done. */
export type Ending = "finished" | "timed-out" | "cancelled"

/**
 * Asks the store again and again: what control verbs of other processes want is written there. A run that is paused takes
 * no new work, because claiming refuses, and its clock stands still.
 */
export const awaitEnding = (
  { completionPollIntervalMs, completionTimeoutSecs, isOver = () => true, onDesired, runId, worked = { ms: 0 } }:
    EndingOptions
) =>
  Effect.gen(function*() {
    const announcer = yield* Announcer
    const queue = yield* RolloutQueue
    const runs = yield* RunStore
    let lastMs = yield* monotonicMs
    let isPaused = false
    while (true) {
      // Asked first: what a search enqueues before it is over, the look at the store sees.
      const over = isOver()
      const outlook = yield* Effect.retry(runs.outlook(runId), readRetries)
      if (outlook.desired === "cancel") {
        yield* whenWritable(queue.cancel(runId))
        const { cancelled } = yield* runs.progress(runId)
        yield* announcer.say(`cancelled on request: ${counted(cancelled, "unfinished rollout")} will not run`)
        return "cancelled" satisfies Ending as Ending
      }
      if (over && outlook.isFinished) return "finished"

      const nowMs = yield* monotonicMs
      if (!isPaused) worked.ms += nowMs - lastMs
      lastMs = nowMs
      if (worked.ms >= completionTimeoutSecs * 1_000) return "timed-out"

      if (isPaused !== (outlook.desired === "pause")) {
        isPaused = !isPaused
        onDesired?.(isPaused ? "pause" : "resume")
        yield* announcer.say(
          isPaused
            ? `paused on request: no new rollouts start, ${(yield* runs.progress(runId)).active} under way will finish`
            : "resumed on request"
        )
      }
      yield* Effect.sleep(completionPollIntervalMs)
    }
  })

const monotonicMs = Effect.map(Clock.currentTimeNanos, (nanos) => Number(nanos / 1_000n) / 1_000)

const readRetries = { times: 5, schedule: Schedule.spaced("200 millis") }
