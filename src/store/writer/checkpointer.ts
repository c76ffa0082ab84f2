/** The checkpoint thread: copies the write-ahead log into the database while the writer thread goes on committing. */
import Sqlite from "better-sqlite3"
import { parentPort, workerData } from "node:worker_threads"

const port = parentPort!
const connection = new Sqlite(workerData as string, { fileMustExist: true, timeout: 0 })
connection.pragma("synchronous = FULL")

port.on("message", () => {
  try {
    connection.pragma("wal_checkpoint(PASSIVE)")
  } catch {
    // A full disk or a busy file: the log stays as it is, and the next request tries again.
  }
  port.postMessage(null)
})
