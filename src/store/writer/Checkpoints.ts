import type { Statement } from "better-sqlite3"
import { Worker } from "node:worker_threads"
import type { Db } from "./Database.js"
import { LogRoom } from "./LogRoom.js"

/** Frames (4 KiB pages) in the log that are not in the database yet, at which the thread is asked to copy them. */
const behindMax = 1_000
/** Length of the log at which the writer copies the few frames left itself, so that the log starts over. */
const restartAt = 8_000
/** As long as this only when the thread cannot keep up or is gone: it is not waited for. */
const alarmAt = 16_384
/** Commits after which the log's length is looked at; one that wrote much is looked at at once. */
const lookEvery = 8
const muchBytes = 1024 * 1024
/** What SQLite writes before the log and before each of its pages. */
const logHeaderBytes = 32
const frameHeaderBytes = 24
/** A reader can keep the log from starting over for as long as it reads: copying again at every commit would not help. */
const copyEveryMs = 100

/**
 * Keeps the write-ahead log short without making an answer wait for it. An automatic checkpoint runs inside some commit and
 * holds up everybody in its group for as long as it takes; here a thread of its own does the copying. The log can only
 * start over when it is copied whole, which never happens beside a busy writer: then the writer copies the rest.
 */
export class Checkpoints {
  private readonly length: Statement
  private thread: Worker | null = null
  private isUnderWay = false
  private copiedAt = Number.NEGATIVE_INFINITY
  private unseen = 0
  private readonly room: LogRoom
  private readonly frameBytes: number

  constructor(private readonly db: Db, private readonly path: string) {
    this.room = new LogRoom(path)
    this.frameBytes = db.connection.pragma("page_size", { simple: true }) as number + frameHeaderBytes
    // Tells the log's length and copies nothing (SQLite 3.51).
    this.length = db.connection.prepare("PRAGMA wal_checkpoint(NOOP)")
  }

  /** How far the log reaches: its file may be longer. 0 where that cannot be told. */
  get logBytes(): number {
    try {
      return this.bytesOf((this.length.get() as { readonly log: number }).log)
    } catch {
      return 0
    }
  }

  private bytesOf(frames: number): number {
    return frames > 0 ? logHeaderBytes + frames * this.frameBytes : 0
  }

  /** `bytes` is about what the commit wrote. */
  afterCommit(bytes: number): void {
    this.unseen += 1
    if (this.unseen < lookEvery && bytes < muchBytes) return
    this.unseen = 0
    const { checkpointed, log } = this.length.get() as { readonly log: number; readonly checkpointed: number }
    if (log < restartAt) this.room.keep(this.bytesOf(log))
    if (this.isUnderWay && log < alarmAt) return
    if (log < restartAt) {
      if (log - checkpointed >= behindMax) this.ask()
    } else if (performance.now() - this.copiedAt > copyEveryMs) {
      this.copy()
      this.copiedAt = performance.now()
    }
  }

  /** Copies what is left: the truncation that ends a clean stop does so under the write lock, for which others would wait. */
  async close(): Promise<void> {
    await this.thread?.terminate()
    this.copy()
  }

  private copy() {
    try {
      this.db.connection.pragma("wal_checkpoint(PASSIVE)")
    } catch {
      // The commit is safe in the log; the next one tries again.
    }
  }

  /** Without the thread the log grows to the alarm, where the writer copies it. */
  private ask() {
    this.isUnderWay = true
    try {
      this.thread ??= this.started()
      this.thread.postMessage(null)
    } catch {
      // The system has no thread to give, as under a limit on processes.
    }
  }

  /** When it is first needed: a small run never is that long. */
  private started(): Worker {
    const thread = new Worker(new URL("./checkpointer.js", import.meta.url), {
      workerData: this.path,
      resourceLimits: { maxYoungGenerationSizeMb: 2 }
    })
    thread.on("message", () => {
      this.isUnderWay = false
    })
    thread.on("error", () => {})
    thread.unref()
    return thread
  }
}
