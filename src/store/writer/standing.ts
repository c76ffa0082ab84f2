/** Where the store's run stands, as operators see it: what the control verbs decide by, and what `status` reads. */
import type { ControlLifecycle } from "../../domain/Control.js"
import { isUnfinished, type RunStands, type RunState } from "../../domain/Lifecycle.js"
import { isPresent, isStopped } from "./processes.js"

/** A live process that is silent for longer than this, and for longer than three of its heartbeats, is taken to be stuck. */
const silentMs = 15_000

/** Number of the last start of a run, for a query in which `runId` names the run. */
export const latestStart = (runId: string): string => `(SELECT max(n) FROM run_starts WHERE run_id = ${runId})`

/** One row with the start that control verbs are about: the latest one of an unfinished run, else the latest of all. */
export const standingSql = `
SELECT r.id AS runId, r.state, r.desired, r.stop_reason AS stopReason, r.config_path AS configPath,
       r.config_hash AS configHash, r.model_ref AS modelRef,
       coalesce(r.config ->> '$.heartbeat_interval_ms', 1000) AS heartbeatIntervalMs,
       s.command AS restartCommand, s.started_at_ms AS startedAtMs, s.ended_at_ms AS stoppedAtMs,
       p.host, p.pid, p.pid_started AS pidStarted, p.heartbeat_at_ms AS heartbeatAtMs, p.ended_at_ms AS processEndedAtMs
FROM run_starts s JOIN runs r ON r.id = s.run_id JOIN processes p ON p.id = s.process_id
WHERE s.n = ${latestStart("s.run_id")}
ORDER BY r.state IN ('running', 'paused') DESC, s.started_at_ms DESC, r.ordinal DESC LIMIT 1`

export interface StandingRow {
  readonly runId: string
  readonly state: RunState
  readonly desired: "run" | "pause" | "cancel"
  /** Why its last start ended before the run did; null while one works, and where nobody lived to say. */
  readonly stopReason: string | null
  readonly configPath: string
  readonly configHash: string
  readonly modelRef: string
  /** What continues the run, for a shell; null where it was begun by a program. */
  readonly restartCommand: string | null
  readonly heartbeatIntervalMs: number
  readonly startedAtMs: number
  /** When this start of the run was closed; null while it works, and after a crash. */
  readonly stoppedAtMs: number | null
  readonly host: string
  readonly pid: number
  readonly pidStarted: string | null
  readonly heartbeatAtMs: number
  readonly processEndedAtMs: number | null
}

export const lastControlSql =
  "SELECT lifecycle_state AS lifecycleState, at_ms AS atMs FROM control_log ORDER BY n DESC LIMIT 1"

export interface LastControl {
  readonly lifecycleState: ControlLifecycle
  readonly atMs: number
}

/** What decides whether a process works on a run. */
export type Watched = Pick<
  StandingRow,
  | "state"
  | "desired"
  | "stopReason"
  | "stoppedAtMs"
  | "processEndedAtMs"
  | "host"
  | "pid"
  | "pidStarted"
  | "heartbeatAtMs"
>

/** A process works on the run now. */
export const isWorkedOn = (row: Watched, nowMs: number): boolean =>
  isUnfinished(row) && row.stoppedAtMs === null && row.processEndedAtMs === null && isPresent(row, nowMs)

/** Why the process that works on the run is taken to be stuck, in words; null when it is not, or there is none. */
export const silenceOf = (row: StandingRow, nowMs: number): string | null => {
  if (!isWorkedOn(row, nowMs)) return null
  if (isStopped(row)) return `process ${row.pid} is stopped by a signal`
  const silence = nowMs - row.heartbeatAtMs
  return silence > Math.max(silentMs, 3 * row.heartbeatIntervalMs)
    ? `process ${row.pid} has not been heard of for ${Math.round(silence / 1000)} s`
    : null
}

/**
 * The run is unfinished, nobody closed its last start, and the process is not there any more. A run that was cancelled has
 * nothing left to recover: whoever starts a run or cancels again closes it.
 */
export const hasCrashed = (row: Watched, nowMs: number): boolean =>
  isUnfinished(row) && row.desired !== "cancel" && row.stoppedAtMs === null && !isWorkedOn(row, nowMs)

export const standsAs = (row: Watched, nowMs: number): RunStands => {
  if (!isUnfinished(row)) return row.state
  if (row.desired === "cancel" && !isWorkedOn(row, nowMs)) return "cancelled"
  if (hasCrashed(row, nowMs)) return "crashed"
  if (row.desired === "pause") return "paused"
  return isWorkedOn(row, nowMs) ? "running" : "stopped"
}

/** The same as a run's state in the status file, which has no other words for what time, an error or a signal stopped. */
export const statusStateOf = ({ desired, state, stopReason }: Watched): RunState => {
  if (!isUnfinished({ state })) return state
  if (desired === "pause") return "paused"
  return stopReason === "completion_timeout" || stopReason === "error" ? "failed" : state
}

/** The last verb decides, until a run is started after it; what an unfinished run was told to do is never contradicted. */
export const lifecycleOf = (row: StandingRow | undefined, last: LastControl | undefined): ControlLifecycle => {
  const verb = last !== undefined && (row === undefined || last.atMs >= row.startedAtMs)
    ? last.lifecycleState
    : "running"
  if (row === undefined || !isUnfinished(row) || verb === "rollback_requested") return verb
  return row.desired === "run" ? "running" : row.desired === "pause" ? "paused" : "cancelled"
}
