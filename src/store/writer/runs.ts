import { hash } from "node:crypto"
import { isUnfinished, type RunState } from "../../domain/Lifecycle.js"
import type { RolloutMode } from "../../domain/Rollout.js"
import { retryBroken, retrySilent } from "./broken.js"
import type { Db } from "./Database.js"
import { markDeadProcesses, recoverRun } from "./processes.js"
import { useResources } from "./resources.js"
import { cancelRun, correctDueTimes } from "./rollouts.js"
import { allCounted } from "./runCounts.js"

export interface BeginRun {
  readonly configHash: string
  readonly config: string
  readonly configPath: string
  readonly modelRef: string
  readonly processId: string
  /** Canonical JSON of the config's resources, or null to run under the latest version. */
  readonly resources: string | null
  readonly rollouts: ReadonlyArray<{ readonly mode: RolloutMode; readonly input: string }>
  readonly attemptsMax: number
  /** What a person types to start it again. */
  readonly command: string | null
}

export interface BegunRun {
  readonly runId: string
  readonly resourcesVersion: number
  /** 1 for a new run; each resume counts one more. */
  readonly start: number
  readonly total: number
  /** Rollouts that earlier starts finished; they are not run again. */
  readonly finishedBefore: number
  /** Rollouts that a dead process held, put back in the queue. */
  readonly requeued: number
  /** Rollouts that the start before stopped at, since their model was away say: put back with all their attempts before them. */
  readonly retried: number
  /** Calls that were under way when the process of the start before died. */
  readonly unknownCalls: number
  /** Unfinished runs of other configs in this store, newest first. */
  readonly otherUnfinished: ReadonlyArray<{ readonly id: string; readonly configPath: string }>
}

/**
 * Resumes the newest unfinished run of the same config, or makes a new run with all its rollouts. One transaction: a crash
 * leaves either no run or a whole one. The caller holds the store's run lock, so whatever is still leased is a dead
 * process's.
 */
export const beginRun = (db: Db, input: BeginRun): BegunRun => {
  const now = db.now
  markDeadProcesses(db, input.processId)
  // A cancel that nobody lived to carry out is carried out now: what was given up is not taken up again.
  for (
    const { id } of db.prepare("SELECT id FROM runs WHERE state IN ('running', 'paused') AND desired = 'cancel'")
      .all() as ReadonlyArray<{ id: string }>
  ) {
    cancelRun(db, { runId: id })
    db.prepare("UPDATE runs SET state = 'cancelled', stop_reason = 'cancelled', ended_at_ms = ? WHERE id = ?").run(
      now,
      id
    )
  }
  const earlier = db.prepare(
    "SELECT id, resources_version AS v FROM runs WHERE state IN ('running', 'paused') AND config_hash = ? ORDER BY ordinal DESC LIMIT 1"
  ).get(input.configHash) as { id: string; v: number } | undefined
  const run = earlier ?? createRun(db, input)
  const requeued = earlier === undefined ? 0 : recoverRun(db, run.id)
  const retried = earlier === undefined ? 0 : retryBroken(db, run.id)
  if (earlier !== undefined) retrySilent(db, run.id)
  correctDueTimes(db, run.id)
  db.prepare("UPDATE runs SET state = 'running', desired = 'run', stop_reason = NULL, ended_at_ms = NULL WHERE id = ?")
    .run(run.id)

  const { finished, total } = db.prepare(
    `SELECT coalesce(sum(${allCounted}), 0) AS total,
            coalesce(sum(succeeded + failed + cancelled), 0) AS finished FROM run_counts WHERE run_id = ?`
  ).get(run.id) as { finished: number; total: number }
  const { n } = db.prepare("SELECT coalesce(max(n), 0) + 1 AS n FROM run_starts WHERE run_id = ?").get(run.id) as {
    n: number
  }
  const unknownCalls = unknownCallsOfStart(db, run.id, n - 1)
  db.prepare(
    `INSERT INTO run_starts (run_id, n, process_id, started_at_ms, finished_before, requeued, unknown_calls, command)
     VALUES (?, ?, ?, ?, ?, ?, ?, ?)`
  ).run(run.id, n, input.processId, now, finished, requeued, unknownCalls, input.command)
  const otherUnfinished = db.prepare(
    `SELECT id, config_path AS configPath FROM runs
     WHERE state IN ('running', 'paused') AND id <> ? ORDER BY ordinal DESC LIMIT 10`
  ).all(run.id) as BegunRun["otherUnfinished"]
  return {
    runId: run.id,
    resourcesVersion: run.v,
    start: n,
    total,
    finishedBefore: finished,
    requeued,
    retried,
    unknownCalls,
    otherUnfinished
  }
}

/** Whoever opened the store first after the process had died marked them: a control verb, say, or a proxy. */
const unknownCallsOfStart = (db: Db, runId: string, n: number): number => {
  const { calls } = db.prepare(
    // Both conditions on the state: the first is that of the index.
    `SELECT count(*) AS calls FROM spans
     WHERE (state NOT IN ('open', 'done') OR status_code >= 400) AND state = 'unknown_after_crash'
       AND process_id = (SELECT process_id FROM run_starts WHERE run_id = ? AND n = ?)`
  ).get(runId, n) as { calls: number }
  return calls
}

const createRun = (db: Db, input: BeginRun): { readonly id: string; readonly v: number } => {
  const version = useResources(db, input.resources, "config")
  const { ordinal } = db.prepare("SELECT coalesce(max(ordinal), 0) + 1 AS ordinal FROM runs").get() as {
    ordinal: number
  }
  const id = `run-${String(ordinal).padStart(4, "0")}-${input.configHash.slice(0, 6)}`
  db.prepare(
    `INSERT INTO runs (id, ordinal, state, config_hash, config, config_path, model_ref, resources_version, created_at_ms)
     VALUES (?, ?, 'running', ?, ?, ?, ?, ?, ?)`
  ).run(id, ordinal, input.configHash, input.config, input.configPath, input.modelRef, version, db.now)
  const insert = db.prepare(
    `INSERT INTO rollouts (id, run_id, mode, ordinal, status, input, input_sha256, resources_version, run_at_ms, attempts_max, created_at_ms)
     VALUES (?, ?, ?, ?, 'queuing', ?, ?, ?, ?, ?, ?)`
  )
  const counts: Partial<Record<RolloutMode, number>> = {}
  for (const [position, rollout] of input.rollouts.entries()) {
    const n = counts[rollout.mode] = (counts[rollout.mode] ?? 0) + 1
    const sha256 = hash("sha256", rollout.input, "hex")
    const rolloutId = `${id}-${rollout.mode}-${String(n).padStart(4, "0")}`
    insert.run(rolloutId, id, rollout.mode, position, rollout.input, sha256, version, db.now, input.attemptsMax, db.now)
  }
  return { id, v: version }
}

export interface EndRun {
  readonly runId: string
  readonly processId: string
  readonly state: RunState
  /** Why it stopped when it did not run to its end: `signal`, `completion_timeout`, `error`. Null when it did. */
  readonly stopReason: string | null
}

/** A run that stops early keeps a state that the same command resumes. */
export const endRun = (db: Db, { processId, runId, state, stopReason }: EndRun): null => {
  db.prepare("UPDATE runs SET state = ?, stop_reason = ?, ended_at_ms = ? WHERE id = ?")
    .run(state, stopReason, isUnfinished({ state }) ? null : db.now, runId)
  db.prepare("UPDATE run_starts SET ended_at_ms = ?, end_reason = ? WHERE run_id = ? AND process_id = ?")
    .run(db.now, stopReason ?? state, runId, processId)
  return null
}
