import type { Socket } from "node:net"
import type { Readable } from "node:stream"
import type { Dispatcher } from "undici"
import { type AnswerFraming, AnswerParser, type AnswerReader, type Progress } from "../http/AnswerParser.js"
import { errors } from "../http/Undici.js"
import { Upload } from "./Upload.js"

/** A request as it is written. */
export interface Message {
  readonly method: string
  readonly head: string
  readonly body: Buffer | Readable | null
  readonly isChunked: boolean
  /** It offers a WebSocket. */
  readonly isOffer: boolean
  /** Nothing may be asked on its connection any more. */
  readonly isLast: boolean
}

/** One request on its way, and what its call asks of the connection: of no effect before it was sent, and once it is over. */
export class Exchange implements Dispatcher.DispatchController {
  rawHeaders: Array<string> = []
  rawTrailers: Array<string> = []
  aborted = false
  paused = false
  reason: Error | null = null
  connection: UpstreamConnection | null = null

  constructor(readonly message: Message, readonly call: Dispatcher.DispatchHandler) {}

  pause(): void {
    this.paused = true
    this.connection?.pause()
  }

  resume(): void {
    this.paused = false
    this.connection?.resume()
  }

  abort(reason: Error): void {
    if (this.aborted) return
    this.aborted = true
    this.reason = reason
    this.connection?.fail(reason)
  }
}

/** Where a connection goes once it has nothing to do. */
export interface ConnectionOwner {
  readonly timeoutMs: number
  /** It may carry the next exchange. */
  release(connection: UpstreamConnection): void
}

/** How long a connection is kept that says nothing of it, and how much sooner than it says it is left, as undici does. */
const keptMs = 4_000
const keptMaxMs = 600_000
const leftSoonerMs = 2_000

/** A connection to the upstream, one exchange at a time. */
export class UpstreamConnection implements AnswerReader {
  /** When it is too old to be used again, of `performance.now()`. */
  keptUntil = 0
  private readonly parser = new AnswerParser(this)
  private readonly timer: NodeJS.Timeout
  private exchange: Exchange | null = null
  private upload: Upload | null = null
  private status = 0
  private keepsAlive = false
  private length: string | null = null
  private bytes = 0

  /** What comes on the socket is handed to `read`. */
  constructor(private readonly socket: Socket, private readonly owner: ConnectionOwner) {
    this.timer = setTimeout(() => this.timedOut(), owner.timeoutMs).unref()
    socket.on("end", this.ended).on("error", this.broke).on("close", this.closed)
  }

  get isOpen(): boolean {
    return !this.socket.destroyed && this.socket.readyState === "open"
  }

  send(exchange: Exchange): void {
    const { socket } = this
    const { body, head, isChunked } = exchange.message
    this.exchange = exchange
    this.status = 0
    exchange.connection = this
    exchange.call.onRequestStart?.(exchange, null)
    if (this.exchange === null) return
    this.timer.refresh()
    if (Buffer.isBuffer(body)) {
      socket.cork()
      socket.write(head, "latin1")
      socket.write(body)
      socket.uncork()
      return
    }
    socket.write(head, "latin1")
    if (body !== null) this.upload = new Upload(body, isChunked, socket, (error) => this.fail(error))
  }

  read(bytes: Buffer): void {
    // Nobody asked: it would be taken for the answer to whatever is asked next.
    if (this.exchange === null) this.socket.destroy()
    else this.parse(() => this.parser.read(bytes))
  }

  pause(): void {
    this.socket.pause()
  }

  resume(): void {
    // Not from within another connection's reading.
    if (this.parser.isStopped) process.nextTick(goOn, this)
    else this.socket.resume()
  }

  /** What was kept back when its call paused. */
  goOn(): void {
    if (this.exchange === null || this.isPaused || !this.parser.isStopped) return
    this.parse(() => this.parser.resume())
    if (!this.isPaused) this.socket.resume()
  }

  /** Its exchange has come to nothing, and it is of no use any more. */
  fail(error: Error): void {
    const { exchange } = this
    this.socket.destroy()
    if (exchange === null) return
    this.leave()
    exchange.call.onResponseError?.(exchange, error)
  }

  close(): void {
    this.socket.destroy()
  }

  onHead(status: number, headers: Array<string>, reason: string, { isUpgrade, keepsAlive }: AnswerFraming) {
    const exchange = this.exchange!
    this.status = status
    if (isUpgrade && exchange.message.isOffer) {
      exchange.rawHeaders = headers
      return "upgrade"
    }
    if (isUpgrade) {
      this.fail(new errors.SocketError("bad upgrade"))
      return "stop"
    }
    this.timer.refresh()
    if (status >= 200) {
      this.keepsAlive = keepsAlive && !exchange.message.isLast
      this.bytes = 0
      this.note(headers)
    }
    exchange.rawHeaders = headers
    exchange.call.onResponseStart?.(exchange, status, {}, reason)
    if (exchange.aborted) return "stop"
    return exchange.message.method === "HEAD" ? "none" : "body"
  }

  onBody(bytes: Buffer): boolean {
    const exchange = this.exchange!
    this.timer.refresh()
    this.bytes += bytes.length
    exchange.call.onResponseData?.(exchange, bytes)
    return exchange.aborted || exchange.paused
  }

  onWhole(trailers: Array<string>): void {
    this.exchange!.rawTrailers = trailers
  }

  /** What the head says of the connection, and of the body's length. */
  private note(headers: ReadonlyArray<string>) {
    let keptFor = keptMs
    this.length = null
    for (let index = 0; index < headers.length; index += 2) {
      const name = headers[index]!
      if (name.length === 14 && name.toLowerCase() === "content-length") this.length = headers[index + 1]!
      if (name.length !== 10 || name.toLowerCase() !== "keep-alive") continue
      const seconds = /timeout=(\d+)/.exec(headers[index + 1]!)?.[1]
      if (seconds !== undefined) keptFor = Math.min(Number(seconds) * 1_000 - leftSoonerMs, keptMaxMs)
    }
    if (keptFor <= 0) this.keepsAlive = false
    this.keptUntil = performance.now() + keptFor
  }

  private parse(run: () => Progress) {
    try {
      const progress = run()
      if (progress === "whole" || progress === "before") this.finish(progress === "whole")
      else if (progress === "upgrade") this.handOver()
    } catch (error) {
      this.fail(error as Error)
    }
  }

  private readonly broke = (error: Error) => this.fail(error)

  private readonly closed = () => {
    clearTimeout(this.timer)
    this.fail(new errors.SocketError("closed"))
    this.parser.free()
  }

  private readonly ended = () => {
    if (this.exchange === null || this.status < 200 || this.keepsAlive) {
      this.fail(new errors.SocketError("other side closed"))
      return
    }
    this.parse(() => this.parser.end())
  }

  private finish(isLast: boolean) {
    const exchange = this.exchange!
    const isSent = this.upload?.isWhole !== false
    this.leave()
    // A 304 may tell the length of another answer (RFC 9110, 8.6).
    const isWanting = this.status !== 304 && this.length !== null && exchange.message.method !== "HEAD" &&
      Number(this.length) !== this.bytes
    // What of the request has not left yet is read by nobody, if its answer is there.
    if (isLast && this.keepsAlive && !isWanting && isSent && this.socket.writableLength === 0) this.owner.release(this)
    else this.socket.destroy()
    if (isWanting) exchange.call.onResponseError?.(exchange, new errors.ResponseContentLengthMismatchError())
    else exchange.call.onResponseEnd?.(exchange, {})
  }

  private get isPaused(): boolean {
    return this.exchange?.paused === true
  }

  private leave() {
    this.exchange!.connection = null
    this.exchange = null
    this.upload?.giveUp()
    this.upload = null
  }

  /** The connection is its call's from here on, with what came behind the head. */
  private handOver() {
    const { socket, status } = this
    const exchange = this.exchange!
    const rest = this.parser.beyond
    this.leave()
    clearTimeout(this.timer)
    socket.off("end", this.ended).off("error", this.broke).off("close", this.closed).removeAllListeners("data")
    this.parser.free()
    // Else it would lie there until more comes.
    socket.pause()
    if (rest.length > 0) socket.unshift(rest)
    exchange.call.onRequestUpgrade?.(exchange, status, {}, socket)
  }

  private timedOut() {
    if (this.exchange === null) return
    if (this.isPaused || (this.status < 200 && this.upload?.isFlowing === true)) this.timer.refresh()
    else this.fail(this.status < 200 ? new errors.HeadersTimeoutError() : new errors.BodyTimeoutError())
  }
}

const goOn = (connection: UpstreamConnection) => connection.goOn()
