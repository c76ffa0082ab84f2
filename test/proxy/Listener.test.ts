import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import { once } from "node:events"
import { createServer } from "node:http"
import { type AddressInfo, connect } from "node:net"
import { join } from "node:path"
import type { UnderWay } from "../../src/proxy/CallClock.js"
import { type Connection, listen, type Listener, stop } from "../../src/proxy/Listener.js"
import { Members } from "../../src/proxy/Members.js"
import { defaultLimits, type ProxyOptions } from "../../src/proxy/ProxyOptions.js"
import { proxyAt } from "../support/proxy.js"
import { scratchFolder } from "../support/store.js"
import { upstream } from "../support/upstream.js"
import { sending, until } from "../support/webSocketClient.js"

/** More than the system holds for a client that does not read. */
const bytes = 16 * 1024 * 1024

/** A server that has ended its answer, of which most has not left yet, and the client that reads nothing of it. */
const unread = Effect.acquireRelease(
  Effect.promise(async () => {
    const connections = new Members<Connection>()
    const server = createServer((_, outgoing) => void outgoing.end(Buffer.alloc(bytes)))
    server.on("connection", (socket) => {
      const connection = { socket, place: -1 }
      connections.add(connection)
      socket.once("close", () => connections.delete(connection))
    })
    server.listen(0, "127.0.0.1")
    await once(server, "listening")
    const client = connect((server.address() as AddressInfo).port, "127.0.0.1")
    client.on("error", () => {}).write("GET / HTTP/1.1\r\nhost: localhost\r\n\r\n")
    await once(client, "readable")
    const underWay = new Members<UnderWay>()
    const gateway = { connections, underWay, retire: () => {} } as unknown as Listener
    return { client, gateway, server }
  }),
  ({ client, server }) => Effect.sync(() => void (client.destroy(), server.closeAllConnections(), server.close()))
)

const options = (shutdownGraceMs: number) =>
  ({ limits: { ...defaultLimits, shutdownGraceMs }, warn: () => {} }) as unknown as ProxyOptions

describe("A proxy that listens", () => {
  it.scopedLive("goes on when the system has no room for a connection, and says so once in a while", () =>
    Effect.gen(function*() {
      const warnings: Array<string> = []
      const gateway = {
        connections: new Members<Connection>(),
        underWay: new Members<UnderWay>()
      } as unknown as Listener
      const { port } = new URL(yield* upstream(() => {}))
      const listenTo = (port: number) =>
        listen(gateway, {
          bind: { host: "127.0.0.1", port },
          limits: defaultLimits,
          upstreamUrl: "http://127.0.0.1:1/v1",
          warn: (message: string) => void warnings.push(message)
        } as unknown as ProxyOptions)
      const server = yield* Effect.acquireRelease(listenTo(0), (server) => Effect.sync(() => server.close()))
      for (let n = 0; n < 3; n++) server.emit("error", new Error("accept ENOBUFS"))
      assert.deepStrictEqual(warnings, ["tau: warning: a connection could not be taken: accept ENOBUFS"])
      assert.isTrue(server.listening)
      assert.include((yield* Effect.flip(listenTo(Number(port)))).message, port)
    }))
})

describe("A proxy that stops", () => {
  it.scopedLive("lets an answer leave that is over for it, though not for its client", () =>
    Effect.gen(function*() {
      const { client, gateway, server } = yield* unread
      const stopping = yield* Effect.fork(stop(server, gateway, options(60_000)))
      yield* Effect.yieldNow()
      assert.isFalse(server.listening)
      const read = yield* Effect.promise(async () => {
        let sum = 0
        for await (const part of client) {
          sum += (part as Buffer).length
          // It stays open while it may carry another request: the client is who ends it here.
          if (sum > bytes) client.end()
        }
        return sum
      })
      assert.isAbove(read, bytes)
      yield* Fiber.join(stopping)
    }))

  it.scopedLive("waits for no client that reads nothing", () =>
    Effect.gen(function*() {
      const { gateway, server } = yield* unread
      const [connection] = gateway.connections
      yield* stop(server, gateway, options(50))
      assert.isTrue(connection!.socket.destroyed)
    }))

  it.scopedLive("waits for no client that has sent half of a request's head", () =>
    Effect.gen(function*() {
      const server = yield* upstream(() => {})
      const folder = yield* scratchFolder
      const limits = { ...defaultLimits, shutdownGraceMs: 4_000 }
      const client = yield* Effect.provide(
        Effect.gen(function*() {
          const half = yield* sending("GET /training/proxy/health HTTP/1.1\r\nhost: localhost\r\n\r\nGET / HT")
          yield* until("the answer to the first", () => half.bytes().includes("HTTP/1.1 200"))
          return half
        }),
        proxyAt(join(folder, "store.sqlite"), server, { limits })
      )
      // When its patience ends, it closes without a word.
      yield* until("the end", () => client.state() !== "open")
      assert.include(client.bytes().toString(), "HTTP/1.1 408 Request Timeout")
    }))
})
