/**
 * What the nouns can be, and the state machines as tables of which moves each may make. Plain data, so that the store's worker
 * thread and the command line can use it without loading anything.
 */

export const runStates = ["running", "paused", "completed", "failed", "cancelled"] as const
/** What the store says of a run: an unfinished one is `running` or `paused` there also when nothing works on it. */
export type RunState = typeof runStates[number]

/** States that a run may still leave. */
export const unfinishedStates = ["running", "paused"] as const satisfies ReadonlyArray<RunState>

/** Whether the store has the run for one that goes on, whatever works on it. */
export const isUnfinished = ({ state }: { readonly state: RunState }): boolean =>
  (unfinishedStates as ReadonlyArray<RunState>).includes(state)

/** How a run stands, as everybody is told: an unfinished one is `running` or `paused` only as far as that is so. */
export const runStands = ["running", "paused", "stopped", "crashed", "completed", "failed", "cancelled"] as const
export type RunStands = typeof runStands[number]

export const rolloutModes = ["train", "val", "test"] as const

export const rolloutStatuses = [
  "queuing",
  "preparing",
  "running",
  "failed",
  "succeeded",
  "cancelled",
  "requeuing"
] as const
export type RolloutStatus = typeof rolloutStatuses[number]

const rolloutMoves: Readonly<Record<RolloutStatus, ReadonlyArray<RolloutStatus>>> = {
  queuing: ["preparing", "running", "cancelled", "requeuing"],
  preparing: ["running", "failed", "cancelled", "requeuing"],
  running: ["succeeded", "failed", "cancelled", "requeuing"],
  requeuing: ["preparing", "running", "cancelled"],
  failed: ["requeuing", "cancelled"],
  succeeded: [],
  cancelled: []
}

/** A move to the same state is a no-op and always allowed. */
export const canMoveRollout = (from: RolloutStatus, to: RolloutStatus): boolean =>
  from === to || rolloutMoves[from].includes(to)

export const attemptStatuses = ["preparing", "running", "failed", "succeeded", "unresponsive", "timeout"] as const
export type AttemptStatus = typeof attemptStatuses[number]

const attemptMoves: Readonly<Record<AttemptStatus, ReadonlyArray<AttemptStatus>>> = {
  preparing: ["running", "failed", "succeeded", "unresponsive", "timeout"],
  running: ["failed", "succeeded", "unresponsive", "timeout"],
  failed: [],
  succeeded: [],
  unresponsive: [],
  timeout: []
}

/** As of a rollout: a move to the same status is always allowed. */
export const canMoveAttempt = (from: AttemptStatus, to: AttemptStatus): boolean =>
  from === to || attemptMoves[from].includes(to)

/** What an operator may ask of a run. */
export const controlVerbs = ["status", "pause", "resume", "cancel", "rollback"] as const

/** `llm` and `embedding` are model calls; everything else is `http`. */
export const spanKinds = ["llm", "embedding", "http"] as const

/**
 * How a recorded call ended, as the client saw it. `open` is under way; `unknown_after_crash` was under way when its
 * process died, or when the store could not take its end.
 */
export const spanStates = [
  "open",
  "done",
  "client_cancel",
  "upstream_cut",
  "upstream_error",
  "timeout",
  "refused",
  "unknown_after_crash"
] as const

/** What the usage of recorded calls can be told by. */
export const usageGroups = ["model", "day", "session", "role", "run", "key"] as const
export type UsageGroup = typeof usageGroups[number]
