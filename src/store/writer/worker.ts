/**
 * The writer thread: the one connection of this process that writes.
 *
 * It takes batches of requests and commits each batch as one transaction, so that many callers share one fsync and no
 * commit and no lock wait ever blocks the event loop. Loads no Effect: it must start at once.
 */
import { parentPort } from "node:worker_threads"
import { AttributionLog, takeNoted } from "./AttributionLog.js"
import { sweepBegun } from "./begunCalls.js"
import { Checkpoints } from "./Checkpoints.js"
import { type Db, open } from "./Database.js"
import { codeOf, failureOf } from "./failures.js"
import { FileHeader } from "./FileHeader.js"
import { type OperationName, operations } from "./operations.js"
import type {
  Batch,
  Committed,
  Failure,
  FromWriter,
  LogState,
  Outcome,
  SentOutcome,
  SentRequest,
  ToWriter,
  WriterData
} from "./protocol.js"
import { cleanSpan, recordBy } from "./recorded.js"
import { type AskedSpan, forgetRequests, readAhead } from "./requestsAhead.js"
import { spanOf } from "./SpanRow.js"
import { type FinishedSpan, forgetPrepared, prepareSpan, type SpanIntent } from "./spans.js"
import { StoreClock } from "./StoreClock.js"
import { StoreFiles } from "./StoreFiles.js"

const port = parentPort!
const clock = new StoreClock(() => performance.now())

/** Longest total wait for a lock that another process holds, and the longest single pause between tries. */
const lockedMaxMs = 5_000
const pauseMaxMs = 25

const main = ({ attributionLogPath, bytesMax, path, recording, storingSince }: WriterData) => {
  if (recording !== null) recordBy(recording)
  let db: Db
  let checkpoints: Checkpoints
  let files: StoreFiles
  let log: AttributionLog | null
  try {
    db = open(path, bytesMax)
    // Node aborts a process that exits while SQLite waits within a thread, once SQLite gives up: waiting is for `begin`.
    db.connection.pragma("busy_timeout = 0")
    checkpoints = new Checkpoints(db, path)
    files = new StoreFiles(path, () => checkpoints.logBytes, new FileHeader(path))
    log = attributionLogPath === null ? null : new AttributionLog(attributionLogPath)
  } catch (error) {
    say({ _tag: "refused", failure: failureOf(error) })
    return
  }
  const storing = (isAtIt: boolean) => void Atomics.store(storingSince, 0, isAtIt ? process.hrtime.bigint() : 0n)
  port.on("message", (message: ToWriter) => {
    if (message === "close") {
      void checkpoints.close().then(() => {
        close(db)
        port.close()
      })
      return
    }
    if ("asked" in message) {
      const asked = JSON.parse(message.asked) as AskedSpan
      cleanSpan(asked)
      readAhead(asked, new Uint8Array(message.bytes))
      say("read")
      return
    }
    const requests = unpack(message)
    const { lost } = files
    if (lost !== null) {
      // The log alone, whole still: the database is where it was.
      if (lost.file !== path && lost.how !== "cut short") saveLog(db)
      const failure: Failure = { reason: "gone", message: `${lost.file} was ${lost.how} while in use` }
      forgetRequests(message.forgotten)
      committed(requests.map(() => ({ ok: false, failure })), log?.state ?? noLog)
      return
    }
    // Unpacking, parsing and hashing take their time outside the transaction: other processes wait for its lock.
    for (const { bodies, input, operation } of requests) {
      if (operation === "openSpan" || operation === "closeSpan") cleanSpan(input as SpanIntent | FinishedSpan)
      if (operation === "closeSpan") prepareSpan(input as FinishedSpan, bodies)
    }
    storing(true)
    syncing(db, requests.some(({ operation }) => operation !== "openSpan"))
    const outcomes = commit(db, requests)
    forgetPrepared()
    forgetRequests(message.forgotten)
    const lines = takeNoted()
    log?.append(lines)
    // The other thread may be too busy to hear of it for long: that is not the store's time.
    storing(false)
    committed(outcomes, log?.state ?? noLog)
    // Callers have their answer: what the log needs is nobody's wait but that of the next batch.
    storing(true)
    checkpoints.afterCommit(message.bytes?.byteLength ?? 0)
    storing(false)
    // Notes that were read of are taken away only now that their rows are committed.
    if (requests.some(({ operation }) => operation === "startProcess")) sweepBegun(db)
  })
  say({ _tag: "ready" })
}

interface Request {
  readonly operation: OperationName
  readonly input: unknown
  readonly nowMs: number
  readonly bodies: ReadonlyArray<Uint8Array>
}

const unpack = ({ bytes, requests }: Batch): ReadonlyArray<Request> => {
  let offset = 0
  return (JSON.parse(requests) as ReadonlyArray<SentRequest>).map(([operation, input, nowMs, ...sizes]) => ({
    operation,
    input: operation === "closeSpan" ? spanOf(input as ReadonlyArray<never>) : input,
    nowMs,
    bodies: sizes.map((size) => {
      offset += size
      return new Uint8Array(bytes!, offset - size, size)
    })
  }))
}

const say = (message: FromWriter) => port.postMessage(message)

const committed = (outcomes: ReadonlyArray<Outcome>, log: LogState) => {
  const sent: Array<SentOutcome> = []
  for (const outcome of outcomes) sent.push(outcome.ok ? [outcome.value] : outcome.failure)
  say(JSON.stringify([sent, log] satisfies Committed))
}

const noLog: LogState = { lost: 0, failure: null }

let isSyncing = true

/**
 * The intent of a call is there for a process that is killed, and the operating system keeps what such a one has written. Only
 * a machine that loses its power may lose it, with a call that nobody has seen the end of: no fsync of its own is worth that.
 */
const syncing = (db: Db, wanted: boolean) => {
  if (wanted === isSyncing) return
  db.connection.pragma(`synchronous = ${wanted ? "FULL" : "NORMAL"}`)
  isSyncing = wanted
}

/** All requests in one transaction. Should one fail, all are rolled back and run again, each in a savepoint of its own. */
const commit = (db: Db, requests: ReadonlyArray<Request>): ReadonlyArray<Outcome> => {
  try {
    return transaction(db, () => requests.map((request) => ({ ok: true, value: execute(db, request) })))
  } catch (error) {
    takeNoted()
    if (requests.length === 1 || isFatal(error)) {
      const failure = failureOf(error)
      return requests.map(() => ({ ok: false, failure }))
    }
  }
  try {
    return transaction(db, () => requests.map((request) => inSavepoint(db, () => execute(db, request))))
  } catch (error) {
    takeNoted()
    const failure = failureOf(error)
    return requests.map(() => ({ ok: false, failure }))
  }
}

const execute = (db: Db, request: Request): unknown => {
  db.now = clock.at(request.nowMs)
  const operation = operations[request.operation] as (
    db: Db,
    input: unknown,
    bodies: ReadonlyArray<Uint8Array>
  ) => unknown
  return operation(db, request.input, request.bodies)
}

const transaction = <A>(db: Db, body: () => A): A => {
  begin(db)
  try {
    const value = body()
    db.prepare("COMMIT").run()
    return value
  } catch (error) {
    if (db.connection.inTransaction) db.prepare("ROLLBACK").run()
    throw error
  }
}

/** BEGIN IMMEDIATE: a deferred transaction that upgrades from reading to writing fails at once, whatever the timeout. */
const begin = (db: Db) => {
  const deadline = performance.now() + lockedMaxMs
  for (let pauseMs = 1;; pauseMs = Math.min(pauseMs * 2, pauseMaxMs)) {
    try {
      db.prepare("BEGIN IMMEDIATE").run()
      return
    } catch (error) {
      if (codeOf(error).startsWith("SQLITE_BUSY") === false || performance.now() > deadline) throw error
      pause(pauseMs * (0.5 + Math.random()))
    }
  }
}

const sleeper = new Int32Array(new SharedArrayBuffer(4))
const pause = (ms: number) => void Atomics.wait(sleeper, 0, 0, ms)

const inSavepoint = (db: Db, body: () => unknown): Outcome => {
  db.prepare("SAVEPOINT request").run()
  try {
    const value = body()
    db.prepare("RELEASE request").run()
    return { ok: true, value }
  } catch (error) {
    if (isFatal(error) || !db.connection.inTransaction) throw error
    db.prepare("ROLLBACK TO request").run()
    db.prepare("RELEASE request").run()
    return { ok: false, failure: failureOf(error) }
  }
}

/** These take the whole transaction with them: running the requests again one by one would fail the same way. */
const isFatal = (error: unknown) =>
  /^SQLITE_(FULL|IOERR|CORRUPT|NOTADB|READONLY|CANTOPEN|NOMEM|BUSY)/.test(codeOf(error))

/** What was committed to a log that nobody finds any more is still open here: the database gets it before this process may die. */
const saveLog = (db: Db) => {
  try {
    db.connection.pragma("busy_timeout = 100")
    db.connection.pragma("wal_checkpoint(FULL)")
  } catch {
    // A reader of the log is in the way, say: the next request tries again, and so does a clean stop.
  }
}

/** A clean stop leaves one file, with nothing in the write-ahead log that could be lost with it. */
const close = (db: Db) => {
  try {
    db.connection.pragma("busy_timeout = 100")
    db.connection.pragma("wal_checkpoint(TRUNCATE)")
  } catch {
    // A full disk, say: the log stays beside the store and is read at the next start.
  } finally {
    db.connection.close()
  }
}

port.once("message", main)
