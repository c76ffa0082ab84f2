/**
 * A server that misbehaves by name, to try out what an agent, an SDK or a proxy does about it. It writes bare bytes to bare
 * sockets: much of what it says is no HTTP at all.
 */
import { createServer, type IncomingMessage } from "node:http"
import type { AddressInfo } from "node:net"
import { contentFaults } from "./ContentFaults.js"
import { completion, Exchange, json, type WireFaults } from "./Exchange.js"
import { framingFaults } from "./FramingFaults.js"
import { headFaults } from "./HeadFaults.js"
import { streamFaults } from "./StreamFaults.js"

/** Every fault by its name, with what the client gets in words. */
export const wireFaults: WireFaults = { ...headFaults, ...framingFaults, ...contentFaults, ...streamFaults }

/** A request as it came, and what it got. */
export interface FaultyRequest {
  readonly method: string
  readonly path: string
  /** Names and values in turn, as they came. */
  readonly rawHeaders: ReadonlyArray<string>
  readonly body: Buffer
  /** Null for a request that got a plain answer. */
  readonly fault: string | null
}

/** Where the server listens, and who is told of its requests. */
export interface FaultyUpstreamOptions {
  /** `127.0.0.1` by default. */
  readonly host?: string
  /** 0, the default, takes a free port. */
  readonly port?: number
  /** Told of every request that has come whole, before it is answered. */
  readonly onRequest?: (request: FaultyRequest) => void
}

/** A faulty server that listens. */
export interface FaultyUpstream {
  /** `http://host:port`, without a path. */
  readonly origin: string
  /** A base URL whose every answer has this fault. */
  readonly baseUrl: (fault: string) => string
  /** Answers that are not over yet, and whose client is still there. */
  readonly underWay: () => number
  /** Open connections. */
  readonly connections: () => number
  /** Breaks off what is under way and frees the port. */
  readonly close: () => Promise<void>
}

/** Longest request body that is read, in bytes; of a longer one the beginning is kept. */
const bodyBytesMax = 128 * 1024 * 1024

/** The fault is named by the header `x-fault`, or by a path that begins with `/fault/<name>/`. */
const faultOf = ({ headers, url }: IncomingMessage): string | null => {
  const named = headers["x-fault"]
  return typeof named === "string" ? named : /\/fault\/([a-z0-9.-]+)/.exec(url ?? "")?.[1] ?? null
}

/**
 * Starts the server. A request that names no fault gets a small chat completion; one that names an unknown fault gets a
 * 404 that says so.
 */
export const startFaultyUpstream = async (options: FaultyUpstreamOptions = {}): Promise<FaultyUpstream> => {
  const { host = "127.0.0.1", onRequest, port = 0 } = options
  const exchanges = new Set<Exchange>()
  let connections = 0

  const answer = (exchange: Exchange, name: string | null) => {
    const fault = name === null ? undefined : Object.hasOwn(wireFaults, name) ? wireFaults[name] : null
    if (fault === undefined) exchange.say(json(completion)).done()
    else if (fault === null) exchange.end("HTTP/1.1 404 Unknown Fault\r\nContent-Length: 0\r\n\r\n")
    else fault.play(exchange)
  }

  const server = createServer(
    { maxHeaderSize: 1024 * 1024, requestTimeout: 0, headersTimeout: 0, keepAliveTimeout: 0, noDelay: true },
    (request) => {
      const name = faultOf(request)
      const exchange: Exchange = new Exchange(request, request.socket, () => exchanges.delete(exchange))
      exchanges.add(exchange)
      if (name !== null && Object.hasOwn(wireFaults, name) && wireFaults[name]!.isEarly === true) {
        answer(exchange, name)
        return
      }
      const chunks: Array<Buffer> = []
      let bytes = 0
      request.on("data", (part: Buffer) => {
        bytes += part.length
        if (bytes <= bodyBytesMax) chunks.push(part)
      }).on("end", () => {
        onRequest?.({
          method: request.method ?? "",
          path: request.url ?? "",
          rawHeaders: request.rawHeaders,
          body: Buffer.concat(chunks),
          fault: name
        })
        answer(exchange, name)
      })
    }
  )
  server.on("connection", (socket) => {
    connections += 1
    socket.setMaxListeners(0)
    socket.on("error", () => {}).once("close", () => connections -= 1)
  })
  server.on("clientError", (_error, socket) => socket.destroy())
  await new Promise<void>((resolve, reject) => {
    server.once("error", reject)
    server.listen(port, host, () => {
      server.off("error", reject)
      resolve()
    })
  })
  const origin = `http://${host.includes(":") ? `[${host}]` : host}:${(server.address() as AddressInfo).port}`
  return {
    origin,
    baseUrl: (fault) => `${origin}/fault/${fault}/v1`,
    underWay: () => exchanges.size,
    connections: () => connections,
    close: () =>
      new Promise((resolve) => {
        if (!server.listening) return resolve()
        server.close(() => resolve())
        server.closeAllConnections()
      })
  }
}
