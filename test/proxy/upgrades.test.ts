import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import type { IncomingMessage } from "node:http"
import { Proxy } from "../../src/proxy/Proxy.js"
import { type Admin, defaultLimits } from "../../src/proxy/ProxyOptions.js"
import { attribution, finishedSpans, oneSpan, requestText, withProxy } from "../support/proxy.js"
import { upstream } from "../support/upstream.js"
import { h2c, sending, until } from "../support/webSocketClient.js"

const path = `/rollout/${attribution.rolloutId}/attempt/${attribution.attemptId}/v1/x`

/** An upstream that answers with what it was asked, and keeps the requests. */
const repeating = Effect.gen(function*() {
  const requests: Array<IncomingMessage> = []
  const url = yield* upstream((req, res) => {
    requests.push(req)
    let body = ""
    req.on("data", (chunk) => {
      body += chunk
    }).on("end", () => res.end(`<${req.method} ${body}>`))
  })
  return { url, requests }
})

describe("Proxy, offers and expectations", () => {
  it.scopedLive("answers an h2c offer as HTTP/1.1, with its body and what is pipelined behind it", () =>
    Effect.gen(function*() {
      const { requests, url } = yield* repeating
      yield* withProxy(
        url,
        Effect.gen(function*() {
          const client = yield* sending(
            `POST ${path} HTTP/1.1\r\nHost: localhost\r\n${h2c}Content-Length: 5\r\n\r\nfirst` +
              `POST ${path} HTTP/1.1\r\nHost: localhost\r\n${h2c}Transfer-Encoding: chunked\r\n\r\n6\r\nsecond\r\n0\r\n\r\n` +
              `GET ${path} HTTP/1.1\r\nHost: localhost\r\nConnection: Upgrade\r\nUpgrade: TLS/1.0\r\n\r\n` +
              `GET ${path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n`
          )
          yield* until("the end", () => client.state() === "clean")
          assert.deepStrictEqual(client.bytes().toString().match(/<.*?>/g), [
            "<POST first>",
            "<POST second>",
            "<GET >",
            "<GET >"
          ])
          assert.strictEqual(requests.length, 4)
          for (const { headers } of requests) assert.notProperty(headers, "http2-settings")
          client.socket.end()
          const spans = yield* finishedSpans(4)
          assert.strictEqual(yield* requestText(spans[0]!), "first")
          yield* until("the connection's end", () => (client.socket.destroy(), client.socket.destroyed))
        })
      )
    }))

  it.scopedLive("keeps a connection usable after an offer was declined, and counts it once", () =>
    Effect.gen(function*() {
      const { url } = yield* repeating
      yield* withProxy(
        url,
        Effect.gen(function*() {
          const client = yield* sending("")
          for (let n = 1; n <= 15; n++) {
            client.socket.write(`GET ${path} HTTP/1.1\r\nHost: localhost\r\n${h2c}\r\n`)
            yield* until(`answer ${n}`, () => (client.bytes().toString().match(/<GET >/g) ?? []).length === n)
          }
          assert.strictEqual(client.state(), "open")
          assert.strictEqual((yield* Proxy).health().calls, 15)
        })
      )
    }))

  it.scopedLive("refuses CONNECT in its own words and closes", () =>
    Effect.gen(function*() {
      const { requests, url } = yield* repeating
      yield* withProxy(
        url,
        Effect.gen(function*() {
          const client = yield* sending("CONNECT example.com:443 HTTP/1.1\r\nHost: example.com:443\r\n\r\n")
          yield* until("the end", () => client.state() === "clean")
          assert.match(client.bytes().toString(), /^HTTP\/1\.1 501 .*"code":"training_proxy_connect_not_supported"/s)
          assert.strictEqual((yield* Proxy).health().callsRefused, 1)
          assert.strictEqual(requests.length, 0)
        })
      )
    }))

  it.scopedLive("asks for the body of a call that expects it only once the call is admitted", () =>
    Effect.gen(function*() {
      const { requests, url } = yield* repeating
      const head = (size: number, expectation = "100-continue") =>
        `POST ${path} HTTP/1.1\r\nHost: localhost\r\nExpect: ${expectation}\r\nContent-Length: ${size}\r\n\r\n`
      yield* withProxy(
        url,
        Effect.gen(function*() {
          const client = yield* sending(head(4))
          yield* until("the 100", () => client.bytes().toString() === "HTTP/1.1 100 Continue\r\n\r\n")
          client.socket.write("body")
          yield* until("the answer", () => client.bytes().includes("<POST body>"))
          assert.strictEqual(yield* Effect.flatMap(oneSpan, requestText), "body")
          const refused = yield* sending(head(11))
          yield* until("the refusal", () => refused.state() === "clean")
          assert.match(refused.bytes().toString(), /^HTTP\/1\.1 413 /)
          const strange = yield* sending(head(1, "tea"))
          yield* until("the other refusal", () => strange.state() === "clean")
          assert.match(strange.bytes().toString(), /^HTTP\/1\.1 417 .*training_proxy_expectation_failed/s)
          assert.strictEqual(requests.length, 1)
        }),
        { limits: { ...defaultLimits, requestBytesMax: 10 } }
      )
    }))

  it.scopedLive("asks for the body of an action that expects it", () =>
    Effect.gen(function*() {
      const { url } = yield* repeating
      const admin: Admin = {
        handle: (request, response) => void request.resume().on("end", () => response.end("<done>")),
        close: () => {}
      }
      yield* withProxy(
        url,
        Effect.gen(function*() {
          const client = yield* sending(
            "POST /dashboard/actions HTTP/1.1\r\nHost: localhost\r\nExpect: 100-continue\r\nContent-Length: 4\r\n\r\n"
          )
          yield* until("the 100", () => client.bytes().toString() === "HTTP/1.1 100 Continue\r\n\r\n")
          client.socket.write("body")
          yield* until("the answer", () => client.bytes().includes("<done>"))
        }),
        { admin }
      )
    }))

  it.scopedLive("passes the trailers of a chunked answer", () =>
    Effect.gen(function*() {
      const url = yield* upstream((_req, res) => {
        res.writeHead(200, { trailer: "x-digest" })
        res.write("body")
        res.addTrailers({ "x-digest": "abc" })
        res.end()
      })
      yield* withProxy(
        url,
        Effect.gen(function*() {
          const client = yield* sending(`GET ${path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n`)
          yield* until("the end", () => client.state() === "clean")
          assert.match(client.bytes().toString(), /\r\n0\r\nx-digest: abc\r\n\r\n$/)
        })
      )
    }))
})
