import type { AskedSpan } from "./writer/requestsAhead.js"

/** A shorter request is best read with its answer: to wake the thread once more costs more than that saves. */
export const aheadBytesMin = 16 * 1024

/** The request of a call, read by the thread while the answer is made, unless that ends first. */
export class RequestAhead {
  /** The thread has it: nothing of it is held here any more. */
  isSent = false
  /** Ends of its call that were handed in, and not decided. */
  private ends = 0
  private isOver = false

  constructor(
    readonly asked: AskedSpan,
    readonly size: number,
    /** Its bytes, which are its own from there on. */
    readonly take: () => Uint8Array,
    private readonly forget: (ahead: RequestAhead) => void
  ) {}

  /** An end of its call is handed in: what has not been sent by now never is. */
  ending(): void {
    this.ends += 1
    if (!this.isSent) this.forget(this)
  }

  ended(): void {
    this.ends -= 1
    this.release()
  }

  /** No other end of its call will be handed in. */
  over(): void {
    this.isOver = true
    this.release()
  }

  private release(): void {
    if (this.isOver && this.ends === 0) this.forget(this)
  }
}
