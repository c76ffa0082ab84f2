import { statSync } from "node:fs"
import { statfs } from "node:fs/promises"
import { dirname } from "node:path"
import { counted } from "../domain/Figures.js"
import { logPathOf } from "../store/writer/realPath.js"
import { StoreFiles } from "../store/writer/StoreFiles.js"
import type { ProxyLimits } from "./ProxyOptions.js"
import type { SpanRecorder } from "./SpanRecorder.js"

const lookEveryMs = 1_000
/** Asking the file system for its free space can take long on a network: less often, and never waited for. */
const measureEveryMs = 10_000

/** Looks after the store beside the calls: free space, length of the write-ahead log, and one warning per incident. */
export class StoreWatch {
  /** Null until it is known. */
  freeBytes: number | null = null
  private readonly timer: NodeJS.Timeout
  private measuredAt = Number.NEGATIVE_INFINITY
  private readonly incidents = new Set<string>()
  private lostBefore = 0
  private readonly files: StoreFiles

  constructor(
    private readonly storePath: string,
    private readonly recorder: SpanRecorder,
    private readonly limits: Pick<ProxyLimits, "freeBytesLow" | "walBytesHigh">,
    private readonly warn: (message: string) => void
  ) {
    this.files = new StoreFiles(storePath)
    this.timer = setInterval(() => this.look(), lookEveryMs)
    this.timer.unref()
    this.look()
  }

  get isLow(): boolean {
    return this.freeBytes !== null && this.freeBytes < this.limits.freeBytesLow
  }

  get walBytes(): number | null {
    return statSync(logPathOf(this.storePath), { throwIfNoEntry: false })?.size ?? null
  }

  close(): void {
    clearInterval(this.timer)
  }

  private look() {
    // Without calls nobody writes, and the next call would be the one that finds out.
    if (this.files.lost !== null) this.recorder.probe()
    const trouble = this.recorder.failure()
    const { lost } = this.recorder.counters
    const wasTrouble = this.incidents.has("store")
    this.incident(
      "store",
      trouble !== null,
      `calls cannot be recorded: ${trouble?.message}`,
      () => `calls are being recorded again; ${lost} could not be since the start`
    )
    // Trouble that came and went between two looks is told all the same.
    if (trouble === null && lost > this.lostBefore && !wasTrouble) {
      this.warn(`tau: warning: ${counted(lost - this.lostBefore, "call")} could not be recorded`)
    }
    this.lostBefore = lost
    const { logFailure } = this.recorder
    this.incident(
      "log",
      logFailure !== null,
      `the attribution log cannot be written: ${logFailure}`,
      () => "the attribution log is being written again"
    )
    if (performance.now() - this.measuredAt < measureEveryMs) return
    this.measuredAt = performance.now()
    const walBytes = this.walBytes ?? 0
    this.incident(
      "wal",
      walBytes > this.limits.walBytesHigh,
      `the store's write-ahead log has grown to ${walBytes} bytes: does a reader keep a transaction open?`,
      () => `the store's write-ahead log is down to ${walBytes} bytes again`
    )
    statfs(dirname(this.storePath)).then(({ bavail, bsize }) => {
      this.freeBytes = bavail * bsize
      const { freeBytes } = this
      this.incident(
        "space",
        this.isLow,
        `only ${freeBytes} bytes are free where the store is`,
        () => `${freeBytes} bytes are free again where the store is`
      )
    }, () => {
      this.freeBytes = null
    })
  }

  private incident(name: string, isUp: boolean, message: string, over: () => string) {
    if (isUp === this.incidents.has(name)) return
    if (isUp) {
      this.incidents.add(name)
      this.warn(`tau: warning: ${message}`)
    } else {
      this.incidents.delete(name)
      this.warn(`tau: ${over()}`)
    }
  }
}
