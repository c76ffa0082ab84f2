/** Gathers requests for the writer thread, and tells each of their callers what became of it. */
import type { Worker } from "node:worker_threads"
import { RequestAhead } from "./RequestAhead.js"
import type { OperationName } from "./writer/operations.js"
import type {
  Batch,
  Committed,
  Failure,
  FromWriter,
  LogState,
  Outcome,
  SentRequest,
  ToWriter
} from "./writer/protocol.js"
import type { AskedSpan } from "./writer/requestsAhead.js"
import { rowOf } from "./writer/SpanRow.js"
import type { FinishedSpan } from "./writer/spans.js"

/** How long a lazy request waits to be cancelled. A call that ends sooner is written once, finished. */
export const lazyMs = 5
/** How far back it counts whether lazy requests were cancelled. */
const cancelledMax = 64
/** So many requests leave at once, whatever is under way: the thread then has no pause while this one is busy. */
const groupMin = 16
/** Groups under way: one in the thread, and one that it finds when it is done. */
const groupsMax = 2
/** How long requests are gathered for one group while more keep coming. */
const gatherMaxMs = 3
const batchRequestsMax = 500
/** A batch that takes longer may be one whose calls take long to read: the thread is asked. */
const longMs = 100
/** Reading never takes this long. */
const readingMaxMs = 60_000
/** Of bodies, beside what is small: reading them takes the thread 10 to 30 ms for each MB, and every call of the batch waits for it. */
const batchBytesMax = 4 * 1024 * 1024
const smallBytesMax = 64 * 1024

export interface WriterHealth {
  /** Requests and body bytes not yet handed to the writer thread. */
  readonly waiting: number
  readonly waitingBytes: number
  readonly commits: number
  /** How long the store has been at the batch under way; 0 when none is, while its calls are read, or once it is done. */
  readonly inFlightMs: number
  /** Why the store cannot commit; null once it can again. A request that failed for its own content is not such a reason. */
  readonly failure: Failure | null
  /** Lines that could not be appended to the attribution log, and why the last could not; null once one is again. */
  readonly logLost: number
  readonly logFailure: string | null
}

export interface Entry {
  readonly operation: OperationName
  readonly input: unknown
  readonly nowMs: number
  readonly bodies: ReadonlyArray<Uint8Array>
  /** Bytes of the bodies together. */
  readonly size: number
  /** When it may leave, in the time of `performance.now`; 0 for at once. */
  readonly dueAt: number
  readonly done: (outcome: Outcome) => void
}

/** Small batches leave one at a time, and the next one collects meanwhile. Plain callbacks: this is the hot path. */
export class WriterQueue {
  private waiting: Array<Entry> = []
  /** Those that are not due, in the order in which they will be. No `Set`, whose outgrown tables lead to those after them. */
  private lazy: Array<Entry> = []
  private waitingBytes = 0
  /** Batches that were posted, in order. */
  private inFlight: Array<ReadonlyArray<Entry>> = []
  private inFlightBytes = 0
  private scheduled = false
  private lazyTimer: NodeJS.Timeout | null = null
  private dead: Failure | null = null
  private failure: Failure | null = null
  private commits = 0
  private log: LogState = { lost: 0, failure: null }
  /** Since when the first of them has been the first. */
  private firstSince = 0
  private gatheredBefore = 0
  private gatherTimer: NodeJS.Timeout | undefined
  /** How many lazy requests were cancelled of late, more or less: whether those that wait will be. */
  private cancelled = 0
  /** Requests that the thread is to read when it has nothing else to do, in their order. */
  private ahead: Array<RequestAhead> = []
  private isReadingAhead = false
  /** The thread need not keep their requests any more: it hears of them with the next batch. */
  private forgotten: Array<string> = []

  constructor(
    private readonly worker: Worker,
    private readonly storingSince: BigInt64Array,
    private readonly onDeath: (failure: Failure) => void
  ) {
    worker.on("message", (message: FromWriter) => {
      if (message === "read") {
        this.isReadingAhead = false
        this.sendAhead()
      } else if (typeof message === "string") this.committed(JSON.parse(message) as Committed)
    })
    worker.on("error", (error: unknown) => this.die({ reason: "other", message: String(error) }))
    worker.on("exit", () => this.die({ reason: "other", message: "the writer thread ended" }))
  }

  push(entry: Entry): { readonly cancel: () => boolean } {
    if (this.dead !== null) {
      entry.done({ ok: false, failure: this.dead })
      return notCancellable
    }
    if (entry.dueAt === 0) {
      this.waiting.push(entry)
      this.waitingBytes += entry.size
      this.schedule()
      return notCancellable
    }
    this.lazy.push(entry)
    this.lazyTimer ??= setTimeout(this.wake, lazyMs)
    return {
      cancel: () => {
        const place = this.lazy.indexOf(entry)
        const isCancelled = place !== -1
        if (isCancelled) {
          this.lazy.splice(place, 1)
          if (this.cancelled < cancelledMax) this.cancelled += 1
        }
        if (this.scheduled && this.lazy.length === 0) setImmediate(this.gather)
        return isCancelled
      }
    }
  }

  /** Has a request read as soon as no commit waits for the thread; null when that has ended. */
  readAhead(asked: AskedSpan, size: number, take: () => Uint8Array): RequestAhead | null {
    if (this.dead !== null) return null
    const ahead = new RequestAhead(asked, size, take, this.forget)
    this.ahead.push(ahead)
    this.sendAhead()
    return ahead
  }

  private get isIdle(): boolean {
    return !this.isReadingAhead && this.inFlight.length === 0 && this.waiting.length === 0
  }

  private sendAhead() {
    if (!this.isIdle) return
    const ahead = this.ahead.shift()
    if (ahead === undefined) return
    ahead.isSent = true
    this.isReadingAhead = true
    const bytes = new ArrayBuffer(ahead.size)
    new Uint8Array(bytes).set(ahead.take())
    this.worker.postMessage({ asked: JSON.stringify(ahead.asked), bytes } satisfies ToWriter, [bytes])
  }

  private readonly forget = (ahead: RequestAhead) => {
    if (ahead.isSent) {
      this.forgotten.push(ahead.asked.spanId)
      return
    }
    const place = this.ahead.indexOf(ahead)
    if (place !== -1) this.ahead.splice(place, 1)
  }

  health(): WriterHealth {
    return {
      waiting: this.waiting.length + this.lazy.length,
      waitingBytes: this.waitingBytes,
      commits: this.commits,
      inFlightMs: this.inFlightMs,
      failure: this.dead ?? this.failure,
      logLost: this.log.lost,
      logFailure: this.log.failure
    }
  }

  private get inFlightMs(): number {
    if (this.inFlight.length === 0) return 0
    const wholeMs = performance.now() - this.firstSince
    if (wholeMs < longMs || wholeMs > readingMaxMs) return wholeMs
    const since = Atomics.load(this.storingSince, 0)
    return since === 0n ? 0 : Math.min(wholeMs, Number(process.hrtime.bigint() - since) / 1e6)
  }

  private schedule() {
    if (this.waiting.length >= groupMin && this.inFlight.length < groupsMax && this.inFlightBytes < batchBytesMax) {
      this.post()
      return
    }
    if (this.inFlight.length > 0 || this.scheduled || this.waiting.length === 0) return
    // A call that ends while no other began just now has nobody to wait for.
    if (this.lazy.length === 0 && this.waiting.length === 1 && this.waiting[0]!.operation === "closeSpan") {
      this.post()
      return
    }
    this.scheduled = true
    this.gatheredBefore = 1
    this.gatherTimer = setTimeout(this.post, gatherMaxMs)
    setImmediate(this.gather)
  }

  /** Lazy requests that are due wait like any other from here on. */
  private readonly wake = () => {
    this.lazyTimer = null
    this.takeDue()
    this.schedule()
  }

  private takeDue() {
    const now = performance.now()
    while (this.lazy.length > 0 && this.lazy[0]!.dueAt <= now) {
      this.waiting.push(this.lazy.shift()!)
      if (this.cancelled > 0) this.cancelled -= 1
    }
    if (this.lazy.length > 0) this.lazyTimer ??= setTimeout(this.wake, this.lazy[0]!.dueAt - now)
  }

  /**
   * What arrives in a turn of the event loop travels together: the answers of all sockets that were ready. While each turn
   * brings more, the next one is waited for, as half of a commit's cost is the same for any number of requests. So are calls
   * that began just now, where most calls end soon.
   */
  private readonly gather = () => {
    if (!this.scheduled || this.lazy.length > 0 && this.cancelled > cancelledMax / 2) return
    const gathered = this.waiting.length
    if (gathered > this.gatheredBefore) {
      this.gatheredBefore = gathered
      setImmediate(this.gather)
    } else this.post()
  }

  private readonly post = () => {
    clearTimeout(this.gatherTimer)
    this.scheduled = false
    if (this.dead !== null) return
    const entries = this.take()
    if (entries.length === 0) return
    if (this.inFlight.length === 0) this.firstSince = performance.now()
    this.inFlight.push(entries)
    const batch = pack(entries, this.forgotten)
    if (this.forgotten.length > 0) this.forgotten = []
    this.inFlightBytes += batch.bytes?.byteLength ?? 0
    this.worker.postMessage(batch satisfies ToWriter, batch.bytes === null ? [] : [batch.bytes])
  }

  private take(): ReadonlyArray<Entry> {
    this.takeDue()
    const entries: Array<Entry> = []
    const left: Array<Entry> = []
    let bytes = 0
    let isFull = false
    for (const entry of this.waiting) {
      // Another call's end may pass one with large bodies. What is asked about calls may not: it may be about that one.
      isFull ||= entries.length === batchRequestsMax || left.length > 0 && !isOfCall(entry)
      if (!isFull && (entries.length === 0 || entry.size <= smallBytesMax || bytes + entry.size <= batchBytesMax)) {
        bytes += entry.size
        entries.push(entry)
      } else left.push(entry)
    }
    this.waiting = left
    this.waitingBytes -= bytes
    return entries
  }

  private committed([sent, log]: Committed) {
    this.log = log
    const outcomes = sent.map((one): Outcome =>
      "reason" in one ? { ok: false, failure: one } : { ok: true, value: one[0] }
    )
    const entries = this.inFlight.shift() ?? []
    this.firstSince = performance.now()
    this.inFlightBytes -= bytesOf(entries)
    this.commits += 1
    const failed = outcomes.find((outcome) => !outcome.ok && outcome.failure.reason !== "other")
    this.failure = failed === undefined || failed.ok ? null : failed.failure
    // The next batch leaves before callers are told, so that the thread is not idle meanwhile.
    this.schedule()
    entries.forEach((entry, index) => tell(entry, outcomes[index]!))
    this.sendAhead()
  }

  private die(failure: Failure) {
    if (this.dead !== null) return
    this.dead = failure
    const entries = [...this.inFlight.flat(), ...this.waiting, ...this.lazy]
    this.inFlight = []
    this.waiting = []
    this.waitingBytes = 0
    this.lazy = []
    this.ahead = []
    for (const entry of entries) tell(entry, { ok: false, failure })
    this.onDeath(failure)
  }
}

/** One caller's defect must not cost the others of its batch their answer: it is thrown where nobody else stands. */
const tell = (entry: Entry, outcome: Outcome) => {
  try {
    entry.done(outcome)
  } catch (error) {
    setImmediate(() => {
      throw error
    })
  }
}

const notCancellable = { cancel: () => false }

const isOfCall = ({ operation }: Entry) => operation === "closeSpan" || operation === "openSpan"

const bytesOf = (entries: ReadonlyArray<Entry>) => entries.reduce((sum, { size }) => sum + size, 0)

type Writable<T extends ReadonlyArray<unknown>> = { -readonly [Key in keyof T]: T[Key] }

const pack = (entries: ReadonlyArray<Entry>, forgotten: ReadonlyArray<string>): Batch => {
  const size = bytesOf(entries)
  const bytes = size === 0 ? null : new ArrayBuffer(size)
  const view = bytes === null ? null : new Uint8Array(bytes)
  let offset = 0
  // Pushed one by one: V8 takes twice as long to write down a list that `map` made.
  const requests: Array<SentRequest> = []
  for (const { bodies, input, nowMs, operation } of entries) {
    const sent = operation === "closeSpan" && input !== null ? rowOf(input as FinishedSpan) : input
    const request: Writable<SentRequest> = [operation, sent, nowMs]
    for (const body of bodies) {
      view?.set(body, offset)
      offset += body.length
      request.push(body.length)
    }
    requests.push(request)
  }
  const batch = { requests: JSON.stringify(requests), bytes }
  return forgotten.length === 0 ? batch : { ...batch, forgotten }
}
