import type { Readable } from "node:stream"
import type { Dispatcher } from "undici"

/** A request as it is written. */
export interface Message {
  readonly method: string
  readonly head: string
  /** Nothing once it was written: the call may go on for long. */
  body: Buffer | Readable | null
  readonly isChunked: boolean
  /** It offers a WebSocket. */
  readonly isOffer: boolean
  /** Nothing may be asked on its connection any more. */
  readonly isLast: boolean
}

/** What an exchange is on: a connection, or one that is being made. */
export interface Carrier {
  pause(): void
  resume(): void
  /** Its exchange has come to nothing, and it is of no use any more. */
  fail(error: Error): void
}

/** One request on its way, and what its call asks of what carries it: of no effect once it is over. */
export class Exchange implements Dispatcher.DispatchController {
  rawHeaders: Array<string> = []
  rawTrailers: Array<string> = []
  aborted = false
  paused = false
  reason: Error | null = null
  /** Null while it waits for one, and once it is over. */
  carrier: Carrier | null = null
  private isOver = false

  constructor(readonly message: Message, readonly call: Dispatcher.DispatchHandler) {}

  /** False when it is over already: its call wants it no more. */
  begin(): boolean {
    try {
      this.call.onRequestStart?.(this, null)
    } catch (error) {
      this.fail(error as Error)
    }
    return !this.isOver
  }

  pause(): void {
    this.paused = true
    this.carrier?.pause()
  }

  resume(): void {
    this.paused = false
    this.carrier?.resume()
  }

  abort(reason: Error): void {
    if (this.aborted || this.isOver) return
    this.aborted = true
    this.reason = reason
    if (this.carrier === null) this.fail(reason)
    else this.carrier.fail(reason)
  }

  end(): void {
    this.leave()
    try {
      this.call.onResponseEnd?.(this, {})
    } catch (error) {
      this.call.onResponseError?.(this, error as Error)
    }
  }

  fail(error: Error): void {
    if (this.isOver) return
    this.leave()
    this.call.onResponseError?.(this, error)
  }

  /** Nothing that happens to its carrier is its affair any more. */
  leave(): void {
    const { body } = this.message
    this.isOver = true
    this.carrier = null
    // Nobody takes what is left of it.
    if (body !== null && !Buffer.isBuffer(body)) body.destroy()
  }
}
