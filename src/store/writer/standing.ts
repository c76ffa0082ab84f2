/** Where the store's run stands, as operators see it: what the control verbs decide by, and what `status` reads. */
import type { ControlLifecycle } from "../../domain/Control.js"
import { isPresent } from "./processes.js"

/** One row with the start that control verbs are about: the latest one of an unfinished run, else the latest of all. */
export const standingSql = `
SELECT r.id AS runId, r.state, r.desired, r.config_path AS configPath,
       s.started_at_ms AS startedAtMs, s.ended_at_ms AS stoppedAtMs,
       p.host, p.pid, p.pid_started AS pidStarted, p.heartbeat_at_ms AS heartbeatAtMs, p.ended_at_ms AS processEndedAtMs
FROM run_starts s JOIN runs r ON r.id = s.run_id JOIN processes p ON p.id = s.process_id
WHERE s.n = (SELECT max(n) FROM run_starts WHERE run_id = s.run_id)
ORDER BY r.state IN ('running', 'paused') DESC, s.started_at_ms DESC, r.ordinal DESC LIMIT 1`

export interface StandingRow {
  readonly runId: string
  readonly state: "running" | "paused" | "completed" | "failed" | "cancelled"
  readonly desired: "run" | "pause" | "cancel"
  readonly configPath: string
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

export const isUnfinished = ({ state }: Pick<StandingRow, "state">): boolean =>
  state === "running" || state === "paused"

/** A process works on the run now. */
export const isWorkedOn = (row: StandingRow, nowMs: number): boolean =>
  isUnfinished(row) && row.stoppedAtMs === null && row.processEndedAtMs === null && isPresent(row, nowMs)

/** The run is unfinished, nobody closed its last start, and the process is not there any more. */
export const hasCrashed = (row: StandingRow, nowMs: number): boolean =>
  isUnfinished(row) && row.stoppedAtMs === null && !isWorkedOn(row, nowMs)

/** The last verb decides, until a run is started after it; what an unfinished run was told to do is never contradicted. */
export const lifecycleOf = (row: StandingRow | undefined, last: LastControl | undefined): ControlLifecycle => {
  const verb = last !== undefined && (row === undefined || last.atMs >= row.startedAtMs)
    ? last.lifecycleState
    : "running"
  if (row === undefined || !isUnfinished(row) || verb === "rollback_requested") return verb
  return row.desired === "run" ? "running" : row.desired === "pause" ? "paused" : "cancelled"
}
