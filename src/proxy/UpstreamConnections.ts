import type { Socket } from "node:net"
import type { Dispatcher } from "undici"
import { readBuffer } from "../http/AnswerParser.js"
import { buildConnector, errors } from "../http/Undici.js"
import { type ConnectionOwner, Exchange, UpstreamConnection } from "./UpstreamConnection.js"

/** A request whose body is there. */
export interface Whole {
  readonly path: string
  readonly method: string
  /** Names and values in turn, without `host` and what is of one hop. */
  readonly headers: ReadonlyArray<string>
  readonly body: Buffer | null
}

/** How often connections are looked for that are too old. */
const sweepMs = 1_000

/** Methods whose requests tell a length even where it is none, as undici has it. */
const withPayload = new Set(["PUT", "POST", "PATCH", "QUERY", "PROPFIND", "PROPPATCH"])

/**
 * The kept connections to the upstream. It costs a third of what undici does for the same request, since it knows only requests that are
 * whole before they are sent (`docs/decisions/0003-upstream-connections.md`).
 */
export class UpstreamConnections implements ConnectionOwner {
  private readonly open = new Set<UpstreamConnection>()
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
  private isClosed = false

  constructor(origin: string, readonly timeoutMs: number) {
    this.url = new URL(origin)
    this.host = `host: ${this.url.host}\r\nconnection: `
    this.connectMs = Math.min(timeoutMs, 10_000)
    this.connect = buildConnector({ timeout: this.connectMs })
  }

  dispatch({ body, headers, method, path }: Whole, call: Dispatcher.DispatchHandler): void {
    const hasPayload = withPayload.has(method)
    // As undici: some servers send a body in answer to HEAD, and some leave unread what they did not expect.
    const endsConnection = method === "HEAD" || (body !== null && !hasPayload)
    let head = `${method} ${path} HTTP/1.1\r\n${this.host}${method === "HEAD" ? "close" : "keep-alive"}\r\n`
    for (let index = 0; index < headers.length; index += 2) {
      const name = headers[index]!
      if (name.length === 14 && name.toLowerCase() === "content-length") continue
      head += `${name}: ${headers[index + 1]!}\r\n`
    }
    if (body !== null || hasPayload) head += `content-length: ${body?.length ?? 0}\r\n`
    const exchange = new Exchange(method, `${head}\r\n`, body, endsConnection, call)
    if (this.idle.length === 0 && this.released.length === 0) this.begin(exchange)
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
    this.isClosed = true
    if (this.sweeper !== null) clearInterval(this.sweeper)
    for (const connection of this.open) connection.close()
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
      const connection = this.take()
      if (connection !== null) connection.send(exchange)
      else if (released.length > this.waiting.length) this.waiting.push(exchange)
      else this.begin(exchange)
    }
    this.idle.push(...released)
    if (this.waiting.length > 0) this.awaitTurn()
    if (this.idle.length > 0) this.sweeper ??= setInterval(this.sweep, sweepMs).unref()
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

  private begin(exchange: Exchange) {
    const { hostname, protocol } = this.url
    const options = {
      // An address of IPv6 without its brackets.
      hostname: hostname.startsWith("[") ? hostname.slice(1, -1) : hostname,
      host: this.url.host,
      protocol,
      port: this.url.port
    }
    let connection: UpstreamConnection | null = null
    const read = (length: number) => {
      connection!.read(readBuffer.subarray(0, length))
      return true
    }
    // No buffer of its own for what each read brings; TLS has its own ways.
    const connect = protocol === "https:"
      ? this.connect
      : buildConnector({ timeout: this.connectMs, onread: { buffer: readBuffer, callback: read } } as object)
    connect(options, (...[error, socket]) => {
      if (error !== null || this.isClosed) {
        socket?.destroy()
        exchange.call.onResponseError?.(exchange, error ?? new errors.ClientDestroyedError())
        return
      }
      const opened = connection = new UpstreamConnection(socket as Socket, this)
      this.open.add(opened)
      socket.on("close", () => this.open.delete(opened))
      if (protocol === "https:") socket.on("data", (bytes: Buffer) => opened.read(bytes))
      opened.send(exchange)
    })
  }
}
