import type { Member } from "./Members.js"

/** What is looked at: a call, or a WebSocket connection. */
export interface UnderWay extends Member {
  /** In the time of `performance.now`. */
  readonly startedAt: number
  /** Bytes sent on the client's connection while more must wait for it; null while nothing waits. */
  readonly sentWhilePaused: number | null
  /** When something of the request came last, in the time of `performance.now`; null while nothing more is to come. */
  readonly heardAt: number | null
  readonly fail: (kind: "overlong" | "unread" | "stalled", cause: string) => void
  /** Ends it now, at shutdown. */
  readonly abandon: () => void
}

/** How often calls are looked at: limits of minutes need no timer of their own for each. */
const lookEveryMs = 1_000

/** Ends calls that have lasted too long, and those whose client has stopped reading, or sending its request. */
export class CallClock {
  private stalled = new Map<UnderWay, { readonly sent: number; readonly sinceMs: number }>()
  private readonly timer: NodeJS.Timeout
  private readonly everyMs: number
  private lookedAt = performance.now()

  constructor(
    private readonly calls: Iterable<UnderWay>,
    private readonly limits: { readonly callMs: number; readonly clientIdleMs: number; readonly uploadIdleMs: number }
  ) {
    const shortestMs = Math.min(limits.callMs, limits.clientIdleMs, limits.uploadIdleMs)
    this.everyMs = Math.max(10, Math.min(lookEveryMs, shortestMs / 2))
    this.timer = setInterval(() => this.look(performance.now()), this.everyMs)
    this.timer.unref()
  }

  close(): void {
    clearInterval(this.timer)
  }

  private look(now: number) {
    const { callMs, clientIdleMs, uploadIdleMs } = this.limits
    // This process itself stood still, a laptop that slept for example: what came meanwhile is yet to be read.
    const wasAway = now - this.lookedAt > 2 * this.everyMs
    this.lookedAt = now
    const stalled = new Map<UnderWay, { readonly sent: number; readonly sinceMs: number }>()
    for (const call of this.calls) {
      if (now - call.startedAt > callMs) call.fail("overlong", `the call lasted longer than ${callMs} ms`)
      const { heardAt } = call
      if (heardAt !== null && now - heardAt > uploadIdleMs && !wasAway) {
        call.fail("stalled", `nothing of the request came for ${uploadIdleMs} ms`)
      }
      const sent = call.sentWhilePaused
      if (sent === null) continue
      const before = this.stalled.get(call)
      const entry = before?.sent === sent ? before : { sent, sinceMs: now }
      if (now - entry.sinceMs > clientIdleMs && !wasAway) {
        call.fail("unread", `the client read nothing for ${clientIdleMs} ms`)
      } else {
        stalled.set(call, entry)
      }
    }
    this.stalled = stalled
  }
}
