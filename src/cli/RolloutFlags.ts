/** Which rollouts are meant, on the command line. Loads no Effect. */
import { rolloutModes, rolloutStatuses } from "../domain/Lifecycle.js"
import type { RolloutFilter } from "../store/RolloutStore.js"
import type { Flag } from "./flags.js"
import { Mistake, readNumber } from "./FlagValue.js"
import type { GivenFlags } from "./GivenFlags.js"
import { choice, choiceOf, failed, optional, score } from "./ReadingFlags.js"

export const rolloutFlags: ReadonlyArray<Flag> = [
  choice("status", rolloutStatuses, "Only rollouts with this status"),
  failed("Only rollouts that failed: the same as --status failed"),
  choice("mode", rolloutModes, "Only rollouts of this mode"),
  score("min-score", "Only rollouts that scored as much or more"),
  score("max-score", "Only rollouts that scored as much or less")
]

export const readRolloutFilter = (flags: GivenFlags): Omit<RolloutFilter, "runId"> => {
  const status = choiceOf(flags, "status", rolloutStatuses)
  const isFailed = flags.isOn("failed")
  if (isFailed && status !== null && status !== "failed") {
    throw new Mistake(`--failed and --status ${status} exclude each other`)
  }
  return {
    status: isFailed ? "failed" : status,
    mode: choiceOf(flags, "mode", rolloutModes),
    scoreMin: optional(flags, "min-score", readNumber),
    scoreMax: optional(flags, "max-score", readNumber)
  }
}
