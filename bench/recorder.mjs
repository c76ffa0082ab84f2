// The thread of server.mjs's `committed`: one row for each call of a group, bodies as they came, one commit for the group.
import Sqlite from "better-sqlite3"
import { parentPort, workerData } from "node:worker_threads"

const { checkpoints, file } = workerData
const connection = new Sqlite(file)
connection.pragma("journal_mode = WAL")
connection.pragma("synchronous = FULL")
connection.pragma("wal_autocheckpoint = 0")
if (checkpoints) setInterval(() => connection.pragma("wal_checkpoint(PASSIVE)"), 200)
else {
  connection.exec(
    "CREATE TABLE call (id INTEGER PRIMARY KEY, started_us INTEGER, ended_us INTEGER, request BLOB, answer BLOB)"
  )
  const insert = connection.prepare("INSERT INTO call (started_us, ended_us, request, answer) VALUES (?, ?, ?, ?)")
  const [begin, commit] = ["BEGIN", "COMMIT"].map((sql) => connection.prepare(sql))
  parentPort.on("message", ({ lengths, packed }) => {
    const bytes = Buffer.from(packed)
    begin.run()
    for (let at = 0, from = 0; at < lengths.length; at += 4) {
      const middle = from + lengths[at + 2]
      const end = middle + lengths[at + 3]
      insert.run(lengths[at], lengths[at + 1], bytes.subarray(from, middle), bytes.subarray(middle, end))
      from = end
    }
    commit.run()
    parentPort.postMessage(null)
  })
}
