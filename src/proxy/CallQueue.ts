import type { Socket } from "node:net"

interface Waiting {
  readonly socket: Socket
  readonly start: () => void
  readonly refuse: () => void
  readonly leave: () => void
  readonly timer: NodeJS.Timeout
}

/** Calls that wait for one under way to end, first come first served. Nothing of their bodies is read meanwhile. */
export class CallQueue {
  private readonly waiting = new Set<Waiting>()

  constructor(private readonly max: number, private readonly waitMs: number) {}

  get size(): number {
    return this.waiting.size
  }

  /** Exactly one of `start` and `refuse` is called, or neither when the client leaves. False when the queue is full. */
  enter(socket: Socket, start: () => void, refuse: () => void): boolean {
    if (this.waiting.size >= this.max) return false
    const leave = () => this.remove(waiting)
    const timer = setTimeout(() => {
      this.remove(waiting)
      refuse()
    }, this.waitMs)
    const waiting: Waiting = { socket, start, refuse, leave, timer }
    this.waiting.add(waiting)
    // Not its response, which never closes by itself behind another one of its connection. Before the call ahead hears of it: its place
    // would be for this one.
    socket.prependListener("close", leave).prependListener("end", leave)
    return true
  }

  /** A place is free. */
  startNext(): void {
    const [next] = this.waiting
    if (next === undefined) return
    this.remove(next)
    next.start()
  }

  refuseAll(): void {
    for (const waiting of this.waiting) {
      this.remove(waiting)
      waiting.refuse()
    }
  }

  private remove(waiting: Waiting) {
    clearTimeout(waiting.timer)
    waiting.socket.off("close", waiting.leave).off("end", waiting.leave)
    this.waiting.delete(waiting)
  }
}
