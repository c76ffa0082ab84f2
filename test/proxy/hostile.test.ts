import { assert, describe, it } from "@effect/vitest"
import Database from "better-sqlite3"
import * as Effect from "effect/Effect"
import { connect, createServer, type Socket } from "node:net"
import { join } from "node:path"
import { deflateSync, gzipSync } from "node:zlib"
import { request } from "undici"
import { toBaseUrl } from "../../src/domain/Attribution.js"
import { Proxy } from "../../src/proxy/Proxy.js"
import { defaultLimits } from "../../src/proxy/ProxyOptions.js"
import { SpanStore } from "../../src/store/SpanStore.js"
import { attribution, finishedSpans, oneSpan, proxyAt, responseText, withProxy } from "../support/proxy.js"
import { scratchFolder } from "../support/store.js"
import { eventually, upstream } from "../support/upstream.js"

/** A server that says exactly these bytes, whether they make sense or not. */
const rawUpstream = (answer: (socket: Socket) => void) =>
  Effect.acquireRelease(
    Effect.async<ReturnType<typeof createServer>>((resume) => {
      const server = createServer((socket) => {
        socket.on("error", () => {}).once("data", () => answer(socket))
      })
      server.listen(0, "127.0.0.1", () => resume(Effect.succeed(server)))
    }),
    (server) => Effect.sync(() => void server.close())
  ).pipe(Effect.map((server) => `http://127.0.0.1:${(server.address() as { port: number }).port}`))

/** A connection to the proxy, and what has come over it so far. */
const rawClient = Effect.map(Proxy, ({ origin }) => {
  const socket = connect(Number(new URL(origin).port), "127.0.0.1").on("error", () => {})
  let text = ""
  socket.on("data", (part: Buffer) => text += part.toString())
  return { socket, answer: () => text }
})

const baseUrl = Effect.map(Proxy, ({ origin }) => toBaseUrl(origin, attribution))

/** What a client gets: status and body, or the error's code. */
const get = (path = "/models") =>
  Effect.flatMap(baseUrl, (base) =>
    Effect.promise(() =>
      request(base + path).then(
        async ({ body, statusCode }) => `${statusCode} ${await body.text().catch((error) => error.code)}`,
        (error: { code: string }) => error.code
      )
    ))

const spansNow = Effect.flatMap(SpanStore, (spans) => spans.byAttempt(attribution.attemptId))

describe("Proxy, whatever a peer does", () => {
  it.scopedLive("passes an answer whose reason phrase is no Latin-1 text, and lives on", () =>
    Effect.gen(function*() {
      const url = yield* rawUpstream((socket) =>
        void socket.end("HTTP/1.1 200 OK ✓中\r\nContent-Length: 2\r\nConnection: close\r\n\r\nhi")
      )
      yield* withProxy(
        url,
        Effect.gen(function*() {
          assert.strictEqual(yield* get(), "200 hi")
          assert.strictEqual(yield* get(), "200 hi")
          assert.strictEqual((yield* finishedSpans(2)).length, 2)
        })
      )
    }))

  it.scopedLive("passes a name of a file that is no ASCII, in the bytes that it came in, and lives on", () =>
    Effect.gen(function*() {
      let name = ""
      const url = yield* rawUpstream((socket) => {
        const head = `HTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Disposition: attachment; filename="${name}"\r\n`
        socket.end(`${head}Connection: close\r\n\r\nhi`, "latin1")
      })
      // UTF-8 of a Latin-1 letter, UTF-8 of another, and Latin-1.
      const names = [Buffer.from("\u00E9"), Buffer.from("\u4E2D"), Buffer.from("\u00E9", "latin1")]
      yield* withProxy(
        url,
        Effect.gen(function*() {
          for (const origin of ["", "Origin: http://app.example\r\n"]) {
            for (const bytes of names) {
              name = bytes.toString("latin1")
              const { answer, socket } = yield* rawClient
              socket.setEncoding("latin1")
              socket.write(`GET /v1/files/1/content HTTP/1.1\r\nHost: localhost\r\n${origin}\r\n`)
              yield* eventually("the answer", Effect.sync(() => answer().endsWith("hi") || undefined))
              assert.include(answer(), `attachment; filename="${name}"`)
              assert.match(answer(), /content-length: 2\r\n/i)
            }
          }
        }),
        { allowedOrigins: ["http://app.example"] }
      )
    }))

  it.scopedLive("reads every header of a request, however many stand before it", () =>
    Effect.gen(function*() {
      const url = yield* upstream((_request, response) => void response.end("hi"))
      yield* withProxy(
        url,
        Effect.gen(function*() {
          const { socket } = yield* rawClient
          const headers = Array.from({ length: 1_500 }, (_, n) => `A${n}:b\r\n`).join("")
          const { attemptId, rolloutId } = attribution
          const last = `X-Rollout-Id: ${rolloutId}\r\nX-Attempt-Id: ${attemptId}\r\n`
          socket.write(`GET /v1/models HTTP/1.1\r\nHost: localhost\r\n${headers}${last}\r\n`)
          assert.strictEqual((yield* oneSpan).state, "done")
        })
      )
    }))

  it.scopedLive("gives up on an upstream that has over a hundred informational answers before its own", () =>
    Effect.gen(function*() {
      let count = 100
      const url = yield* rawUpstream((socket) =>
        void socket.end(
          `${"HTTP/1.1 102 Processing\r\n\r\n".repeat(count)}HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok`
        )
      )
      yield* withProxy(
        url,
        Effect.gen(function*() {
          const base = yield* baseUrl
          const ask = Effect.promise(async () => {
            const { body, statusCode } = await request(`${base}/models`)
            return [statusCode, await body.text()] as const
          })
          assert.deepStrictEqual(yield* ask, [200, "ok"])
          count = 101
          const [status, text] = yield* ask
          assert.strictEqual(status, 502)
          assert.include(text, "over 100 informational answers")
          assert.deepStrictEqual((yield* finishedSpans(2)).map(({ state }) => state), ["done", "upstream_error"])
        })
      )
    }))

  it.scopedLive("records an answer that claims an impossible number of tokens, without the number", () =>
    Effect.gen(function*() {
      let tokens = "3.5"
      const url = yield* upstream((_req, res) => {
        res.writeHead(200, { "content-type": "application/json" })
        res.end(
          `{"object":"chat.completion","choices":[],"usage":{"prompt_tokens":${tokens},"completion_tokens":1e25}}`
        )
      })
      yield* withProxy(
        url,
        Effect.gen(function*() {
          const base = yield* baseUrl
          for (tokens of ["3.5", "1e25", "-1", "7"]) {
            const { body } = yield* Effect.promise(() =>
              request(`${base}/chat/completions`, { method: "POST", body: "{}" })
            )
            assert.include(yield* Effect.promise(() => body.text()), tokens)
          }
          const spans = yield* finishedSpans(4)
          assert.deepStrictEqual(spans.map(({ inputTokens, outputTokens }) => [inputTokens, outputTokens]), [
            [null, null],
            [null, null],
            [null, null],
            [7, null]
          ])
        })
      )
    }))

  it.scopedLive.each(["text/event-stream", "application/json"])(
    "commits a named terminal event with its data, not before it has come (%s)",
    (type) =>
      Effect.gen(function*() {
        let socket: { write: (text: string) => void; destroy: () => void } | undefined
        const url = yield* upstream((_req, res) => {
          res.writeHead(200, { "content-type": type })
          res.write("event: a\ndata: {}\n\nevent: response.completed\n")
          socket = res
        })
        const rest = `data: {"type":"response.completed","response":{"id":"r"}}\n\n`
        const open = Effect.gen(function*() {
          const base = yield* baseUrl
          const { body } = yield* Effect.promise(() => request(`${base}/responses`, { method: "POST", body: "{}" }))
          const parts: Array<string> = []
          const ending = new Promise<string>((resolve) =>
            body.on("data", (part: Buffer) => parts.push(part.toString())).on("error", () => resolve("broken")).on(
              "end",
              () => resolve("clean")
            )
          )
          yield* eventually("the first event", Effect.sync(() => parts[0]))
          return { parts, ending }
        })
        yield* withProxy(
          url,
          Effect.gen(function*() {
            const whole = yield* open
            socket?.write(rest)
            yield* eventually("the data", Effect.sync(() => whole.parts.join("").endsWith(rest) ? true : undefined))
            const [span] = yield* finishedSpans()
            assert.strictEqual(span?.state, "done")
            assert.isTrue((yield* responseText(span!)).endsWith(rest))
            const cut = yield* open
            socket?.write("data: {\"type\":")
            socket?.destroy()
            assert.strictEqual(
              yield* Effect.promise(() => cut.ending),
              "broken"
            )
            assert.notInclude(cut.parts.join(""), "response.completed")
            assert.strictEqual((yield* finishedSpans(2))[1]?.state, "upstream_cut")
          })
        )
      })
  )

  it.scopedLive("holds the end of a stream back, whatever the stream calls itself and however it is framed", () =>
    Effect.gen(function*() {
      const heads: ReadonlyArray<Record<string, string>> = [
        { "content-type": "text/event-stream", "content-encoding": "Identity" },
        { "content-type": "Text/Event-Stream; charset=utf-8" },
        { "content-type": "text/plain" },
        { "content-type": "text/event-stream", "content-length": "24" }
      ]
      let head = 0
      const url = yield* upstream((_req, res) => {
        res.writeHead(200, heads[head]!)
        res.write("data: 1\n\n")
        res.write(head === 3 ? "data: 2, the end".slice(0, 15) : "data: [DONE]\n\n")
      })
      yield* withProxy(
        url,
        Effect.gen(function*() {
          const base = yield* baseUrl
          for (head = 0; head < heads.length; head++) {
            const { body } = yield* Effect.promise(() => request(`${base}/x`))
            const parts: Array<string> = []
            body.on("error", () => {}).on("data", (part: Buffer) => parts.push(part.toString()))
            yield* eventually("the end", Effect.sync(() => /DONE|the en/.test(parts.join("")) ? true : undefined))
            assert.strictEqual((yield* spansNow)[head]?.state, "done", JSON.stringify(heads[head]))
            body.destroy()
          }
        })
      )
    }))

  it.scopedLive("reads an answer whose encodings come in headers of their own", () =>
    Effect.gen(function*() {
      const answer = deflateSync(gzipSync(JSON.stringify({ object: "chat.completion", id: "c1", choices: [] })))
      const url = yield* upstream((_req, res) => {
        res.writeHead(200, [
          "content-type",
          "application/json",
          "content-encoding",
          "gzip",
          "content-encoding",
          "deflate"
        ])
        res.end(answer)
      })
      yield* withProxy(
        url,
        Effect.gen(function*() {
          const base = yield* baseUrl
          const { body } = yield* Effect.promise(() =>
            request(`${base}/chat/completions`, { method: "POST", body: "{}" })
          )
          assert.isTrue(answer.equals(Buffer.from(yield* Effect.promise(() => body.arrayBuffer()))))
          const { attributes } = (yield* spansNow)[0]!
          assert.strictEqual(attributes["gen_ai.response.id"], "c1")
          assert.strictEqual(attributes["tau.response.content_encoding"], "gzip, deflate")
        })
      )
    }))

  it.scopedLive("passes the head of an answer of unknown length before its first byte", () =>
    Effect.gen(function*() {
      let finish = () => {}
      const url = yield* upstream((_req, res) => {
        res.writeHead(200, { "content-type": "application/x-ndjson" }).flushHeaders()
        finish = () => void res.end("{}\n")
      })
      yield* withProxy(
        url,
        Effect.gen(function*() {
          const base = yield* baseUrl
          const { body } = yield* Effect.promise(() => request(`${base}/x`))
          finish()
          assert.strictEqual(yield* Effect.promise(() => body.text()), "{}\n")
        })
      )
    }))

  it.scopedLive("forgets pipelined calls whose client left", () =>
    Effect.gen(function*() {
      const url = yield* upstream((_req, res) => {
        res.writeHead(200, { "content-type": "text/event-stream" })
        res.write("data: 1\n\n")
      })
      yield* withProxy(
        url,
        Effect.gen(function*() {
          const { health, origin } = yield* Proxy
          const socket = connect(Number(new URL(origin).port), "127.0.0.1").on("error", () => {})
          const one = "GET /rollout/r1/attempt/r1%3Aattempt-1/v1/x HTTP/1.1\r\nhost: localhost\r\n\r\n"
          socket.write(one + one + one)
          yield* eventually("three calls", Effect.sync(() => health().callsUnderWay === 3 ? true : undefined))
          socket.destroy()
          yield* eventually(
            "no calls",
            Effect.sync(() => health().callsUnderWay === 0 ? true : undefined)
          )
          assert.isTrue((yield* finishedSpans(3)).every(({ state }) => state === "client_cancel"))
        })
      )
    }))

  it.scopedLive("gives up on an upload that stands still", () =>
    Effect.gen(function*() {
      const url = yield* upstream((_req, res) => void res.end("never"))
      yield* withProxy(
        url,
        Effect.gen(function*() {
          const { health } = yield* Proxy
          const { answer, socket } = yield* rawClient
          socket.write("POST /v1/x HTTP/1.1\r\nhost: localhost\r\ncontent-length: 100\r\n\r\nsome")
          yield* eventually(
            "an answer",
            Effect.sync(() => answer().includes("training_proxy_request_timeout") ? true : undefined)
          )
          assert.match(answer(), /^HTTP\/1\.1 408 /)
          yield* eventually("no calls", Effect.sync(() => health().callsUnderWay === 0 ? true : undefined))
          socket.destroy()
        }),
        { limits: { ...defaultLimits, uploadIdleMs: 100 } }
      )
    }))

  it.scopedLive("does not blame a client for the time in which the proxy itself stood still", () =>
    Effect.gen(function*() {
      const url = yield* upstream((req, res) => void req.resume().on("end", () => res.end("whole")))
      yield* withProxy(
        url,
        Effect.gen(function*() {
          const { health } = yield* Proxy
          const { answer, socket } = yield* rawClient
          socket.write("POST /v1/x HTTP/1.1\r\nhost: localhost\r\ncontent-length: 8\r\n\r\nhalf")
          yield* eventually("a call", Effect.sync(() => health().callsUnderWay === 1 ? true : undefined))
          socket.write("half")
          const until = performance.now() + 500
          while (performance.now() < until);
          yield* eventually("an answer", Effect.sync(() => answer() === "" ? undefined : true))
          assert.match(answer(), /^HTTP\/1\.1 200 /)
          socket.destroy()
        }),
        { limits: { ...defaultLimits, uploadIdleMs: 100 } }
      )
    }))

  it.scopedLive("refuses calls before it forwards them while the store is stuck, says so, and recovers by itself", () =>
    Effect.gen(function*() {
      let forwarded = 0
      const url = yield* upstream((_req, res) => {
        forwarded += 1
        res.end("ok")
      })
      const path = join(yield* scratchFolder, "store.sqlite")
      yield* Effect.gen(function*() {
        const { health } = yield* Proxy
        assert.strictEqual(yield* get(), "200 ok")
        const other = new Database(path)
        other.exec("BEGIN IMMEDIATE")
        // Its answer cannot be recorded, and ends the wait: the store is in trouble from then on.
        assert.strictEqual(yield* get(), "UND_ERR_SOCKET")
        assert.isNotNull(health().storeFailure)
        const before = forwarded
        for (let n = 0; n < 5; n++) assert.match(yield* get(), /^503 .*training_proxy_store_unavailable/)
        assert.strictEqual(forwarded, before)
        other.exec("COMMIT")
        other.close()
        yield* eventually("recovery", Effect.sync(() => health().storeFailure === null ? true : undefined))
        assert.strictEqual(yield* get(), "200 ok")
        assert.strictEqual((yield* oneSpan).state, "done")
      }).pipe(Effect.provide(proxyAt(path, url)))
    }))
})
