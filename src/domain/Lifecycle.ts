/**
 * The state machines, as tables: which move each noun may make. Plain data, so that the store's worker thread can enforce
 * them without loading anything. A move to the same state is a no-op and always allowed.
 */
export const rolloutMoves = {
  queuing: ["preparing", "running", "cancelled", "requeuing"],
  preparing: ["running", "failed", "cancelled", "requeuing"],
  running: ["succeeded", "failed", "cancelled", "requeuing"],
  requeuing: ["preparing", "running", "cancelled"],
  failed: ["requeuing", "cancelled"],
  succeeded: [],
  cancelled: []
} as const

export type RolloutStatus = keyof typeof rolloutMoves

export const attemptMoves = {
  preparing: ["running", "failed", "succeeded", "unresponsive", "timeout"],
  running: ["failed", "succeeded", "unresponsive", "timeout"],
  failed: [],
  succeeded: [],
  unresponsive: [],
  timeout: []
} as const

export type AttemptStatus = keyof typeof attemptMoves

export const canMoveRollout = (from: RolloutStatus, to: RolloutStatus): boolean =>
  from === to || (rolloutMoves[from] as ReadonlyArray<RolloutStatus>).includes(to)

export const canMoveAttempt = (from: AttemptStatus, to: AttemptStatus): boolean =>
  from === to || (attemptMoves[from] as ReadonlyArray<AttemptStatus>).includes(to)

/**
 * How a recorded call ended, as the client saw it. `open` is under way; `unknown_after_crash` was under way when its
 * process died.
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
