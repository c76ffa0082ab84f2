import type { Socket } from "node:net"
import { closeNow } from "./BreakOff.js"
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
  /** Whether this is its client's connection. */
  readonly isOn: (socket: Socket) => boolean
  /** Ends it now, at shutdown. */
  readonly abandon: () => void
}

/** How often calls are looked at: limits of minutes need no timer of their own for each. */
const lookEveryMs = 1_000

/** How much had been sent when it was first seen that no more is taken. */
interface Stall {
  readonly sent: number
  readonly sinceMs: number
}

/** Ends calls that have lasted too long, and those whose client has stopped reading, or sending its request. */
export class CallClock {
  private stalled = new Map<unknown, Stall>()
  private readonly timer: NodeJS.Timeout
  private readonly everyMs: number
  private lookedAt = performance.now()

  constructor(
    private readonly calls: Iterable<UnderWay>,
    /** Those of clients, calls under way on them or not. */
    private readonly connections: Iterable<{ readonly socket: Socket }>,
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
    const stalled = new Map<unknown, Stall>()
    const isUnread = (who: unknown, sent: number) => {
      const before = this.stalled.get(who)
      const entry = before?.sent === sent ? before : { sent, sinceMs: now }
      if (now - entry.sinceMs > clientIdleMs && !wasAway) return true
      stalled.set(who, entry)
      return false
    }
    const unread = `the client read nothing for ${clientIdleMs} ms`
    for (const call of this.calls) {
      if (now - call.startedAt > callMs) call.fail("overlong", `the call lasted longer than ${callMs} ms`)
      const { heardAt } = call
      if (heardAt !== null && now - heardAt > uploadIdleMs && !wasAway) {
        call.fail("stalled", `nothing of the request came for ${uploadIdleMs} ms`)
      }
      const sent = call.sentWhilePaused
      if (sent !== null && isUnread(call, sent)) call.fail("unread", unread)
    }
    for (const { socket } of this.connections) {
      const unsent = unsentOn(socket)
      if (unsent === 0 || !isUnread(socket, socket.bytesWritten - unsent)) continue
      for (const call of this.calls) if (call.isOn(socket)) call.fail("unread", unread)
      closeNow(socket)
    }
    this.stalled = stalled
  }
}

/** Bytes that wait for the client to take more: what Node holds, and what is left of a long piece that the system takes bit by bit. */
const unsentOn = (socket: Socket): number => {
  const { _handle: handle } = socket as { readonly _handle?: { readonly writeQueueSize: number } | null }
  return socket.writableLength + (handle?.writeQueueSize ?? 0)
}
