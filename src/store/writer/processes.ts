/** Which tau processes use the store, and what a dead one leaves behind. */
import { hostname } from "node:os"
import { openBegun } from "./begunCalls.js"
import { begunFilesOf, type BegunNames, begunNames } from "./begunNotes.js"
import type { Db } from "./Database.js"
import { isAlive, pidStarted, statOf } from "./pids.js"
import { type HeldRollout, requeueCrashed } from "./rollouts.js"

/** A process on another host is presumed dead after this silence: several heartbeats. */
const silentMaxMs = 60_000

export interface ProcessStart {
  readonly id: string
  readonly pid: number
  /** `run`, `proxy` or another word for what the process does. */
  readonly kind: string
}

/** Registers this process and settles what dead ones left open. Answers how many of their calls ended unknown. */
export const startProcess = (db: Db, { id, kind, pid }: ProcessStart): number => {
  db.prepare(
    "INSERT INTO processes (id, host, pid, pid_started, kind, started_at_ms, heartbeat_at_ms) VALUES (?, ?, ?, ?, ?, ?, ?)"
  ).run(id, hostname(), pid, pidStarted(pid), kind, db.now, db.now)
  const listed = begunNames(db.connection.name)
  return settleNoted(db, listed) + markDeadProcesses(db, id, listed)
}

/**
 * Whoever closed the entry of a dead process may not have been able to read what it had noted of its calls: another user, or
 * another host. The notes are there until somebody can.
 */
const settleNoted = (db: Db, listed: BegunNames): number => {
  let unknownCalls = 0
  for (const { processId } of begunFilesOf(listed)) {
    const entry = db.prepare(`${entries} WHERE id = ?`).get(processId) as Entry | undefined
    if (entry !== undefined && !isPresent(entry, db.now)) {
      unknownCalls += closeEntry(db, processId, entry.heartbeatAtMs, listed)
    }
  }
  return unknownCalls
}

export const heartbeatProcess = (db: Db, { id }: { readonly id: string }): null => {
  // Whoever was taken for dead and is not comes back with its next heartbeat.
  db.prepare("UPDATE processes SET heartbeat_at_ms = ?, ended_at_ms = NULL WHERE id = ?").run(db.now, id)
  return null
}

/** Closes the entry of a process and whatever it left open. Answers how many of its calls ended unknown. */
export const endProcess = (db: Db, { id }: { readonly id: string }): number =>
  closeEntry(db, id, db.now, begunNames(db.connection.name))

/** Nobody knows when a call ended that its process did not live to record: it was under way when that was last heard of. */
const closeEntry = (db: Db, id: string, lastHeardOfMs: number, listed: BegunNames): number => {
  openBegun(db, id, listed)
  db.prepare("UPDATE processes SET ended_at_ms = coalesce(ended_at_ms, ?) WHERE id = ?").run(db.now, id)
  db.prepare("UPDATE workers SET ended_at_ms = ? WHERE process_id = ? AND ended_at_ms IS NULL").run(db.now, id)
  return db.prepare(
    `UPDATE spans SET state = 'unknown_after_crash', end_time_us = max(start_time_us, ?)
     WHERE process_id = ? AND state = 'open'`
  ).run(lastHeardOfMs * 1000, id).changes
}

/** Calls that are over, of a process that lives: what it could not record of their ends, nobody will tell any more. */
export const giveUpSpans = (db: Db, { spanIds }: { readonly spanIds: ReadonlyArray<string> }): null => {
  const giveUp = db.prepare(
    `UPDATE spans SET state = 'unknown_after_crash', end_time_us = max(start_time_us, ?)
     WHERE span_id = ? AND state = 'open'`
  )
  for (const spanId of spanIds) giveUp.run(db.now * 1000, spanId)
  return null
}

export const markDeadProcesses = (db: Db, self: string, known?: BegunNames): number => {
  const dead = openEntries(db).filter((entry) => entry.id !== self && !isPresent(entry, db.now))
  if (dead.length === 0) return 0
  const listed = known ?? begunNames(db.connection.name)
  return dead.reduce((calls, { heartbeatAtMs, id }) => calls + closeEntry(db, id, heartbeatAtMs, listed), 0)
}

/** The entries of processes that have not ended theirs: of those that run, and of those that died. */
export const openEntries = (db: Pick<Db, "prepare">) =>
  db.prepare(`${entries} WHERE ended_at_ms IS NULL`).all() as ReadonlyArray<Entry>

const entries = "SELECT id, kind, host, pid, pid_started AS pidStarted, heartbeat_at_ms AS heartbeatAtMs FROM processes"

type Entry = ProcessEntry & { readonly id: string; readonly kind: string }

export interface ProcessEntry {
  readonly host: string
  readonly pid: number
  readonly pidStarted: string | null
  readonly heartbeatAtMs: number
}

/**
 * Whether a process that has not ended its entry is presumed to be there still. On this host its pid decides, together
 * with when the pid's process began where the system tells: pids are used again, in containers at every start.
 */
export const isPresent = ({ heartbeatAtMs, host, pid, pidStarted: started }: ProcessEntry, nowMs: number): boolean => {
  if (host !== hostname()) return nowMs - heartbeatAtMs <= silentMaxMs
  return isAlive(pid) && (started === null || started === pidStarted(pid))
}

/** Puts back every rollout of the run that is still leased. Only for a caller who knows that no holder can be alive. */
export const recoverRun = (db: Db, runId: string): number => {
  const held = db.prepare(
    "SELECT id, epoch, crashes FROM rollouts WHERE run_id = ? AND status IN ('preparing', 'running')"
  ).all(runId) as ReadonlyArray<HeldRollout>
  for (const rollout of held) requeueCrashed(db, rollout, "its process died", 0)
  return held.length
}

/** Whether a signal or a debugger keeps the process from running, where the system tells. */
export const isStopped = ({ host, pid }: Pick<ProcessEntry, "host" | "pid">): boolean =>
  host === hostname() && /^[Tt]$/.test(statOf(pid)?.[0] ?? "")
