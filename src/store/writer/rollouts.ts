/**
 * The queue: claims, leases, ends. Each claim raises the rollout's epoch; every later write names the epoch it was claimed
 * under and changes nothing when that is no longer the last one, so a worker that wakes up late can do no harm.
 */
import { attemptName } from "../../domain/AttemptName.js"
import { canMoveAttempt, canMoveRollout, type RolloutStatus } from "../../domain/Lifecycle.js"
import { backoffMs, pauseMaxMs } from "./backoff.js"
import type { Db } from "./Database.js"

/** A rollout whose workers died this often ends failed: it is likely what kills them. */
export const crashesMax = 20

/** The last attempt of a rollout named `r`, in SQL: `attemptName` is how its id is made. */
export const lastAttempt = "r.id || ':attempt-' || r.attempts"

export interface Claimed {
  readonly rolloutId: string
  readonly attemptId: string
  readonly attempt: number
  readonly epoch: number
  readonly mode: string
  readonly input: string
  readonly resourcesVersion: number
  readonly resources: string
}

export interface Claim {
  readonly runId: string
  readonly workerId: string
  readonly leaseMs: number
  readonly limit: number
}

/** Takes up to `limit` waiting rollouts in order of priority, due time and position. None while the run is paused. */
export const claim = (db: Db, { leaseMs, limit, runId, workerId }: Claim): ReadonlyArray<Claimed> =>
  claimEach(db, { runId, leaseMs, workerIds: Array.from({ length: limit }, () => workerId) })

export interface ClaimEach {
  readonly runId: string
  readonly leaseMs: number
  readonly workerIds: ReadonlyArray<string>
}

/** The same for several workers: one rollout for each of them in their order, as far as there are that many. */
export const claimEach = (db: Db, { leaseMs, runId, workerIds }: ClaimEach): ReadonlyArray<Claimed> => {
  const rows = db.prepare(
    `SELECT r.id AS rolloutId, r.attempts + 1 AS attempt, r.epoch + 1 AS epoch, r.mode, r.input, r.resources_version AS resourcesVersion,
            (SELECT resources FROM resources WHERE version = r.resources_version) AS resources
     FROM rollouts r
     WHERE r.run_id = ? AND r.status IN ('queuing', 'requeuing') AND r.run_at_ms <= ?
       AND (SELECT desired FROM runs WHERE id = r.run_id) = 'run'
     ORDER BY r.priority DESC, r.run_at_ms, r.ordinal LIMIT ?`
  ).all(runId, db.now, workerIds.length) as ReadonlyArray<Omit<Claimed, "attemptId">>
  return rows.map((row, place) => {
    const workerId = workerIds[place]!
    const attemptId = attemptName(row.rolloutId, row.attempt)
    db.prepare(
      `UPDATE rollouts SET status = 'preparing', epoch = ?, attempts = ?, owner = ?, lease_until_ms = ? WHERE id = ?`
    ).run(row.epoch, row.attempt, workerId, db.now + leaseMs, row.rolloutId)
    db.prepare(
      `INSERT INTO attempts (id, rollout_id, n, epoch, worker_id, status, resources_version, started_at_ms)
       VALUES (?, ?, ?, ?, ?, 'preparing', ?, ?)`
    ).run(attemptId, row.rolloutId, row.attempt, row.epoch, workerId, row.resourcesVersion, db.now)
    return { ...row, attemptId }
  })
}

/** Which claim a write belongs to. */
export interface Fence {
  readonly rolloutId: string
  readonly attemptId: string
  readonly epoch: number
}

/** Why a write was refused, or null when it was carried out. The row stays as it was. */
export type Refusal =
  | { readonly _tag: "LeaseLost"; readonly status: RolloutStatus; readonly epoch: number }
  | { readonly _tag: "IllegalMove"; readonly from: RolloutStatus; readonly to: RolloutStatus }
  | null

const refuse = (db: Db, { epoch, rolloutId }: Fence, to: RolloutStatus): Refusal => {
  const row = db.prepare("SELECT status, epoch FROM rollouts WHERE id = ?").get(rolloutId) as
    | { status: RolloutStatus; epoch: number }
    | undefined
  if (row === undefined) return { _tag: "LeaseLost", status: "cancelled", epoch: 0 }
  const held = row.status === "preparing" || row.status === "running"
  if (row.epoch !== epoch || !held) return { _tag: "LeaseLost", status: row.status, epoch: row.epoch }
  return canMoveRollout(row.status, to) ? null : { _tag: "IllegalMove", from: row.status, to }
}

/** The agent is about to run. */
export const start = (db: Db, fence: Fence): Refusal => {
  const refusal = refuse(db, fence, "running")
  if (refusal !== null) return refusal
  db.prepare("UPDATE rollouts SET status = 'running' WHERE id = ?").run(fence.rolloutId)
  db.prepare("UPDATE attempts SET status = 'running' WHERE id = ?").run(fence.attemptId)
  return null
}

/** How an attempt ends. */
export interface End extends Fence {
  /** Starts the attempt first, should its start not have been written. */
  readonly starts?: boolean
}

export interface Succeed extends End {
  readonly output: string
  readonly score: number | null
  readonly rewards: ReadonlyArray<RewardRow>
}

export interface RewardRow {
  readonly name: string
  readonly value: number
  readonly feedback: string | null
}

/** Attempt, rewards and rollout end in one transaction. */
export const succeed = (db: Db, input: Succeed): Refusal => {
  if (input.starts === true) start(db, input)
  const refusal = refuse(db, input, "succeeded")
  if (refusal !== null) return refusal
  insertRewards(db, input, input.rewards)
  endAttempt(db, input.attemptId, "succeeded", null, null)
  db.prepare(
    `UPDATE rollouts SET status = 'succeeded', owner = NULL, lease_until_ms = NULL, output = ?, score = ?, error = NULL, ended_at_ms = ?
     WHERE id = ?`
  ).run(input.output, input.score, db.now, input.rolloutId)
  return null
}

const insertRewards = (db: Db, { attemptId, rolloutId }: Fence, rewards: ReadonlyArray<RewardRow>) => {
  const insert = db.prepare(
    "INSERT INTO rewards (attempt_id, name, rollout_id, value, feedback, created_at_ms) VALUES (?, ?, ?, ?, ?, ?)"
  )
  for (const { feedback, name, value } of rewards) insert.run(attemptId, name, rolloutId, value, feedback, db.now)
}

export interface Fail extends End {
  readonly status: "failed" | "timeout"
  readonly error: string
  /** What broke it that is not the agent (`broken.ts`). */
  readonly brokenBy: "scorer" | "agent" | null
  readonly stderrTail: string | null
  /** Trying again cannot help. */
  readonly permanent: boolean
  /** Trying again sooner cannot help. No pause is longer than `pauseMaxMs`. */
  readonly pauseMs?: number
  readonly rewards?: ReadonlyArray<RewardRow>
}

/** The attempt failed: the rollout is queued again after a pause, or ends failed when its attempts are used up. */
export const fail = (db: Db, input: Fail): Refusal => {
  if (input.starts === true) start(db, input)
  const row = db.prepare("SELECT failures, attempts_max AS attemptsMax FROM rollouts WHERE id = ?").get(
    input.rolloutId
  ) as
    | { failures: number; attemptsMax: number }
    | undefined
  const failures = (row?.failures ?? 0) + 1
  // A server may ask for a part of a millisecond, which is no time of a column.
  const asked = Math.min(Math.ceil(input.pauseMs ?? 0), pauseMaxMs)
  const isLast = input.permanent || failures >= (row?.attemptsMax ?? 0)
  const refusal = refuse(db, input, isLast ? "failed" : "requeuing")
  if (refusal !== null) return refusal
  insertRewards(db, input, input.rewards ?? [])
  endAttempt(db, input.attemptId, input.status, input.error, input.stderrTail, input.brokenBy)
  db.prepare("UPDATE rollouts SET failures = ?, error = ? WHERE id = ?").run(failures, input.error, input.rolloutId)
  if (isLast) giveUp(db, input.rolloutId)
  else requeue(db, input.rolloutId, db.now + Math.max(backoffMs(input.rolloutId, failures), asked))
  return null
}

/** Why an attempt ended that was handed back. */
export const handedBack = "handed back before it finished; not counted as a failure"

/** Why an attempt ended whose run was cancelled. */
export const cancelledWithRun = "the run was cancelled"

/** Whether an attempt ended so through no failure of its own: such an end has no status of its own. */
export const isNobodysFailure = (error: string | null): boolean => error === handedBack || error === cancelledWithRun

/** Hands a claim back unfinished, at shutdown say: nothing is charged, the rollout is due at once. */
export const release = (db: Db, fence: Fence): Refusal => {
  const refusal = refuse(db, fence, "requeuing")
  if (refusal !== null) return refusal
  endAttempt(db, fence.attemptId, "failed", handedBack, null)
  requeue(db, fence.rolloutId, db.now)
  return null
}

/** The worker itself broke down while it held the claim: counted as a crash, not as a failure of the agent. */
export const abandon = (db: Db, { why, ...fence }: Fence & { readonly why: string }): Refusal => {
  const refusal = refuse(db, fence, "requeuing")
  if (refusal !== null) return refusal
  const { crashes } = db.prepare("SELECT crashes FROM rollouts WHERE id = ?").get(fence.rolloutId) as {
    crashes: number
  }
  requeueCrashed(
    db,
    { id: fence.rolloutId, epoch: fence.epoch, crashes },
    why,
    backoffMs(fence.rolloutId, crashes + 1)
  )
  return null
}

export interface Rescue {
  readonly runId: string
  readonly leaseMs: number
  /** What the caller itself holds. */
  readonly own: ReadonlyArray<HeldLease>
}

/**
 * Puts back the rollouts of a run whose lease ran out. Answers their ids. The caller's own leases are renewed first, in the
 * same instant: after a machine's sleep, or a clock set forward, all leases have run out at once, and the caller lives.
 */
export const rescue = (db: Db, { leaseMs, own, runId }: Rescue): ReadonlyArray<string> => {
  renew(db, own, leaseMs)
  const expired = db.prepare(
    "SELECT id, epoch, crashes FROM rollouts WHERE run_id = ? AND status IN ('preparing', 'running') AND lease_until_ms < ? LIMIT 500"
  ).all(runId, db.now) as ReadonlyArray<HeldRollout>
  for (const rollout of expired) {
    requeueCrashed(db, rollout, "its worker missed its heartbeats", backoffMs(rollout.id, rollout.crashes + 1))
  }
  return expired.map(({ id }) => id)
}

/** A rollout that a worker holds, or held when it died. */
export interface HeldRollout {
  readonly id: string
  readonly epoch: number
  readonly crashes: number
}

export const requeueCrashed = (
  db: Db,
  { crashes, epoch, id }: HeldRollout,
  why: string,
  delayMs: number
): void => {
  const attempt = db.prepare("SELECT id FROM attempts WHERE rollout_id = ? AND epoch = ?").get(id, epoch) as
    | { id: string }
    | undefined
  if (attempt !== undefined) endAttempt(db, attempt.id, "unresponsive", why, null)
  db.prepare("UPDATE rollouts SET crashes = crashes + 1, error = ? WHERE id = ?").run(why, id)
  if (crashes + 1 >= crashesMax) giveUp(db, id)
  else requeue(db, id, db.now + delayMs)
}

/** Cancels whatever is not finished. The epochs rise in the same transaction, so workers are fenced off at once. */
export const cancelRun = (db: Db, { runId }: { readonly runId: string }): number => {
  const live = db.prepare(
    "SELECT a.id FROM rollouts r JOIN attempts a ON a.rollout_id = r.id AND a.epoch = r.epoch WHERE r.run_id = ? AND r.status IN ('preparing', 'running')"
  ).all(runId) as ReadonlyArray<{ id: string }>
  for (const { id } of live) endAttempt(db, id, "failed", cancelledWithRun, null)
  return db.prepare(
    `UPDATE rollouts SET status = 'cancelled', epoch = epoch + 1, owner = NULL, lease_until_ms = NULL, ended_at_ms = ?
     WHERE run_id = ? AND status IN ('queuing', 'requeuing', 'preparing', 'running')`
  ).run(db.now, runId).changes
}

/** A claim as far as renewing it goes. */
export interface HeldLease {
  readonly rolloutId: string
  readonly epoch: number
}

export interface Heartbeat {
  readonly processId: string
  readonly leaseMs: number
  readonly leases: ReadonlyArray<HeldLease>
}

/** Extends all leases of a process in one statement. Answers those still held, `id@epoch`; the others are lost. */
export const heartbeat = (db: Db, { leaseMs, leases, processId }: Heartbeat): ReadonlyArray<string> => {
  db.prepare("UPDATE processes SET heartbeat_at_ms = ? WHERE id = ?").run(db.now, processId)
  db.prepare("UPDATE workers SET heartbeat_at_ms = ? WHERE process_id = ? AND ended_at_ms IS NULL").run(
    db.now,
    processId
  )
  return renew(db, leases, leaseMs)
}

const renew = (db: Db, leases: ReadonlyArray<HeldLease>, leaseMs: number): ReadonlyArray<string> => {
  if (leases.length === 0) return []
  const held = db.prepare(
    `UPDATE rollouts SET lease_until_ms = max(lease_until_ms, ?)
     FROM json_each(?) AS lease
     WHERE rollouts.id = lease.value ->> 'rolloutId' AND rollouts.epoch = lease.value ->> 'epoch'
       AND rollouts.status IN ('preparing', 'running')
     RETURNING rollouts.id || '@' || rollouts.epoch AS lease`
  ).all(db.now + leaseMs, JSON.stringify(leases)) as ReadonlyArray<{ lease: string }>
  return held.map(({ lease }) => lease)
}

const endAttempt = (
  db: Db,
  attemptId: string,
  status: "failed" | "succeeded" | "unresponsive" | "timeout",
  error: string | null,
  stderrTail: string | null,
  brokenBy: Fail["brokenBy"] = null
) => {
  const { status: from } = db.prepare("SELECT status FROM attempts WHERE id = ?").get(attemptId) as {
    status: "preparing" | "running"
  }
  if (!canMoveAttempt(from, status)) throw new Error(`attempt ${attemptId} cannot move from ${from} to ${status}`)
  db.prepare("UPDATE attempts SET status = ?, ended_at_ms = ?, error = ?, stderr_tail = ?, broken_by = ? WHERE id = ?")
    .run(status, db.now, error, stderrTail, brokenBy, attemptId)
}

const requeue = (db: Db, rolloutId: string, runAtMs: number) =>
  db.prepare(
    "UPDATE rollouts SET status = 'requeuing', owner = NULL, lease_until_ms = NULL, run_at_ms = ? WHERE id = ?"
  )
    .run(runAtMs, rolloutId)

/** A failed rollout begins anew, with all its attempts before it. Its crashes stay counted. */
export const retry = (db: Db, rolloutId: string): void => {
  db.prepare(
    `UPDATE rollouts SET status = 'requeuing', failures = 0, run_at_ms = ?, ended_at_ms = NULL
     WHERE id = ? AND status = 'failed'`
  ).run(db.now, rolloutId)
}

const giveUp = (db: Db, rolloutId: string) =>
  db.prepare("UPDATE rollouts SET status = 'failed', owner = NULL, lease_until_ms = NULL, ended_at_ms = ? WHERE id = ?")
    .run(db.now, rolloutId)

/** Puts a run's due times right that an earlier start wrote under a clock that has been set back since. */
export const correctDueTimes = (db: Db, runId: string): void => {
  db.prepare(
    `UPDATE rollouts SET run_at_ms = ? WHERE run_id = ? AND status IN ('queuing', 'requeuing')
       AND run_at_ms > CASE status WHEN 'queuing' THEN ? ELSE ? END`
  ).run(db.now, runId, db.now, db.now + pauseMaxMs)
}
