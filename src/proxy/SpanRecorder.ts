import type { Writer } from "../store/Writer.js"
import type { FinishedSpan, SpanIntent } from "../store/writer/spans.js"

export interface RecorderCounters {
  /** Spans committed. */
  committed: number
  /** Spans that could not be committed. */
  lost: number
}

/** A commit that takes longer than this says that the store is stuck, behind another process's lock for example. */
const stuckMs = 1_000
/** While the store cannot commit, it is asked this often whether it can again. */
const probeMs = 500

/**
 * Hands spans to the writer thread. Plain callbacks: this runs for every call.
 *
 * The intent of a call waits a few milliseconds for company in a commit and holds nothing up; a call that ends sooner is
 * written once, finished.
 */
export class SpanRecorder {
  readonly counters: RecorderCounters = { committed: 0, lost: 0 }
  private probedAt = Number.NEGATIVE_INFINITY

  constructor(private readonly writer: Writer["Type"], private readonly processId: string) {}

  /**
   * Why calls could not be recorded now, or null. Asking is what finds out that the store is back: a write of no
   * consequence is sent as a probe, not somebody's call.
   */
  failure(): string | null {
    const { failure, inFlightMs } = this.writer.health()
    if (failure === null && inFlightMs < stuckMs) return null
    const now = performance.now()
    if (failure !== null && inFlightMs === 0 && now - this.probedAt > probeMs) {
      this.probedAt = now
      this.writer.submit("heartbeatProcess", { id: this.processId }, { nowMs: Date.now(), done: () => {} })
    }
    return failure?.message ?? `the store has been busy for ${Math.round(inFlightMs)} ms`
  }

  open(intent: SpanIntent): { readonly cancel: () => boolean } {
    return this.writer.submit("openSpan", intent, {
      nowMs: Math.floor(intent.startTimeUs / 1000),
      lazy: true,
      done: () => {}
    })
  }

  /** `done` is told whether the span is committed. */
  close(span: FinishedSpan, bodies: ReadonlyArray<Uint8Array>, done: (committed: boolean) => void): void {
    this.writer.submit("closeSpan", span, {
      nowMs: Math.floor(span.endTimeUs / 1000),
      bodies,
      done: (failure) => {
        if (failure === null) this.counters.committed += 1
        else this.counters.lost += 1
        done(failure === null)
      }
    })
  }
}
