import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import { connect } from "node:net"
import { gzipSync } from "node:zlib"
import { request } from "undici"
import { toBaseUrl } from "../../src/domain/Attribution.js"
import { Proxy } from "../../src/proxy/Proxy.js"
import { defaultLimits } from "../../src/proxy/ProxyOptions.js"
import { SpanStore } from "../../src/store/SpanStore.js"
import { attribution, finishedSpans, oneSpan, requestText, responseText, withProxy } from "../support/proxy.js"
import { eventually, upstream } from "../support/upstream.js"

const baseUrl = Effect.map(Proxy, ({ origin }) => toBaseUrl(origin, attribution))

type Options = NonNullable<Parameters<typeof request>[1]>

const call = (url: string, options: Partial<Options> = {}) =>
  Effect.promise(() => request(url, { method: "POST", body: `{"model":"m"}`, ...options } as Options))
const text = (response: { readonly body: { text(): Promise<string> } }) => Effect.promise(() => response.body.text())
const post = (options: Partial<Options> = {}) =>
  Effect.flatMap(baseUrl, (url) => call(`${url}/chat/completions`, options))

const stream = "data: {\"n\":1}\n\ndata: [DONE]\n\n"

describe("Proxy", () => {
  it.scopedLive("forwards every byte of a streamed answer and records it", () =>
    Effect.gen(function*() {
      const seen: Array<string> = []
      const url = yield* upstream((req, res) => {
        seen.push(`${req.method} ${req.url}`, ...Object.keys(req.headers).toSorted())
        res.writeHead(200, "Fine", { "content-type": "text/event-stream", "X-Request-Id": "req_1" })
        for (const byte of stream) res.write(byte)
        res.end()
      })
      yield* withProxy(
        url,
        Effect.gen(function*() {
          const response = yield* post({ headers: { "x-trace-id": "t1", "x-sequence-id": "7", "user-agent": "me" } })
          assert.strictEqual(response.headers["x-request-id"], "req_1")
          assert.strictEqual(yield* text(response), stream)
          const span = yield* oneSpan
          assert.deepInclude({ ...span }, { state: "done", statusCode: 200, traceId: "t1", sequenceId: 7 })
          assert.strictEqual(yield* requestText(span), `{"model":"m"}`)
          assert.strictEqual(yield* responseText(span), stream)
          assert.deepStrictEqual(seen, [
            "POST /v1/chat/completions",
            "connection",
            "content-length",
            "host",
            "user-agent"
          ])
        })
      )
    }))

  it.scopedLive("lets nothing but the terminal event wait for the commit", () =>
    Effect.gen(function*() {
      let finish = () => {}
      const url = yield* upstream((_req, res) => {
        res.writeHead(200, { "content-type": "text/event-stream" })
        res.write("data: 1\n\n")
        finish = () => void res.write("data: 2\n\ndata: [DONE]\n\n")
      })
      yield* withProxy(
        url,
        Effect.gen(function*() {
          const response = yield* post()
          const parts: Array<string> = []
          response.body.on("error", () => {}).on("data", (part: Buffer) => parts.push(part.toString()))
          yield* eventually("the first event, while the upstream is still at work", Effect.sync(() => parts[0]))
          finish()
          yield* eventually("the end", Effect.sync(() => parts.join("").includes("[DONE]") ? true : undefined))
          // The upstream never closes: a client that has read [DONE] leaves, and the call is done, not cancelled.
          const spans = yield* SpanStore
          assert.strictEqual((yield* spans.byAttempt(attribution.attemptId))[0]?.state, "done")
          response.body.destroy()
          assert.strictEqual((yield* oneSpan).state, "done")
        })
      )
    }))

  it.scopedLive("passes what follows the terminal event, and the broken connection of an upstream that resets after it", () =>
    Effect.gen(function*() {
      let socket: { write: (text: string) => void; destroy: () => void } | undefined
      const url = yield* upstream((_req, res) => {
        res.writeHead(200, { "content-type": "text/event-stream" })
        res.write("data: [DONE]\n")
        socket = res
      })
      yield* withProxy(
        url,
        Effect.gen(function*() {
          const response = yield* post()
          const parts: Array<string> = []
          const ending = new Promise<string>((resolve) => {
            response.body.on("data", (part: Buffer) => parts.push(part.toString()))
              .on("error", () => resolve("broken")).on("end", () => resolve("clean"))
          })
          const seen = (text: string) =>
            eventually(JSON.stringify(text), Effect.sync(() => parts.join("") === text ? true : undefined))
          yield* seen("data: [DONE]\n")
          socket?.write("\n")
          yield* seen("data: [DONE]\n\n")
          socket?.destroy()
          assert.strictEqual(yield* Effect.promise(() => ending), "broken")
          const span = yield* oneSpan
          assert.strictEqual(span.state, "done")
          yield* eventually(
            "the blank line in the record",
            Effect.map(
              Effect.flatMap(SpanStore, (spans) => spans.byAttempt(attribution.attemptId)),
              ([last]) => last?.responseBytes === 14 ? true : undefined
            )
          )
        })
      )
    }))

  it.scopedLive("has committed an answer when the client sees its end", () =>
    Effect.gen(function*() {
      const url = yield* upstream((_req, res) => void res.end("whole"))
      yield* withProxy(
        url,
        Effect.gen(function*() {
          const spans = yield* SpanStore
          for (let n = 1; n <= 20; n++) {
            yield* text(yield* post())
            const done = (yield* spans.byAttempt(attribution.attemptId)).filter(({ state }) => state === "done")
            assert.strictEqual(done.length, n)
          }
        })
      )
    }))

  it.scopedLive("shows the client an upstream that dies mid-stream as a broken connection", () =>
    Effect.gen(function*() {
      const url = yield* upstream((_req, res) => {
        res.writeHead(200, { "content-type": "text/event-stream" })
        res.write("data: 1\n\n", () => res.destroy())
      })
      yield* withProxy(
        url,
        Effect.gen(function*() {
          const response = yield* post()
          const read = yield* Effect.promise(() => response.body.text().then(() => "clean end", (error) => error.code))
          assert.strictEqual(read, "UND_ERR_SOCKET")
          const span = yield* oneSpan
          assert.strictEqual(span.state, "upstream_cut")
          assert.strictEqual(yield* responseText(span), "data: 1\n\n")
          assert.strictEqual(span.attributes["error.type"], "training_proxy_upstream_response_read_failed")
        })
      )
    }))

  it.scopedLive("hangs up on the upstream when the client leaves, before and after the first byte", () =>
    Effect.gen(function*() {
      let arrived = 0
      let closed = 0
      const url = yield* upstream((req, res) => {
        arrived += 1
        res.on("close", () => closed += 1)
        if (req.url?.endsWith("streaming") === true) {
          res.writeHead(200, { "content-type": "text/event-stream" })
          res.write("data: 1\n\n")
        }
      })
      yield* withProxy(
        url,
        Effect.gen(function*() {
          const base = yield* baseUrl
          const response = yield* call(`${base}/streaming`)
          response.body.on("error", () => {}).once("data", () => response.body.destroy())
          yield* eventually(
            "the upstream sees the first client leave",
            Effect.sync(() => closed === 1 ? true : undefined)
          )
          const controller = new AbortController()
          const waiting = request(`${base}/silent`, { method: "POST", body: "{}", signal: controller.signal }).catch(
            () => "left"
          )
          yield* eventually("the second call is under way", Effect.sync(() => arrived === 2 ? true : undefined))
          controller.abort()
          assert.strictEqual(yield* Effect.promise(() => waiting), "left")
          yield* eventually(
            "the upstream sees the second client leave",
            Effect.sync(() => closed === 2 ? true : undefined)
          )
          const finished = yield* finishedSpans(2)
          assert.deepStrictEqual(finished.map(({ state }) => state), ["client_cancel", "client_cancel"])
        })
      )
    }))

  it.scopedLive("answers in OpenAI's error shape when the upstream refuses, is silent, or makes no sense", () =>
    Effect.gen(function*() {
      const error = Effect.fnUntraced(function*() {
        const response = yield* post()
        const { code } = (JSON.parse(yield* text(response)) as { error: { code: string } }).error
        return [response.statusCode, code, (yield* oneSpan).state]
      })
      const silent = yield* upstream(() => {})
      const nonsense = yield* upstream((req) => void req.socket.end("HTTP/1.1 200 OK\r\nno header\r\n\r\n"))
      assert.deepStrictEqual(yield* withProxy("http://127.0.0.1:1", error()), [
        502,
        "training_proxy_upstream_request_failed",
        "upstream_error"
      ])
      assert.deepStrictEqual(yield* withProxy(silent, error(), { timeoutMs: 100 }), [
        504,
        "training_proxy_upstream_timeout",
        "timeout"
      ])
      assert.match(
        yield* withProxy(silent, Effect.flatMap(post(), text), { timeoutMs: 100 }),
        /nothing for 100 ms, as long as --prompt-optimization-proxy-timeout-ms lets it/
      )
      assert.deepStrictEqual(yield* withProxy(nonsense, error()), [
        502,
        "training_proxy_upstream_response_read_failed",
        "upstream_error"
      ])
    }))

  it.scopedLive("breaks off an upstream that falls silent mid-stream, and only then", () =>
    Effect.gen(function*() {
      const url = yield* upstream((_req, res) => {
        res.writeHead(200, { "content-type": "text/event-stream" })
        res.write("data: 1\n\n")
      })
      yield* withProxy(
        url,
        Effect.gen(function*() {
          const response = yield* post()
          assert.strictEqual(
            yield* Effect.promise(() => response.body.text().catch((error) => error.code)),
            "UND_ERR_SOCKET"
          )
          assert.strictEqual((yield* oneSpan).state, "timeout")
        }),
        { timeoutMs: 200 }
      )
    }))

  it.scopedLive("passes an upstream's own errors, compressed bodies, empty answers and unknown endpoints untouched", () =>
    Effect.gen(function*() {
      const url = yield* upstream((req, res) => {
        const path = req.url ?? ""
        if (path.includes("429")) res.writeHead(429, { "retry-after": "3" }).end(`{"error":{"message":"slow down"}}`)
        else if (path.includes("gzip")) res.writeHead(200, { "content-encoding": "gzip" }).end(gzipSync("hello"))
        else if (path.includes("204")) res.writeHead(204).end()
        else if (path.includes("zero")) res.writeHead(200, { "content-length": "0" }).end()
        else res.writeHead(200, { "x-method": req.method }).end(req.method === "HEAD" ? undefined : path)
      })
      yield* withProxy(
        url,
        Effect.gen(function*() {
          const base = yield* baseUrl
          const limited = yield* call(`${base}/429`)
          assert.deepStrictEqual([limited.statusCode, limited.headers["retry-after"]], [429, "3"])
          yield* text(limited)
          const zipped = yield* call(`${base}/gzip`)
          assert.strictEqual(zipped.headers["content-encoding"], "gzip")
          const bytes = yield* Effect.promise(() => zipped.body.arrayBuffer())
          assert.isTrue(gzipSync("hello").equals(Buffer.from(bytes)))
          for (const empty of ["204", "zero"]) {
            const response = yield* call(`${base}/${empty}`)
            assert.strictEqual(yield* text(response), "")
          }
          for (const method of ["GET", "DELETE", "OPTIONS", "PATCH"] as const) {
            const response = yield* call(`${base}/any/thing?q=%20x`, { method, body: null })
            assert.strictEqual(response.headers["x-method"], method)
            assert.strictEqual(yield* text(response), "/v1/any/thing?q=%20x")
          }
          const head = yield* call(`${base}/head`, { method: "HEAD", body: null })
          assert.strictEqual(head.statusCode, 200)
          yield* text(head)
          assert.isTrue((yield* finishedSpans(9)).every(({ state }) => state === "done"))
        })
      )
    }))

  it.scopedLive("forwards large and chunked requests whole, and refuses what is over the limit", () =>
    Effect.gen(function*() {
      const url = yield* upstream((req, res) => {
        let bytes = 0
        req.on("data", (chunk: Buffer) => bytes += chunk.length).on("end", () => res.end(String(bytes)))
      })
      const megabytes = 11 * 1024 * 1024
      yield* withProxy(
        url,
        Effect.gen(function*() {
          assert.strictEqual(yield* text(yield* post({ body: "x".repeat(megabytes) })), String(megabytes))
          const chunked = yield* post({
            body: (function*() {
              for (let n = 0; n < 11; n++) yield Buffer.alloc(100_000)
            })() as never
          })
          assert.strictEqual(yield* text(chunked), "1100000")
          const tooLarge = yield* post({ body: "x".repeat(13 * 1024 * 1024) })
          assert.strictEqual(tooLarge.statusCode, 413)
          const [large] = yield* finishedSpans(2)
          assert.isTrue(large?.attributes["tau.request.truncated"])
          assert.strictEqual(large?.requestBytes, megabytes)
        }),
        { limits: { ...defaultLimits, requestBytesMax: 12 * 1024 * 1024, recordedBytesMax: 1024 * 1024 } }
      )
    }))

  it.scopedLive("keeps the caller's key out of the store, and swaps it for the provider's where it is told to", () =>
    Effect.gen(function*() {
      const keys: Array<string | undefined> = []
      const url = yield* upstream((req, res) => {
        keys.push(req.headers.authorization)
        res.end("ok")
      })
      const headers = { authorization: "Bearer sk-caller" }
      yield* withProxy(url, Effect.flatMap(post({ headers }), text))
      yield* withProxy(
        url,
        Effect.gen(function*() {
          assert.strictEqual((yield* post({ headers: { authorization: "Bearer wrong" } })).statusCode, 401)
          assert.strictEqual((yield* post()).statusCode, 401)
          yield* text(yield* post({ headers }))
          const span = yield* oneSpan
          yield* text(yield* call(`${yield* baseUrl}/models?key=sk-query&alt=sse`, { headers }))
          const [, withQuery] = yield* finishedSpans(2)
          assert.strictEqual(withQuery?.path, "/v1/models?key=REDACTED&alt=sse")
          assert.notInclude(JSON.stringify([span, withQuery]), "sk-")
        }),
        { clientKey: "sk-caller", upstreamKey: "sk-provider" }
      )
      yield* withProxy(url, Effect.flatMap(post({ headers }), text), { clientKey: "sk-caller" })
      assert.deepStrictEqual(keys, ["Bearer sk-caller", "Bearer sk-provider", "Bearer sk-provider", undefined])
    }))

  it.scopedLive("survives clients that send half a request or nonsense", () =>
    Effect.gen(function*() {
      const url = yield* upstream((req, res) => {
        req.resume().on("end", () => res.end("ok"))
      })
      yield* withProxy(
        url,
        Effect.gen(function*() {
          const { origin } = yield* Proxy
          const port = Number(new URL(origin).port)
          const send = (bytes: string) =>
            Effect.async<void>((resume) => {
              const socket = connect(port, "127.0.0.1", () => socket.write(bytes, () => socket.destroy()))
              socket.on("error", () => {}).on("close", () => resume(Effect.void))
            })
          yield* send("GET / HTTP/1.1\r\nbroken")
          yield* send("POST /v1/x HTTP/1.1\r\nhost: localhost\r\ncontent-length: 100\r\n\r\nshort")
          yield* send("POST /v1/x HTTP/1.1\r\nhost: localhost\r\ntransfer-encoding: chunked\r\n\r\n5\r\nabc")
          yield* send("\u0000\u0001\u0002")
          assert.strictEqual(yield* text(yield* post()), "ok")
          const health = yield* eventually(
            "no call is left under way",
            Effect.map(Proxy, (proxy) => proxy.health().callsUnderWay === 0 ? proxy.health() : undefined)
          )
          assert.strictEqual(health.storeFailure, null)
        })
      )
    }))
})
