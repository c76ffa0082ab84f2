import type { IncomingMessage } from "node:http"
import type { Socket } from "node:net"

/** One way to misbehave towards a client. */
export interface WireFault {
  /** What the client gets, in words. */
  readonly says: string
  readonly play: (exchange: Exchange) => void
  /** Plays at the request's head, before its body has been read. */
  readonly isEarly?: boolean
}

export type WireFaults = Readonly<Record<string, WireFault>>

/** A request and the bare socket that its answer is written to. Nothing is added to what is said, and nothing is checked. */
export class Exchange {
  private readonly timers = new Set<NodeJS.Timeout>()
  private isOver = false

  constructor(readonly request: IncomingMessage, readonly socket: Socket, private readonly onEnd: () => void) {
    socket.once("close", () => this.done())
  }

  say(...parts: ReadonlyArray<string | Uint8Array>): this {
    for (const part of parts) if (!this.socket.destroyed) this.socket.write(part)
    return this
  }

  /** Says it and closes the connection in good order. */
  end(...parts: ReadonlyArray<string | Uint8Array>): void {
    this.say(...parts)
    this.socket.end()
    this.done()
  }

  /** Says it and resets the connection, once what was said has been handed to the system. */
  reset(...parts: ReadonlyArray<string | Uint8Array>): void {
    this.say(...parts)
    this.socket.write("", () => this.socket.resetAndDestroy())
  }

  after(ms: number, act: () => void): void {
    const timer = setTimeout(() => {
      this.timers.delete(timer)
      act()
    }, ms)
    this.timers.add(timer)
  }

  /** Says the parts one by one, then acts. */
  drip(ms: number, parts: Iterable<string | Uint8Array>, then: () => void = () => this.done()): void {
    const iterator = parts[Symbol.iterator]()
    const next = () => {
      const { done, value } = iterator.next()
      if (done === true) {
        then()
        return
      }
      this.say(value)
      this.after(ms, next)
    }
    next()
  }

  /** Says the same again, as fast as it is read: so many times, or without end. */
  pump(bytes: Uint8Array, times = Infinity, then: () => void = () => this.done()): void {
    let left = times
    const more = () => {
      while (left > 0 && !this.socket.destroyed) {
        left -= 1
        if (!this.socket.write(bytes)) {
          this.socket.once("drain", more)
          return
        }
      }
      if (!this.socket.destroyed) then()
    }
    more()
  }

  /** The answer is complete; the connection stays as it is. */
  done(): void {
    if (this.isOver) return
    this.isOver = true
    for (const timer of this.timers) clearTimeout(timer)
    this.onEnd()
  }
}

/** A status line and header lines, with the blank line after them. */
export const headOf = (...lines: ReadonlyArray<string>): string => ["HTTP/1.1 200 OK", ...lines, "", ""].join("\r\n")

/** A whole answer of known length that leaves the connection open. */
export const sized = (type: string, body: string | Uint8Array, ...lines: ReadonlyArray<string>): Buffer => {
  const bytes = Buffer.from(body)
  return Buffer.concat([
    Buffer.from(headOf(`Content-Type: ${type}`, `Content-Length: ${bytes.length}`, ...lines), "latin1"),
    bytes
  ])
}

export const json = (text: string | Uint8Array): Buffer => sized("application/json", text)

/** One chunk of the chunked coding. */
export const chunk = (body: string | Uint8Array): Buffer => {
  const bytes = Buffer.from(body)
  return Buffer.concat([Buffer.from(`${bytes.length.toString(16)}\r\n`), bytes, Buffer.from("\r\n")])
}

export const lastChunk = "0\r\n\r\n"

export const chunkedHead = (type: string): string => headOf(`Content-Type: ${type}`, "Transfer-Encoding: chunked")

export const streamHead = chunkedHead("text/event-stream")

/** A chat completion that says so little that a fault around it is all there is to see. */
export const completion = JSON.stringify({
  id: "chatcmpl-faulty",
  object: "chat.completion",
  created: 0,
  model: "faulty",
  choices: [{ index: 0, message: { role: "assistant", content: "ok" }, finish_reason: "stop" }],
  usage: { prompt_tokens: 1, completion_tokens: 1, total_tokens: 2 }
})

/** An event of a streamed chat completion. */
export const delta = (content: string): string =>
  `data: ${
    JSON.stringify({
      id: "chatcmpl-faulty",
      object: "chat.completion.chunk",
      created: 0,
      model: "faulty",
      choices: [{ index: 0, delta: { role: "assistant", content }, finish_reason: null }]
    })
  }\n\n`

export const doneEvent = "data: [DONE]\n\n"
