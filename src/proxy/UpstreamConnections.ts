import type { Socket } from "node:net"
import type { Readable } from "node:stream"
import type { Dispatcher } from "undici"
import { readBuffer } from "../http/AnswerParser.js"
import { buildConnector, errors } from "../http/Undici.js"
import { type Carrier, Exchange, type Message } from "./Exchange.js"
import { type ConnectionOwner, UpstreamConnection } from "./UpstreamConnection.js"

/** A request for the upstream. */
export interface Outgoing {
  readonly path: string
  readonly method: string
  /** Names and values in turn, without `host` and what is of one hop. */
  readonly headers: ReadonlyArray<string>
  readonly body: Buffer | Readable | null
  /** It offers a WebSocket. */
  readonly isOffer: boolean
}

/** The way to the upstream. */
export type Upstream = Pick<UpstreamConnections, "dispatch">

/** So long nobody gives a connection up. */
const freshMs = 10

/** How often connections are looked for that are too old. */
const sweepMs = 1_000

/** Methods whose requests tell a length even where it is none, as undici has it. */
const withPayload = new Set(["PUT", "POST", "PATCH", "QUERY", "PROPFIND", "PROPPATCH"])

/**
 * The connections to the upstream, kept for the next request. What undici does for one costs more than twice as much
 * (`docs/decisions/0003-upstream-connections.md`).
 */
export class UpstreamConnections implements ConnectionOwner {
  /** Those that are being made among them. */
  private readonly open = new Set<Carrier>()
  private readonly idle: Array<UpstreamConnection> = []
  private readonly url: URL
  private readonly host: string
  private readonly connect: ReturnType<typeof buildConnector>
  private readonly connectMs: number
  /** Released in this turn of the loop. */
  private released: Array<UpstreamConnection> = []
  /** Sent at the end of this turn. */
  private waiting: Array<Exchange> = []
  private isTurnAwaited = false
  private sweeper: NodeJS.Timeout | null = null

  constructor(origin: string, readonly timeoutMs: number) {
    this.url = new URL(origin)
    this.host = `host: ${this.url.host}\r\nconnection: `
    this.connectMs = Math.min(timeoutMs, 10_000)
    this.connect = buildConnector({ timeout: this.connectMs })
  }

  /** Its call is told of all that follows; also at once, where the request is none that may be sent. */
  dispatch(outgoing: Outgoing, call: Dispatcher.DispatchHandler): void {
    const exchange = new Exchange(this.messageOf(outgoing), call)
    if (!exchange.begin()) return
    if (!isPath(outgoing.path) || !outgoing.headers.every(isText)) {
      exchange.fail(new errors.InvalidArgumentError("a path or header that is no text of HTTP"))
    } else if (outgoing.isOffer || (this.idle.length === 0 && this.released.length === 0)) this.begin(exchange)
    else {
      this.waiting.push(exchange)
      this.awaitTurn()
    }
  }

  release(connection: UpstreamConnection): void {
    this.released.push(connection)
    this.awaitTurn()
  }

  destroy(): void {
    if (this.sweeper !== null) clearInterval(this.sweeper)
    const error = new errors.ClientDestroyedError()
    for (const exchange of this.waiting.splice(0)) exchange.fail(error)
    for (const carrier of this.open) carrier.fail(error)
  }

  /**
   * A connection that is used again is looked at by the event loop first, between the two: what its upstream sent unasked, and that it
   * was closed, is to be seen before the next request is on it (GHSA-35p6-xmwp-9g52).
   */
  private awaitTurn() {
    if (this.isTurnAwaited) return
    this.isTurnAwaited = true
    setImmediate(this.turn)
  }

  private readonly turn = () => {
    this.isTurnAwaited = false
    const { released, waiting } = this
    this.waiting = []
    this.released = []
    for (const exchange of waiting) {
      if (exchange.aborted) continue
      const connection = this.take()
      if (connection !== null) this.sendOn(connection, exchange)
      else if (released.length > this.waiting.length) this.waiting.push(exchange)
      else this.begin(exchange)
    }
    this.idle.push(...released)
    if (this.waiting.length > 0) this.awaitTurn()
    if (this.idle.length > 0) this.sweeper ??= setInterval(this.sweep, sweepMs).unref()
  }

  /**
   * Upstreams close what lies idle. Between one immediate and the next the loop asks the system for news: without that, twice as many
   * requests met a connection that was being closed.
   */
  private sendOn(connection: UpstreamConnection, exchange: Exchange) {
    if (performance.now() - connection.idleSince < freshMs) {
      connection.send(exchange)
      return
    }
    setImmediate(() => {
      if (exchange.aborted) this.release(connection)
      else if (connection.isOpen) connection.send(exchange)
      else this.begin(exchange)
    })
  }

  /** The one that was used last: the others may grow old. */
  private take(): UpstreamConnection | null {
    const now = performance.now()
    while (true) {
      const connection = this.idle.pop()
      if (connection === undefined) return null
      if (connection.isOpen && connection.keptUntil > now) return connection
      connection.close()
    }
  }

  private readonly sweep = () => {
    const now = performance.now()
    for (const connection of this.idle.splice(0)) {
      if (connection.isOpen && connection.keptUntil > now) this.idle.push(connection)
      else connection.close()
    }
    if (this.idle.length > 0 || this.sweeper === null) return
    clearInterval(this.sweeper)
    this.sweeper = null
  }

  private messageOf({ body: given, headers, isOffer, method, path }: Outgoing): Message {
    const body = Buffer.isBuffer(given) && given.length === 0 ? null : given
    const hasPayload = withPayload.has(method)
    let head = `${method} ${path} HTTP/1.1\r\n${this.host}${hopOf(method, isOffer)}\r\n`
    let length = Buffer.isBuffer(body) ? String(body.length) : body === null && hasPayload ? "0" : null
    for (let index = 0; index < headers.length; index += 2) {
      const name = headers[index]!
      if (name.length !== 14 || name.toLowerCase() !== "content-length") head += `${name}: ${headers[index + 1]!}\r\n`
      else if (body !== null) length ??= headers[index + 1]!
    }
    const isChunked = body !== null && length === null
    if (isChunked) head += "transfer-encoding: chunked\r\n"
    else if (length !== null) head += `content-length: ${length}\r\n`
    // As undici: some servers send a body in answer to HEAD, and some leave unread what they did not expect.
    const isLast = isOffer || method === "HEAD" || (body !== null && !hasPayload)
    return { method, head: `${head}\r\n`, body, isChunked, isOffer, isLast }
  }

  private begin(exchange: Exchange) {
    const { hostname, protocol } = this.url
    const options = {
      // An address of IPv6 without its brackets.
      hostname: hostname.startsWith("[") ? hostname.slice(1, -1) : hostname,
      host: this.url.host,
      protocol,
      port: this.url.port
    }
    // No buffer of its own for what each read brings; TLS has its own ways, and a WebSocket's tunnel is to read what follows.
    const hasEvents = protocol === "https:" || exchange.message.isOffer
    let connection: UpstreamConnection | null = null
    const read = (length: number) => {
      connection!.read(readBuffer.subarray(0, length))
      return true
    }
    const connect = hasEvents
      ? this.connect
      : buildConnector({ timeout: this.connectMs, onread: { buffer: readBuffer, callback: read } } as object)
    // Its types do not tell what it answers.
    const socket = connect(options, (...[error]) => {
      this.open.delete(connecting)
      if (error !== null) {
        exchange.fail(error)
        return
      }
      const opened = connection = new UpstreamConnection(socket, this)
      this.open.add(opened)
      socket.on("close", () => this.open.delete(opened))
      if (hasEvents) socket.on("data", (bytes: Buffer) => opened.read(bytes))
      opened.send(exchange)
    }) as unknown as Socket
    const connecting = exchange.carrier = {
      pause() {},
      resume() {},
      fail(error: Error) {
        exchange.fail(error)
        // Told why, it waits no longer for its connection.
        socket.destroy(error)
      }
    }
    this.open.add(connecting)
  }
}

const hopOf = (method: string, isOffer: boolean) =>
  isOffer ? "upgrade\r\nupgrade: websocket" : method === "HEAD" ? "close" : "keep-alive"

const isPath = (path: string) => /^\/[\u0021-\u00FF]*$/.test(path)
const isText = (text: string) => !/[^\t\u0020-\u007E\u0080-\u00FF]/.test(text)
