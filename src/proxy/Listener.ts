/** The socket that a proxy listens on: how it opens, what it is told of, and how it stops. */
import * as Effect from "effect/Effect"
import { createServer, type Server } from "node:http"
import { Server as NetServer, type Socket } from "node:net"
import type { Duplex } from "node:stream"
import { counted } from "../domain/Figures.js"
import { isReachedAs } from "../http/HostName.js"
import { listenFailure } from "../http/ListenFailure.js"
import { closeNow, closeOnceHeard } from "./BreakOff.js"
import type { UnderWay } from "./CallClock.js"
import type { Member, Members } from "./Members.js"
import { ProxyStartError } from "./ProxyError.js"
import type { ProxyOptions } from "./ProxyOptions.js"
import { type Handler, listenForUpgrades, takenOffers } from "./Upgrades.js"

/** Who is told what comes in. */
export interface Listener extends Handler {
  readonly connections: Members<Connection>
  readonly underWay: Iterable<UnderWay> & { readonly size: number }
  /** For a client that sent what is no request. */
  readonly clientError: (error: NodeJS.ErrnoException, socket: Duplex) => void
  /** The proxy stops: nobody waits for a place any more. */
  readonly retire: () => void
}

export interface Connection extends Member {
  readonly socket: Socket
}

const warnEveryMs = 60_000

export const listen = (gateway: Listener, { bind, limits, upstreamUrl, warn }: ProxyOptions) =>
  Effect.async<Server, ProxyStartError>((resume) => {
    const upstream = new URL(upstreamUrl)
    // A URL leaves out the port that its scheme has anyway.
    if (
      (upstream.port || (upstream.protocol === "https:" ? "443" : "80")) === String(bind.port) &&
      isReachedAs(bind.host, upstream.hostname)
    ) {
      const why = "OPENAI_BASE_URL may be set for its clients, and is its upstream unless a flag names one"
      resume(new ProxyStartError({ detail: `the upstream ${upstreamUrl} is this proxy itself; ${why}` }))
      return
    }
    const server = createServer(
      {
        maxHeaderSize: limits.headBytesMax,
        headersTimeout: limits.headMs,
        requestTimeout: 0,
        connectionsCheckingInterval: Math.min(1_000, limits.headMs),
        keepAliveTimeout: 75_000,
        // A request that names no host is refused by the guard, in the shape of all errors.
        requireHostHeader: false,
        ...takenOffers
      },
      (request, response) => {
        closeOnceHeard(request, response)
        gateway.handle(request, response)
      }
    )
    server.maxConnections = limits.connectionsMax
    // Node would drop what is beyond a thousand headers without a word; their bytes are limited already.
    server.maxHeadersCount = 0
    const known = new WeakSet<Socket>()
    listenForUpgrades(server, gateway)
    server.on("connection", (socket) => {
      // One whose offer was declined comes a second time.
      if (known.has(socket)) return
      known.add(socket)
      // Each call watches its socket, and a client may pipeline many calls on one.
      socket.setMaxListeners(0)
      const connection = { socket, place: -1 }
      gateway.connections.add(connection)
      socket.once("close", () => gateway.connections.delete(connection))
    })
    server.on("clientError", (error: NodeJS.ErrnoException, socket) => gateway.clientError(error, socket))
    let warnedAt = Number.NEGATIVE_INFINITY
    server.on("error", (error) => {
      resume(new ProxyStartError({ detail: listenFailure(bind, error) }))
      // One that listens goes on: the system had no room for a connection, say, and its client may try again.
      if (!server.listening || performance.now() - warnedAt < warnEveryMs) return
      warnedAt = performance.now()
      warn(`tau: warning: a connection could not be taken: ${error.message}`)
    })
    server.listen(bind.port, bind.host, () => resume(Effect.succeed(server)))
  })

/** Takes no new calls, lets those under way finish for a while, then breaks what is left. */
export const stop = (server: Server, gateway: Listener, { limits, warn }: ProxyOptions) =>
  Effect.async<void>((resume) => {
    let isClosed = false
    let isPatient = true
    const lookIfOver = () => {
      // A call that is read on after its client left has no connection.
      if (!isClosed || isPatient && gateway.underWay.size > 0) return
      clearTimeout(patience)
      clearInterval(looking)
      resume(Effect.void)
    }
    const look = () => {
      let isSending = false
      for (const { socket } of gateway.connections) {
        isSending ||= socket.writableLength > 0
        // Connections that were opened and never used are not idle to Node, and clients keep some in reserve.
        if (socket.bytesRead === 0) socket.destroy()
      }
      // To Node a connection is idle as soon as its answer is written, whether or not all of it has left.
      if (!isSending) server.closeIdleConnections()
      lookIfOver()
    }
    const patience = setTimeout(() => {
      isPatient = false
      const { size } = gateway.underWay
      if (size > 0) warn(`tau: ${counted(size, "call")} under way broken off after ${limits.shutdownGraceMs / 1_000} s`)
      for (const call of gateway.underWay) call.abandon()
      for (const { socket } of gateway.connections) closeNow(socket)
      lookIfOver()
    }, limits.shutdownGraceMs)
    const looking = setInterval(look, 50)
    gateway.retire()
    // Half a head of a request is no call, and is not waited for either.
    server.headersTimeout = 1
    // Not as the HTTP server's own, which closes idle connections first.
    NetServer.prototype.close.call(server, () => {
      isClosed = true
      lookIfOver()
    })
    look()
  })
