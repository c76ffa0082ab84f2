import { counted } from "../domain/Figures.js"
import type { BegunCalls } from "../store/BegunCalls.js"
import type { RequestAhead } from "../store/RequestAhead.js"
import type { Writer } from "../store/Writer.js"
import type { Failure } from "../store/writer/protocol.js"
import type { AskedSpan } from "../store/writer/requestsAhead.js"
import type { FinishedSpan, SpanIntent } from "../store/writer/spans.js"
import type { Metrics } from "./Metrics.js"
import type { ProxyOptions } from "./ProxyOptions.js"
import type { RecordingBudget } from "./RecordingBudget.js"

export interface RecorderCounters {
  /** Spans committed. */
  committed: number
  /** Spans that could not be committed. */
  lost: number
}

/** Why calls cannot be recorded now. `busy`: as much is waiting to be written as may. `memory`: there is none for another record. */
export interface StoreTrouble {
  readonly reason: Failure["reason"] | "busy" | "memory"
  readonly message: string
}

/**
 * A commit that takes longer than this says that the store is stuck. As long as the writer waits for another process's lock: until
 * then an answer is only late, as on a disk that hangs for a second or two.
 */
const stuckMs = 5_000
/** An answer that need not be recorded waits for its commit no longer than this. */
const patienceMs = 1_000
/** While the store cannot commit, it is asked this often whether it can again. */
const probeMs = 500
/** A store that was full counts as full until this much fits, or what did not fit, if that was more. */
const roomMin = 1024 * 1024

/** Most calls that are remembered so; beyond them, the oldest say that they are under way until the proxy stops. */
const unendedMax = 1_000

/**
 * Hands spans to the writer thread. Plain callbacks: this runs for every call.
 *
 * The intent of a call waits a few milliseconds for company in a commit and holds nothing up; a call that ends sooner is
 * written once, finished.
 */
export class SpanRecorder {
  readonly counters: RecorderCounters = { committed: 0, lost: 0 }
  private probedAt = Number.NEGATIVE_INFINITY
  /** Set until there is room again: on a full disk a small write may still succeed, and would look like recovery. */
  private full: Failure | null = null
  private roomNeeded = roomMin
  /** Calls whose ends could not be recorded: their rows, where there are any, still say that they are under way. */
  private unended: Array<string> = []
  private readonly isRequired: boolean

  constructor(
    private readonly writer: Writer["Type"],
    private readonly process: { readonly id: string; readonly begun: BegunCalls },
    private readonly metrics: Metrics,
    private readonly budget: RecordingBudget,
    private readonly options: Pick<ProxyOptions, "recordPolicy" | "limits">
  ) {
    this.isRequired = options.recordPolicy === "required"
  }

  /**
   * Why calls could not be recorded now, or null. Asking is what finds out that the store is back: a write of no
   * consequence is sent as a probe, not somebody's call. `commitMaxMs` is how long a commit may take.
   */
  failure(commitMaxMs = stuckMs): StoreTrouble | null {
    const { failure, inFlightMs, waiting } = this.writer.health()
    if (failure?.reason === "full") this.full = failure
    const trouble = this.full ?? failure
    if (trouble === null && inFlightMs < commitMaxMs) {
      if (waiting >= this.options.limits.spansWaitingMax) {
        return { reason: "busy", message: `${counted(waiting, "change")} waiting to be written, the limit` }
      }
      // Of a call that need not be recorded, the span is, though nothing of its bodies.
      if (!this.isRequired || this.budget.room > 0) return null
      return { reason: "memory", message: "calls under way hold all the memory there is for recording" }
    }
    const now = performance.now()
    if (trouble !== null && inFlightMs === 0 && now - this.probedAt > probeMs) {
      this.probedAt = now
      this.probe()
    }
    return trouble ?? { reason: "locked", message: `the store has been busy for ${Math.round(inFlightMs)} ms` }
  }

  /** Why the last line of the attribution log could not be appended; null once one is again. */
  get logFailure(): string | null {
    return this.writer.health().logFailure
  }

  open(intent: SpanIntent): Opened {
    const place = this.process.begun.begin(intent)
    if (!this.isRequired && this.isOverfull()) return new Opened(null, place)
    const pending = this.writer.submit("openSpan", intent, {
      nowMs: Math.floor(intent.startTimeUs / 1000),
      lazy: true,
      done: () => {}
    })
    return new Opened(pending, place)
  }

  /** The request of a call is whole, and its `size` bytes are recorded; `take` gives them away. */
  readAhead(opened: Opened, asked: AskedSpan, size: number, take: () => Uint8Array): void {
    opened.ahead = this.writer.readAhead(asked, size, take)
  }

  /**
   * `done` is told whether the span is committed; under `best-effort` it hears at the latest after a second, and what
   * becomes of the span later is only counted.
   */
  close(
    span: FinishedSpan,
    bodies: ReadonlyArray<Uint8Array>,
    { ahead, place }: Opened,
    done: (committed: boolean) => void
  ): void {
    const size = sizeOf(bodies) + (ahead?.isSent === true ? ahead.size : 0)
    const told = this.isRequired ? done : this.impatient(span, size, done)
    if (told === null) {
      this.ended(span, span.state, place)
      return
    }
    const handedInAt = performance.now()
    ahead?.ending()
    this.writer.submit("closeSpan", span, {
      nowMs: Math.floor(span.endTimeUs / 1000),
      bodies,
      done: (failure, closed) => {
        ahead?.ended()
        // Only its bodies say whether the upstream reported an error in its answer, say.
        this.ended(span, closed?.state ?? span.state, place)
        if (failure === null) {
          if (span.isFirst) {
            this.counters.committed += 1
            this.metrics.committed((performance.now() - handedInAt) / 1000, closed)
          }
          this.giveUpUnended()
        } else {
          // Without a later version the store still has the first.
          if (span.isFirst) {
            this.counters.lost += 1
            this.lose([span.spanId])
          }
          if (failure.reason === "full") {
            this.full = failure
            this.roomNeeded = Math.max(roomMin, size)
          }
        }
        told(failure === null)
      }
    })
  }

  /** More of an answer came than when its span was handed in first. */
  answeredMore(bytes: number): void {
    this.metrics.answeredMore(bytes)
  }

  /** Its note and the figures hear of a call once, whatever becomes of later versions of its span. */
  private ended(span: FinishedSpan, state: FinishedSpan["state"], place: number): void {
    if (!span.isFirst) return
    this.metrics.ended(span, state)
    this.process.begun.end(place)
  }

  /** What to call instead of `done` so that nobody waits long, or null when the span is dropped. */
  private impatient(span: FinishedSpan, size: number, done: (committed: boolean) => void) {
    if (this.isOverfull()) {
      if (span.isFirst) {
        this.counters.lost += 1
        this.lose([span.spanId])
      }
      done(false)
      return null
    }
    // Without the call that held them, the bytes of its bodies are the queue's.
    let isTold = false
    const tell = () => {
      isTold = true
      this.budget.used += size
      done(false)
    }
    const timer = setTimeout(tell, this.failure(patienceMs) === null ? patienceMs : 0)
    return (committed: boolean) => {
      clearTimeout(timer)
      if (isTold) this.budget.used -= size
      else done(committed)
    }
  }

  private lose(spanIds: ReadonlyArray<string>): void {
    this.unended = [...this.unended, ...spanIds].slice(-unendedMax)
  }

  /** The store takes what it is given again: those of its rows that will not hear of their calls' ends are to say so. */
  private giveUpUnended(): void {
    const spanIds = this.unended
    if (spanIds.length === 0) return
    this.unended = []
    this.writer.submit("giveUpSpans", { spanIds }, {
      nowMs: Date.now(),
      done: (failure) => {
        if (failure !== null) this.lose(spanIds)
      }
    })
  }

  private isOverfull(): boolean {
    return this.writer.health().waiting >= this.options.limits.spansWaitingMax
  }

  /** Has the store asked whether it can commit. */
  probe(): void {
    const nowMs = Date.now()
    if (this.full === null) {
      this.writer.submit("heartbeatProcess", { id: this.process.id }, {
        nowMs,
        done: (failure) => {
          if (failure === null) this.giveUpUnended()
        }
      })
      return
    }
    this.writer.submit("findRoom", { processId: this.process.id, bytes: this.roomNeeded }, {
      nowMs,
      done: (failure) => {
        if (failure?.reason === "full") this.full = failure
        else {
          this.full = null
          if (failure === null) this.giveUpUnended()
        }
      }
    })
  }
}

const sizeOf = (bodies: ReadonlyArray<Uint8Array>) => bodies.reduce((sum, { length }) => sum + length, 0)

/** A call whose intent was handed in. */
export class Opened {
  /** Its request, if the writer thread is to read it before the call ends. */
  ahead: RequestAhead | null = null

  /** `pending` is null where the intent was not handed in; `place` is that of its note. */
  constructor(private readonly pending: { readonly cancel: () => boolean } | null, readonly place: number) {}

  /** Whether there is no row of it, and will be none. */
  cancel(): boolean {
    return this.pending === null || this.pending.cancel()
  }
}
