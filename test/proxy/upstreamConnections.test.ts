import { assert, describe, it } from "@effect/vitest"
import Database from "better-sqlite3"
import * as Effect from "effect/Effect"
import { connect, createServer, type Socket } from "node:net"
import { join } from "node:path"
import type { Dispatcher } from "undici"
import { toBaseUrl } from "../../src/domain/Attribution.js"
import { Proxy } from "../../src/proxy/Proxy.js"
import { defaultLimits } from "../../src/proxy/ProxyOptions.js"
import { UpstreamConnections } from "../../src/proxy/UpstreamConnections.js"
import { attribution, finishedSpans, oneSpan, proxyAt, withProxy } from "../support/proxy.js"
import { scratchFolder } from "../support/store.js"
import { eventually } from "../support/upstream.js"

const sized = `HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: 11\r\n\r\n{"a":"bcd"}`
const withHeader = (header: string) => sized.replace("\r\n\r\n", `\r\n${header}\r\n\r\n`)

/** A server that hands each request, whole, to the test, and the connections it was given. */
const raw = (answer: (socket: Socket, request: string) => void) =>
  Effect.gen(function*() {
    const sockets: Array<Socket> = []
    const server = yield* Effect.acquireRelease(
      Effect.async<ReturnType<typeof createServer>>((resume) => {
        const opened = createServer((socket) => {
          sockets.push(socket)
          let text = ""
          socket.on("error", () => {}).on("data", (part) => {
            text += part.toString("latin1")
            const end = text.indexOf("\r\n\r\n") + 4
            if (end < 4 || text.length < end + Number(/content-length: (\d+)/.exec(text)?.[1] ?? 0)) return
            const request = text
            text = ""
            answer(socket, request)
          })
        })
        opened.listen(0, "127.0.0.1", () => resume(Effect.succeed(opened)))
      }),
      (opened) =>
        Effect.sync(() => {
          opened.close()
          for (const socket of sockets) socket.destroy()
        })
    )
    return { port: (server.address() as { port: number }).port, sockets }
  })

/** What a client hears of one call, to its end. */
const ask = (head = "POST /v1/chat/completions", body = "content-length: 2\r\n\r\n{}") =>
  Effect.flatMap(Proxy, ({ origin }) =>
    Effect.async<string>((resume) => {
      const base = new URL(toBaseUrl(origin, attribution)).pathname
      const socket = connect({ port: Number(new URL(origin).port), host: "127.0.0.1" })
      let heard = ""
      socket.on("data", (part) => heard += part.toString("latin1"))
      socket.on("error", () => {}).on("close", () => resume(Effect.succeed(heard)))
      socket.write(`${head.replace("/v1", base)} HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n${body}`)
      return Effect.sync(() => void socket.destroy())
    }))

const poolAt = (port: number) =>
  Effect.acquireRelease(
    Effect.sync(() => new UpstreamConnections(`http://127.0.0.1:${port}`, 2_000)),
    (connections) => Effect.sync(() => connections.destroy())
  )

const soon = (what: string, isSo: () => boolean) => eventually(what, Effect.sync(() => isSo() ? true : undefined))

describe("A connection to the upstream", () => {
  it.scopedLive("is used again after an answer that takes longer than it is kept idle", () =>
    Effect.gen(function*() {
      const answer = withHeader("keep-alive: timeout=3")
      const { port, sockets } = yield* raw((socket) => {
        socket.write(answer.slice(0, -4))
        // Kept for a second, from the end of the answer on.
        setTimeout(() => socket.write(answer.slice(-4)), 1_100)
      })
      yield* withProxy(`http://127.0.0.1:${port}`, Effect.zipRight(ask(), ask()))
      assert.strictEqual(sockets.length, 1)
    }))

  it.scopedLive("is not used again when more has come behind an answer, or comes while it is idle", () =>
    Effect.gen(function*() {
      const wrong = sized.replace("bcd", "xyz")
      const { port, sockets } = yield* raw((socket) => {
        socket.write(sockets.length === 1 ? sized + wrong : sized)
        if (sockets.length === 2) setTimeout(() => socket.write(wrong), 10)
      })
      yield* withProxy(
        `http://127.0.0.1:${port}`,
        Effect.gen(function*() {
          for (let call = 1; call <= 3; call++) {
            assert.include(yield* ask(), "bcd")
            if (call < 3) yield* soon("its end", () => sockets[call - 1]!.destroyed)
          }
        })
      )
      assert.strictEqual(sockets.length, 3)
    }))

  it.scopedLive("is told nothing of a body that turned out to be none", () =>
    Effect.gen(function*() {
      const requests: Array<string> = []
      const { port, sockets } = yield* raw((socket, request) => {
        requests.push(request)
        socket.write(sized)
      })
      const pool = yield* poolAt(port)
      for (let call = 1; call <= 2; call++) {
        yield* Effect.async<void>((resume) => {
          const request = { path: "/", method: "GET", headers: [], body: Buffer.alloc(0), isOffer: false }
          pool.dispatch(request, { onResponseEnd: () => resume(Effect.void) })
        })
      }
      assert.strictEqual(sockets.length, 1)
      assert.notInclude(requests[0], "content-length")
    }))

  for (
    const [what, answer, cause] of [
      ["will not be used again", withHeader("keep-alive: timeout=1"), "UND_ERR_SOCKET"],
      ["says that it closes", withHeader("connection: close"), "UND_ERR_RES_CONTENT_LENGTH_MISMATCH"]
    ] as const
  ) {
    it.scopedLive(`that ${what} and ends before its answer does is told by its cause`, () =>
      Effect.gen(function*() {
        const { port } = yield* raw((socket) => void socket.end(answer.slice(0, -11)))
        const heard = yield* withProxy(`http://127.0.0.1:${port}`, ask())
        assert.include(heard, `the upstream's answer broke off or could not be read (${cause})`)
      }))
  }

  it.scopedLive("brings no answer with a status below 100", () =>
    Effect.gen(function*() {
      const { port } = yield* raw((socket) => void socket.write("HTTP/1.1 099 Low\r\n\r\n"))
      const heard = yield* withProxy(`http://127.0.0.1:${port}`, ask())
      assert.include(heard, "502 Bad Gateway")
      assert.include(heard, "could not be read")
    }))

  it.scopedLive("has brought in time what came while the process was held up", () =>
    Effect.gen(function*() {
      const { port } = yield* raw((socket) => {
        socket.write(sized)
        Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 600)
      })
      const heard = yield* withProxy(`http://127.0.0.1:${port}`, ask(), { timeoutMs: 300 })
      assert.include(heard, "bcd")
    }))

  it.scopedLive("has all of its patience again once it is listened to again", () =>
    Effect.gen(function*() {
      const done = "data: [DONE]\n\n"
      const { port, sockets } = yield* raw((socket) => {
        socket.write("HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n")
      })
      const path = join(yield* scratchFolder, "store.sqlite")
      yield* Effect.gen(function*() {
        const call = yield* Effect.fork(ask())
        yield* soon("the call upstream", () => sockets.length === 1)
        const other = new Database(path)
        other.exec("BEGIN IMMEDIATE")
        sockets[0]!.write(`e\r\n${done}\r\n`)
        // It is paused until the commit, for most of its patience; then it takes most of that again.
        yield* Effect.sleep(1_100)
        other.exec("COMMIT")
        other.close()
        yield* Effect.sleep(900)
        sockets[0]!.write("0\r\n\r\n")
        const heard = (yield* call).split("\r\n\r\n")
        assert.include(heard[1], done)
        assert.isTrue(heard[1]!.endsWith("\r\n0"))
        assert.strictEqual((yield* oneSpan).state, "done")
      }).pipe(Effect.provide(proxyAt(path, `http://127.0.0.1:${port}`, { timeoutMs: 1_500 })))
    }))

  it.scopedLive("that is still being made is given up when its client leaves, and when the proxy stops", () =>
    Effect.gen(function*() {
      // TLS is not answered.
      const { port, sockets } = yield* raw(() => {})
      const began = performance.now()
      yield* withProxy(
        `https://127.0.0.1:${port}`,
        Effect.gen(function*() {
          const call = yield* Effect.fork(ask())
          yield* soon("the connection", () => sockets.length === 1)
          yield* call.interruptAsFork(call.id())
          yield* soon("its end", () => sockets[0]!.destroyed)
          assert.strictEqual((yield* oneSpan).state, "client_cancel")
          yield* Effect.forkDaemon(ask())
          yield* soon("another", () => sockets.length === 2)
        }),
        { timeoutMs: 60_000, limits: { ...defaultLimits, shutdownGraceMs: 50 } }
      )
      yield* soon("the end of the other", () => sockets[1]!.destroyed)
      assert.isBelow(performance.now() - began, 8_000)
    }))

  it.scopedLive("carries many calls at once, each with its own answer, and is given back", () =>
    Effect.gen(function*() {
      const { port, sockets } = yield* raw((socket, request) => {
        const n = /n=(\d+)/.exec(request)![1]!
        setImmediate(() => socket.write(`HTTP/1.1 200 OK\r\ncontent-length: ${n.length}\r\n\r\n${n}`))
      })
      yield* withProxy(
        `http://127.0.0.1:${port}`,
        Effect.gen(function*() {
          const heard = yield* Effect.forEach(
            Array.from({ length: 200 }, (_, n) => n),
            (n) => ask(`POST /v1/x?n=${n}`),
            { concurrency: 20 }
          )
          assert.deepStrictEqual(heard.map((text) => Number(text.split("\r\n\r\n")[1])), heard.map((_, n) => n))
          yield* finishedSpans(200)
        })
      )
      assert.isAtMost(sockets.length, 20)
    }))

  it.scopedLive("tells a call of its own failure", () =>
    Effect.gen(function*() {
      const { port } = yield* raw((socket) => void socket.write(sized))
      const pool = yield* poolAt(port)
      for (const event of ["onRequestStart", "onResponseStart", "onResponseData", "onResponseEnd"]) {
        const error = yield* Effect.async<Error>((resume) => {
          const fails = () => {
            throw new Error(event)
          }
          const call = { [event]: fails, onResponseError: (_: unknown, told: Error) => resume(Effect.succeed(told)) }
          const request = { path: "/", method: "GET", headers: [], body: null, isOffer: false }
          pool.dispatch(request, call as Dispatcher.DispatchHandler)
        })
        assert.strictEqual(error.message, event)
      }
    }))
})
