/** How a run is closed: what its files and the store say of how it ended. */
import * as Cause from "effect/Cause"
import * as Exit from "effect/Exit"
import type { RunState } from "../store/RunStore.js"
import type { Ending } from "./Ending.js"

export interface Closing {
  /** What the status file and the summary say. */
  readonly runState: RunState
  /** What the store says: `running` and `paused` are resumed by the same command. */
  readonly storedState: RunState
  readonly stoppedReason: string | null
}

/** `wasOutage`: every rollout has ended, but too many of them for want of their model or their scorer. */
export const closingOf = (exit: Exit.Exit<Ending, unknown>, succeeded: number, wasOutage: boolean): Closing => {
  if (Exit.isFailure(exit)) {
    return Cause.isInterruptedOnly(exit.cause)
      ? { runState: "paused", storedState: "paused", stoppedReason: "signal" }
      : resumable("error")
  }
  switch (exit.value) {
    case "timed-out":
      return resumable("completion_timeout")
    case "cancelled":
      return { runState: "cancelled", storedState: "cancelled", stoppedReason: "cancelled" }
    case "finished": {
      if (wasOutage) return resumable("error")
      const runState = succeeded > 0 ? "completed" : "failed"
      return { runState, storedState: runState, stoppedReason: null }
    }
  }
}

/** Told as failed, and gone on with by the same command all the same. */
const resumable = (stoppedReason: string): Closing => ({ runState: "failed", storedState: "running", stoppedReason })
