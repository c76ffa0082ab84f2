/** What is looked at: a call, or a WebSocket connection. */
export interface UnderWay {
  /** Unix milliseconds. */
  readonly startedAtMs: number
  /** Bytes sent on the client's connection while more must wait for it; null while nothing waits. */
  readonly sentWhilePaused: number | null
  readonly fail: (kind: "overlong" | "unread", cause: string) => void
  /** Ends it now, at shutdown. */
  readonly abandon: () => void
}

/** How often calls are looked at: limits of minutes need no timer of their own for each. */
const lookEveryMs = 1_000

/** Ends calls that have lasted too long, and those whose client has stopped reading. */
export class CallClock {
  private stalled = new Map<UnderWay, { readonly sent: number; readonly sinceMs: number }>()
  private readonly timer: NodeJS.Timeout

  constructor(
    private readonly calls: ReadonlySet<UnderWay>,
    private readonly limits: { readonly callMs: number; readonly clientIdleMs: number }
  ) {
    const everyMs = Math.max(10, Math.min(lookEveryMs, limits.callMs / 2, limits.clientIdleMs / 2))
    this.timer = setInterval(() => this.look(performance.timeOrigin + performance.now()), everyMs)
    this.timer.unref()
  }

  close(): void {
    clearInterval(this.timer)
  }

  private look(nowMs: number) {
    const { callMs, clientIdleMs } = this.limits
    const stalled = new Map<UnderWay, { readonly sent: number; readonly sinceMs: number }>()
    for (const call of this.calls) {
      if (nowMs - call.startedAtMs > callMs) call.fail("overlong", `the call lasted longer than ${callMs} ms`)
      const sent = call.sentWhilePaused
      if (sent === null) continue
      const before = this.stalled.get(call)
      const entry = before?.sent === sent ? before : { sent, sinceMs: nowMs }
      if (nowMs - entry.sinceMs > clientIdleMs) {
        call.fail("unread", `the client read nothing for ${clientIdleMs} ms`)
      } else {
        stalled.set(call, entry)
      }
    }
    this.stalled = stalled
  }
}
