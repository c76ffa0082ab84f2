/** The listeners of the event stream. Plain Node: what one of them does not read never holds up or fills up anything. */
import type { ServerResponse } from "node:http"

export interface LiveStreamLimits {
  /** Listeners at once; more are refused. */
  readonly listenersMax: number
  /** Bytes that may wait for one listener; one that leaves more unread is dropped. */
  readonly unreadBytesMax: number
}

export const defaultStreamLimits: LiveStreamLimits = { listenersMax: 256, unreadBytesMax: 256 * 1024 }

/** Sends events to whoever listens, numbered from 1. */
export class LiveStream {
  private readonly listeners = new Set<ServerResponse>()
  private lastId = 0
  private dropped = 0
  private isClosed = false

  constructor(private readonly limits: LiveStreamLimits) {}

  get size(): number {
    return this.listeners.size
  }

  /** Listeners that did not read. */
  get drops(): number {
    return this.dropped
  }

  get isFull(): boolean {
    return this.isClosed || this.listeners.size >= this.limits.listenersMax
  }

  /** Takes a listener in, whose first events are these. */
  add(response: ServerResponse, first: ReadonlyArray<{ readonly event: string; readonly data: unknown }>): void {
    response.writeHead(200, { "content-type": "text/event-stream", "x-accel-buffering": "no" })
    response.on("error", () => {})
    response.once("close", () => this.listeners.delete(response))
    this.listeners.add(response)
    for (const { data, event } of first) this.send(response, this.encode(event, data))
  }

  /** The same event to everybody. */
  broadcast(event: string, data: unknown): void {
    const text = this.encode(event, data)
    for (const response of this.listeners) this.send(response, text)
  }

  /** A comment, which keeps connections from looking idle. */
  keepAlive(): void {
    for (const response of this.listeners) this.send(response, ": here\n\n")
  }

  /** The streams end whole, save those of listeners that leave unread what they have: nobody waits for them. */
  close(): void {
    this.isClosed = true
    for (const response of this.listeners) {
      if (response.writableLength > 0) response.destroy()
      else response.end()
    }
    this.listeners.clear()
  }

  private encode(event: string, data: unknown): string {
    this.lastId += 1
    return `id: ${this.lastId}\nevent: ${event}\ndata: ${JSON.stringify(data)}\n\n`
  }

  private send(response: ServerResponse, text: string): void {
    if (response.writableLength > this.limits.unreadBytesMax) {
      this.dropped += 1
      this.listeners.delete(response)
      response.destroy()
      return
    }
    response.write(text)
  }
}
