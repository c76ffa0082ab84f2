/** The rules by which a store's run is healthy or not, and what an operator is alerted of. Plain functions. */
import { continuing } from "../domain/CommandText.js"
import { counted } from "../domain/Figures.js"
import { isUnfinished } from "../domain/Lifecycle.js"
import type { Standing as RunAndMode, StandingRun } from "../store/RunStanding.js"
import type { Alert, Standing, Training } from "./Payloads.js"

/** What the rules look at. */
export interface Facts {
  readonly training: Training
  /** Null when there is no store. */
  readonly standing: RunAndMode | null
  readonly queueDepth: number
  readonly failureStreak: number
  /** Rollouts that ended, over all runs. */
  readonly processed: number
  readonly audited: number
}

/** So many failed attempts in a row are no accident. */
const failingStreak = 3

/** Health, and whether a rollout may be made: `pass` only where all is well and nobody paused the run. */
export const standingOf = (facts: Facts): Standing => {
  const { audited, failureStreak, processed, queueDepth, standing } = facts
  const run = standing?.run ?? null
  const [state, reason] = judged(facts, run)
  return {
    health_state: state,
    health_reason: reason,
    rollout_gate: state === "healthy" && !isPaused(facts) ? "pass" : "hold",
    control_mode: controlModeOf(facts),
    queue_depth: queueDepth,
    failure_streak: failureStreak,
    last_cycle_failed: run?.failed ?? 0,
    last_cycle_completed: run === null ? 0 : run.succeeded + run.failed + run.cancelled,
    processed_case_count: processed,
    control_audit_count: audited
  }
}

/** What the store says: the status file follows it a moment later, and is all that is known only where the store has no run. */
const controlModeOf = ({ standing, training }: Facts): Standing["control_mode"] =>
  (standing?.run ?? null) === null && training.run_state === "paused" ? "paused" : standing?.lifecycleState ?? "running"

/** A run stays paused through a rollback. */
const isPaused = (facts: Facts): boolean => {
  const run = facts.standing?.run
  return controlModeOf(facts) === "paused" || (run?.desired === "pause" && isUnfinished(run))
}

/** With the end that it has for who has changed the file: nothing of a dashboard reads it. */
const continuedBy = ({ configPath, restartCommand }: StandingRun): string =>
  `${continuing(configPath, restartCommand)}, or begins another run where that file has changed since`

/** What ends the pause: no verb starts a process, and one that finds no unfinished run leaves the store paused all the same. */
const pauseWords = (run: StandingRun | null): string => {
  if (run === null || !isUnfinished(run)) {
    return "the store is paused, and has no unfinished run; the start of a run ends the pause"
  }
  return run.isLive
    ? "an operator paused the run; resume lets it go on"
    : `an operator paused ${run.id}, and no process works on it; ${continuedBy(run)}`
}

const judged = (
  { failureStreak, training }: Facts,
  run: StandingRun | null
): readonly [Standing["health_state"], string] => {
  const whose = whoseOf(run)
  if (failureStreak >= failingStreak) return ["failing", `the last ${failureStreak} attempts${whose} did not succeed`]
  if (run === null && !training.status_present) return ["unknown", "no run has been made yet"]
  if (run?.hasCrashed === true) return ["degraded", `the process of ${run.id} died`]
  if (run?.silence != null) return ["degraded", `${run.id} seems stuck: ${run.silence}`]
  if (failureStreak > 0) return ["degraded", `the last attempt${whose} did not succeed`]
  const failed = run?.failed ?? training.failed
  if (failed > 0) return ["degraded", `${counted(failed, "rollout")}${whose} failed`]
  return ["healthy", run === null ? "nothing is wrong" : `nothing is wrong with ${run.id}`]
}

/** The run that the figures are of need not be the one of the status file: an unfinished one comes before those after it. */
const whoseOf = (run: StandingRun | null): string => run === null ? "" : ` of ${run.id}`

/** All that fire; one that says so when none does. */
export const alertsOf = (facts: Facts): ReadonlyArray<Alert> => {
  const { failureStreak, queueDepth, standing, training } = facts
  const run = standing?.run ?? null
  const { health_state } = standingOf(facts)
  const whose = whoseOf(run)
  const failed = run?.failed ?? training.failed
  const alerts: ReadonlyArray<Alert | false> = [
    run === null && !training.status_present && {
      code: "dashboard_state_missing",
      severity: "warning",
      message: "there is neither a run in the store nor a status file beside it"
    },
    run?.hasCrashed === true && {
      code: "dashboard_run_crashed",
      severity: "critical",
      message: `the process of ${run.id} died; ${continuedBy(run)}`
    },
    run?.silence != null && { code: "dashboard_run_stuck", severity: "critical", message: `${run.id}: ${run.silence}` },
    (failed > 0 || failureStreak > 0) && {
      code: "dashboard_training_failures",
      severity: health_state === "failing" ? "critical" : "warning",
      message: failureStreak > 0
        ? `${counted(failed, "rollout")}${whose} failed; attempts without success in a row: ${failureStreak}`
        : `${counted(failed, "rollout")}${whose} failed`
    },
    queueDepth > 0 && {
      code: "dashboard_queue_backlog",
      severity: run?.isLive === true ? "info" : "warning",
      message: run?.isLive === true
        ? `${counted(queueDepth, "rollout waits", "rollouts wait")} for a worker`
        : `${counted(queueDepth, "rollout waits", "rollouts wait")}, and no process works on the run`
    },
    isPaused(facts) && {
      code: "dashboard_operator_pause_active",
      severity: "info",
      message: pauseWords(run)
    }
  ]
  const fired = alerts.filter((alert) => alert !== false)
  return fired.length > 0
    ? fired
    : [{ code: "dashboard_healthy", severity: "info", message: "nothing needs an operator" }]
}
