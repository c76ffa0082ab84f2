import { assert, describe, it } from "@effect/vitest"
import Database from "better-sqlite3"
import * as Effect from "effect/Effect"
import { connect, createServer, type Socket } from "node:net"
import { join } from "node:path"
import { toBaseUrl } from "../../src/domain/Attribution.js"
import { Proxy } from "../../src/proxy/Proxy.js"
import { defaultLimits } from "../../src/proxy/ProxyOptions.js"
import { attribution, finishedSpans, oneSpan, proxyAt, withProxy } from "../support/proxy.js"
import { scratchFolder } from "../support/store.js"
import { eventually } from "../support/upstream.js"

const head = "HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\n\r\n"
const event = `data: {"choices":[{"delta":{"content":"more"}}]}\n\n`
const done = "data: [DONE]\n\n"

/** A server whose answers end only with their connection, as the test tells them. */
const closing = (answer: (socket: Socket) => void) =>
  Effect.acquireRelease(
    Effect.async<ReturnType<typeof createServer>>((resume) => {
      const server = createServer((socket) => void socket.on("error", () => {}).once("data", () => answer(socket)))
      server.listen(0, "127.0.0.1", () => resume(Effect.succeed(server)))
    }),
    (server) => Effect.sync(() => void server.close())
  ).pipe(Effect.map((server) => `http://127.0.0.1:${(server.address() as { port: number }).port}`))

/** A client that reads only when it is told to, and what it has heard. */
const readerOf = (version: "1.0" | "1.1") =>
  Effect.gen(function*() {
    const { origin } = yield* Proxy
    const base = toBaseUrl(origin, attribution)
    const socket = yield* Effect.acquireRelease(
      Effect.sync(() =>
        connect({ port: Number(new URL(origin).port), host: "127.0.0.1", allowHalfOpen: version === "1.0" })
      ),
      (opened) => Effect.sync(() => opened.destroy())
    )
    const heard: Array<Buffer> = []
    let ending: "open" | "whole" | "cut" | "reset" = "open"
    // The last chunk is all that tells a whole body from a cut one.
    const text = () => Buffer.concat(heard).toString("latin1").replaceAll(/\r\n(?:[0-9a-f]+\r\n)/g, "")
    socket.on("data", (part) => heard.push(part)).on("error", () => {
      ending = "reset"
    }).on("close", () => {
      if (ending === "open") ending = heard.at(-1)?.toString("latin1").endsWith("0\r\n\r\n") === true ? "whole" : "cut"
    })
    socket.write(
      `POST ${new URL(base).pathname}/chat/completions HTTP/${version}\r\nhost: localhost\r\nconnection: close\r\n` +
        "content-length: 2\r\n\r\n{}"
    )
    return { socket, text, ending: () => ending }
  })

const reader = readerOf("1.1")

/** More slowly than it comes. */
const readSlowly = (socket: Socket) =>
  socket.on("data", () => {
    socket.pause()
    setImmediate(() => socket.resume())
  })

const soon = (what: string, isSo: () => boolean) => eventually(what, Effect.sync(() => isSo() ? true : undefined))

describe("An answer that only the close of its connection ends", () => {
  it.scopedLive("reaches a client whole that reads it more slowly than it comes", () =>
    Effect.gen(function*() {
      const body = event.repeat(150_000)
      const url = yield* closing((socket) => void socket.end(head + body))
      yield* withProxy(
        url,
        Effect.gen(function*() {
          const { ending, socket, text } = yield* reader
          readSlowly(socket)
          yield* soon("the end", () => ending() !== "open")
          assert.strictEqual(ending(), "whole")
          assert.strictEqual(text().split("more").length - 1, 150_000)
          const span = yield* oneSpan
          assert.deepInclude({ ...span }, { state: "done", responseBytes: body.length })
        })
      )
    }))

  it.scopedLive("is cut, not whole, when the connection is reset", () =>
    Effect.gen(function*() {
      let upstream: Socket | undefined
      const url = yield* closing((socket) => {
        upstream = socket
        socket.write(head + event)
      })
      yield* withProxy(
        url,
        Effect.gen(function*() {
          const { ending, text } = yield* reader
          yield* soon("the event", () => text().includes("more"))
          upstream!.resetAndDestroy()
          yield* soon("the end", () => ending() !== "open")
          assert.strictEqual(ending(), "cut")
          assert.deepInclude({ ...yield* oneSpan }, { state: "upstream_cut", responseBytes: event.length })
        })
      )
    }))

  it.scopedLive("is cut, not whole, when the reset is read together with what came before it", () =>
    Effect.gen(function*() {
      const url = yield* closing((socket) => void socket.write(head + event, () => socket.resetAndDestroy()))
      yield* withProxy(
        url,
        Effect.gen(function*() {
          const { ending } = yield* reader
          yield* soon("the end", () => ending() !== "open")
          assert.strictEqual(ending(), "cut")
          const { attributes, state } = yield* oneSpan
          assert.strictEqual(state, "upstream_cut")
          assert.include(attributes["tau.error_message"], "ECONNRESET")
        })
      )
    }))

  it.scopedLive("keeps back the bracket that makes its JSON whole until it is recorded, but not JSON behind JSON", () =>
    Effect.gen(function*() {
      let upstream: Socket | undefined
      const url = yield* closing((socket) => {
        upstream = socket
        socket.write("HTTP/1.1 200 OK\r\ncontent-type: application/json; charset=utf-8\r\n\r\n")
      })
      yield* withProxy(
        url,
        Effect.gen(function*() {
          const say = (text: string) =>
            Effect.zipRight(
              soon("the upstream", () => upstream !== undefined),
              Effect.sync(() => void upstream!.write(text))
            )
          const whole = yield* reader
          yield* say(`{"id":"}","choices":[`)
          yield* soon("its beginning", () => whole.text().trimEnd().endsWith(`"choices":[`))
          yield* say(`]}\n`)
          yield* soon("all but its end", () => whole.text().trimEnd().endsWith(`"choices":[]`))
          upstream!.end()
          yield* soon("its end", () => whole.ending() === "whole")
          assert.isTrue(whole.text().trimEnd().endsWith(`"choices":[]}`))

          upstream = undefined
          const lines = yield* reader
          yield* say(`{"a":1}`)
          yield* soon("all but its end", () => lines.text().trimEnd().endsWith(`{"a":1`))
          yield* say(`\n{"a":2}`)
          yield* soon("both", () => lines.text().trimEnd().endsWith(`{"a":1}\n{"a":2}`))
          upstream!.end()
          yield* soon("its end", () => lines.ending() === "whole")

          upstream = undefined
          const cut = yield* reader
          yield* say(`{"a":1}`)
          yield* soon("all but its end", () => cut.text().trimEnd().endsWith(`{"a":1`))
          upstream!.resetAndDestroy()
          yield* soon("all that came", () => cut.ending() === "cut")
          assert.isTrue(cut.text().trimEnd().endsWith(`{"a":1}`))
          assert.deepStrictEqual((yield* finishedSpans(3)).map(({ state }) => state), ["done", "done", "upstream_cut"])
        })
      )
    }))

  it.scopedLive("is a reset to a client of HTTP/1.0 when it is cut, after all that had come", () =>
    Effect.gen(function*() {
      const body = event.repeat(50_000)
      const chunked = "HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n"
      const url = yield* closing((socket) => void socket.end(`${chunked}fffffff\r\n${body}`))
      yield* withProxy(
        url,
        Effect.gen(function*() {
          const { ending, socket, text } = yield* readerOf("1.0")
          readSlowly(socket)
          yield* soon("the end", () => ending() !== "open")
          assert.strictEqual(ending(), "reset")
          assert.strictEqual(text().split("more").length - 1, 50_000)
          assert.deepInclude({ ...yield* oneSpan }, { state: "upstream_cut", responseBytes: body.length })
        })
      )
    }))

  it.scopedLive("is read up to its cut by a client of HTTP/1.0 that takes its time to begin", () =>
    Effect.gen(function*() {
      const body = event.repeat(10_000)
      const url = yield* closing((socket) =>
        void socket.end(`HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\nfffffff\r\n${body}`)
      )
      yield* withProxy(
        url,
        Effect.gen(function*() {
          const { ending, socket, text } = yield* readerOf("1.0")
          socket.pause()
          yield* oneSpan
          // A reset takes away what the system still holds for it.
          yield* Effect.sleep(100)
          socket.resume()
          yield* soon("the end", () => ending() !== "open")
          assert.strictEqual(ending(), "reset")
          assert.strictEqual(text().split("more").length - 1, 10_000)
        })
      )
    }))

  it.scopedLive("is the last that is heard of a client of HTTP/1.0 when it is cut, whatever that sends and however it leaves", () =>
    Effect.gen(function*() {
      const sockets: Array<Socket> = []
      const url = yield* closing((socket) => {
        sockets.push(socket)
        socket.end("HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\nff\r\npart")
      })
      const endings = yield* withProxy(
        url,
        Effect.forEach(
          ["", "GET /v1/models HTTP/1.0\r\nhost: localhost\r\n\r\n", "no request\r\n\r\n"],
          (text, n) =>
            Effect.gen(function*() {
              const { ending, socket, text: heard } = yield* readerOf("1.0")
              yield* soon("the part", () => heard().endsWith("part"))
              yield* finishedSpans(n + 1)
              socket.end(text)
              yield* soon("the end", () => ending() !== "open")
              assert.isTrue(heard().endsWith("part"))
              return ending()
            })
        )
      )
      assert.deepStrictEqual(endings, ["reset", "reset", "reset"])
      assert.strictEqual(sockets.length, 3)
    }))

  for (const how of ["cut", "under way"]) {
    it.scopedLive(`is a reset to a client of HTTP/1.0 when it is ${how} and the proxy stops`, () =>
      Effect.gen(function*() {
        const part = "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\nff\r\npart"
        const url = yield* closing((socket) => void (how === "cut" ? socket.end(part) : socket.write(part)))
        const ending = yield* withProxy(
          url,
          Effect.gen(function*() {
            const { ending, text } = yield* readerOf("1.0")
            yield* soon("the part", () => text().endsWith("part"))
            return ending
          }),
          { limits: { ...defaultLimits, shutdownGraceMs: 50 } }
        )
        yield* soon("the end", () => ending() !== "open")
        assert.strictEqual(ending(), "reset")
      }))
  }

  it.scopedLive("takes nothing else with it when the connection is reset while the client reads nothing", () =>
    Effect.gen(function*() {
      const sockets: Array<Socket> = []
      const url = yield* closing((socket) => {
        sockets.push(socket)
        if (sockets.length > 1) socket.end(head + done)
        else socket.write(head + event.repeat(300_000))
      })
      yield* withProxy(
        url,
        Effect.gen(function*() {
          const { socket } = yield* reader
          socket.pause()
          yield* soon("the call upstream", () => sockets.length === 1)
          sockets[0]!.resetAndDestroy()
          socket.resume()
          assert.strictEqual((yield* oneSpan).state, "upstream_cut")
          const next = yield* reader
          yield* soon("the end", () => next.ending() === "whole")
        })
      )
    }))

  it.scopedLive("is done when the connection is reset after its terminal event, though the commit takes long", () =>
    Effect.gen(function*() {
      let upstream: Socket | undefined
      const url = yield* closing((socket) => {
        upstream = socket
        socket.write(head + event)
      })
      const path = join(yield* scratchFolder, "store.sqlite")
      yield* Effect.gen(function*() {
        const { ending, text } = yield* reader
        yield* soon("the first event", () => text().includes("more"))
        const other = new Database(path)
        other.exec("BEGIN IMMEDIATE")
        const isReset = new Promise((resolve) => upstream!.once("close", resolve))
        upstream!.write(event + done)
        // What the proxy has read: a reset takes away what it has not.
        yield* soon("the second event", () => text().split("more").length === 3)
        upstream!.resetAndDestroy()
        yield* Effect.promise(() => isReset)
        other.exec("COMMIT")
        other.close()
        yield* soon("the end", () => ending() !== "open")
        assert.include(text(), done)
        assert.strictEqual((yield* finishedSpans())[0]!.state, "done")
      }).pipe(Effect.provide(proxyAt(path, url, { timeoutMs: 60_000 })))
    }))
})
