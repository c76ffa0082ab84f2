import type { Socket } from "node:net"
import type { Dispatcher, Pool as DispatcherPool } from "undici"
import { buildConnector, Client, Pool } from "../http/Undici.js"
import { Informational } from "./Informational.js"
import { resetCode } from "./ProxyError.js"
import type { ProxyOptions } from "./ProxyOptions.js"
import { UpstreamConnections, type Whole } from "./UpstreamConnections.js"

/** The way to the upstream. */
export interface Upstream {
  dispatch(options: Dispatcher.DispatchOptions, call: Dispatcher.DispatchHandler & Partial<Pausing>): void
  destroy(): Promise<void>
}

/** A request that is whole goes over connections of the proxy's own; one whose body is still on its way, and an offer, over undici's. */
export const upstreamPool = (origin: string, options: ProxyOptions): Upstream => {
  const whole = new UpstreamConnections(origin, options.timeoutMs)
  const pool = undiciPool(origin, options)
  return {
    dispatch(options, call) {
      if (isWhole(options)) whole.dispatch(options, call)
      else pool.dispatch(options, call)
    },
    async destroy() {
      whole.destroy()
      await pool.destroy()
    }
  }
}

/** What undici refuses is left to it: a path or a header that would not be the one it seems. */
const isWhole = (options: Dispatcher.DispatchOptions): options is Dispatcher.DispatchOptions & Whole => {
  const { body, headers, path, upgrade } = options
  return upgrade === null && (body === null || Buffer.isBuffer(body)) && Array.isArray(headers) && isPath(path) &&
    headers.every(isText)
}

const isPath = (path: string) => /^\/[\u0021-\u00FF]*$/.test(path)
const isText = (text: string) => !/[^\t\u0020-\u007E\u0080-\u00FF]/.test(text)

/** undici's own retries, redirects and decompression stay out: what the upstream says is what the client gets. */
const undiciPool = (origin: string, { limits, timeoutMs }: ProxyOptions): DispatcherPool =>
  new Connections(origin, {
    headersTimeout: timeoutMs,
    bodyTimeout: timeoutMs,
    connections: limits.callsMax,
    pipelining: 1,
    maxHeaderSize: 64 * 1024,
    factory: (address, options) => new Connection(address, options, Math.min(timeoutMs, 10_000))
  })

/** A call that may have asked for a pause. */
export interface Pausing {
  /** The upstream has sent all it will: a pause keeps nothing back any more. */
  readonly onUpstreamEnd: () => void
}

/** What is asked of a connection, and by which call: the pool wraps its handler. */
interface Dispatched extends Dispatcher.DispatchOptions {
  call?: Partial<Pausing>
}

class Connections extends Pool {
  override dispatch(options: Dispatched, call: Dispatcher.DispatchHandler & Partial<Pausing>): boolean {
    options.call = call
    return super.dispatch(options, call)
  }
}

/**
 * A connection to the upstream, one call at a time.
 *
 * Three of undici's habits are mended here. Two concern bodies that only the close of the connection ends: it cannot bear the end
 * of a connection while its reader pauses, which would end the process; and it takes a reset of the connection for the end of
 * the body. Its listeners are added after these. The third is what it makes of a `100 Continue` (`Informational.ts`).
 */
class Connection extends Client {
  private call: Partial<Pausing> | null = null
  private informational = new Informational()

  constructor(origin: URL, options: object, timeout: number) {
    const connect = buildConnector({ timeout })
    super(origin, {
      ...options,
      connect: (target, opened) =>
        connect(target, (...[error, socket]) => {
          if (error !== null) {
            opened(error, null)
            return
          }
          socket.on("end", () => this.call?.onUpstreamEnd?.())
          socket.on("error", (broken: NodeJS.ErrnoException) => {
            if (broken.code === "ECONNRESET") broken.code = resetCode
          })
          this.informational = reading(socket)
          opened(null, socket)
        })
    })
  }

  override dispatch(options: Dispatched, handler: Dispatcher.DispatchHandler): boolean {
    this.call = options.call ?? null
    this.informational.expect()
    return super.dispatch(options, handler)
  }
}

/** Looks at what a connection brings before its reader does. */
const reading = (socket: Socket): Informational => {
  const informational = new Informational()
  const push = socket.push.bind(socket)
  socket.push = (chunk: Uint8Array | null, encoding) => {
    if (chunk !== null) informational.read(chunk)
    return push(chunk, encoding)
  }
  return informational
}
