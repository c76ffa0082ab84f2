import type { Socket } from "node:net"
import { type AnswerFraming, AnswerParser, type AnswerReader, type Progress } from "../http/AnswerParser.js"
import { errors } from "../http/Undici.js"
import type { Carrier, Exchange } from "./Exchange.js"
import * as Headers from "./Headers.js"
import { Upload } from "./Upload.js"

/** Where a connection goes once it has nothing to do. */
export interface ConnectionOwner {
  readonly timeoutMs: number
  /** It may carry the next exchange. */
  release(connection: UpstreamConnection): void
}

/** How long a connection is kept that says nothing of it, and how much sooner than it says it is left, as undici does. */
const defaultKeptMs = 4_000
const keptMaxMs = 600_000
const leftSoonerMs = 2_000

/** A connection to the upstream, one exchange at a time. */
export class UpstreamConnection implements AnswerReader, Carrier {
  /** Since when it has nothing to do, and when it is too old to be used again, of `performance.now()`. */
  idleSince = 0
  keptUntil = 0
  private readonly parser = new AnswerParser(this)
  private readonly timer: NodeJS.Timeout
  private exchange: Exchange | null = null
  private upload: Upload | null = null
  private status = 0
  /** As the answer has it. */
  private keepsAlive = false
  private keptMs = 0
  private length: string | null = null
  private bytes = 0
  /** Nothing was heard for too long. */
  private isOverdue = false

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
    exchange.carrier = this
    this.wait()
    if (Buffer.isBuffer(body)) {
      socket.cork()
      socket.write(head, "latin1")
      socket.write(body)
      socket.uncork()
      exchange.message.body = null
      return
    }
    socket.write(head, "latin1")
    if (body !== null) this.upload = new Upload(body, isChunked, socket, this.broke)
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
    // The time in which it was not listened to is not its own.
    this.wait()
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

  fail(error: Error): void {
    const { exchange } = this
    this.socket.destroy()
    this.leave()
    exchange?.fail(error)
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
    // What undici asserts.
    if (status < 100) throw new errors.HTTPParserError("the answer's status is none")
    this.wait()
    if (status >= 200) {
      this.keepsAlive = keepsAlive
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
    this.wait()
    this.bytes += bytes.length
    exchange.call.onResponseData?.(exchange, bytes)
    // It may have paused before there was a connection.
    if (exchange.paused) this.socket.pause()
    return exchange.aborted || exchange.paused
  }

  onWhole(trailers: Array<string>): void {
    this.exchange!.rawTrailers = trailers
  }

  /** What the head says of the connection, and of the body's length. */
  private note(headers: ReadonlyArray<string>) {
    this.length = Headers.valueOf(headers, "content-length")
    const seconds = /timeout=(\d+)/.exec(Headers.valueOf(headers, "keep-alive") ?? "")?.[1]
    this.keptMs = seconds === undefined ? defaultKeptMs : Math.min(Number(seconds) * 1_000 - leftSoonerMs, keptMaxMs)
  }

  private parse(run: () => Progress) {
    let progress: Progress
    try {
      progress = run()
    } catch (error) {
      this.fail(error as Error)
      return
    }
    if (progress === "whole" || progress === "before") this.finish(progress === "whole")
    else if (progress === "upgrade") this.handOver()
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
    // A reset that is read together with what came before it is an end to Node. One that has but ended still has a peer.
    if (this.socket.remoteAddress === undefined) {
      this.fail(Object.assign(new Error("read ECONNRESET"), { code: "ECONNRESET" }))
      return
    }
    this.parse(() => {
      try {
        return this.parser.end()
      } catch (error) {
        throw this.isWanting ? new errors.ResponseContentLengthMismatchError() : error
      }
    })
  }

  private finish(isLast: boolean) {
    const exchange = this.exchange!
    const { isWanting } = this
    // What of the request has not left yet is read by nobody, if its answer is there.
    const isSent = this.upload?.isWhole !== false && this.socket.writableLength === 0
    this.leave()
    if (isLast && isSent && !isWanting && this.keepsAlive && this.keptMs > 0 && !exchange.message.isLast) {
      this.idleSince = performance.now()
      this.keptUntil = this.idleSince + this.keptMs
      this.owner.release(this)
    } else this.socket.destroy()
    if (isWanting) exchange.fail(new errors.ResponseContentLengthMismatchError())
    else exchange.end()
  }

  /** So much as its head tells has not come. That of a 304 may tell of another answer (RFC 9110, 8.6). */
  private get isWanting(): boolean {
    const { bytes, exchange, length, status } = this
    return length !== null && status !== 304 && exchange?.message.method !== "HEAD" && Number(length) !== bytes
  }

  private leave() {
    this.exchange = null
    this.upload?.end()
    this.upload = null
  }

  /** The connection is its call's from here on, with what came behind the head. */
  private handOver() {
    const { socket, status } = this
    const exchange = this.exchange!
    this.leave()
    exchange.leave()
    clearTimeout(this.timer)
    socket.off("end", this.ended).off("error", this.broke).off("close", this.closed).removeAllListeners("data")
    // Else what came would lie there until more comes.
    socket.pause()
    if (this.parser.beyond.length > 0) socket.unshift(this.parser.beyond)
    this.parser.free()
    exchange.call.onRequestUpgrade?.(exchange, status, {}, socket)
  }

  private get isPaused(): boolean {
    return this.exchange?.paused === true
  }

  /** For its upstream's next word. */
  private wait() {
    this.isOverdue = false
    this.timer.refresh()
  }

  private timedOut() {
    if (this.exchange === null) return
    if (this.isPaused || (this.status < 200 && this.upload?.isFlowing === true)) this.timer.refresh()
    else {
      this.isOverdue = true
      setImmediate(giveUp, this)
    }
  }

  /** What had come in time while the loop was held up, by a process that was stopped, say, was read before this. */
  giveUp(): void {
    if (!this.isOverdue || this.exchange === null || this.isPaused) return
    this.fail(this.status < 200 ? new errors.HeadersTimeoutError() : new errors.BodyTimeoutError())
  }
}

const goOn = (connection: UpstreamConnection) => connection.goOn()
const giveUp = (connection: UpstreamConnection) => connection.giveUp()
