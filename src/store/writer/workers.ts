/** The workers of runs, as rows: `heartbeat` of the queue says that they are there. */
import type { Db } from "./Database.js"

export interface WorkerStart {
  readonly workerId: string
  readonly processId: string
  readonly runId: string
}

export const startWorker = (db: Db, { processId, runId, workerId }: WorkerStart): null => {
  db.prepare("INSERT INTO workers (id, process_id, run_id, started_at_ms, heartbeat_at_ms) VALUES (?, ?, ?, ?, ?)")
    .run(workerId, processId, runId, db.now, db.now)
  return null
}

export const endWorker = (db: Db, { workerId }: { readonly workerId: string }): null => {
  db.prepare("UPDATE workers SET ended_at_ms = ? WHERE id = ? AND ended_at_ms IS NULL").run(db.now, workerId)
  return null
}
