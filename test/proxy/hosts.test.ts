import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import type { IncomingHttpHeaders } from "node:http"
import { connect } from "node:net"
import { request } from "undici"
import { Proxy } from "../../src/proxy/Proxy.js"
import type { ProxyOptions } from "../../src/proxy/ProxyOptions.js"
import { withProxy } from "../support/proxy.js"
import { upstream } from "../support/upstream.js"

/** What the proxy answers to these bytes, which no well-behaved client would send. */
const raw = (head: string) =>
  Effect.flatMap(Proxy, ({ origin }) =>
    Effect.promise(() =>
      new Promise<string>((resolve, reject) => {
        let answer = ""
        const socket = connect(Number(new URL(origin).port), "127.0.0.1", () => socket.write(head))
        socket.setTimeout(5_000, () => socket.destroy())
        socket.on("data", (chunk) => {
          answer += chunk.toString()
          if (answer.includes("\r\n\r\n")) socket.destroy()
        }).on("error", reject).on("close", () => resolve(answer))
      })
    ))

/** Status and error code of a raw request with these headers. */
const statusOf = (target: string, headers = "Host: 127.0.0.1\r\n", method = "GET", version = "1.1") =>
  Effect.map(
    raw(`${method} ${target} HTTP/${version}\r\n${headers}Connection: close\r\n\r\n`),
    (answer) => Number(/^HTTP\/1\.1 (\d+)/.exec(answer)?.[1] ?? 0)
  )

const echoed: Array<string> = []
const echo = upstream((req, res) => {
  echoed.push(req.url ?? "")
  res.writeHead(200, {
    "access-control-allow-origin": "*",
    "x-request-id": "r-1",
    "set-cookie": ["a=1", "b=2"],
    "vary": "accept"
  })
  req.resume().on("end", () => res.end("ok"))
})

const withEcho = <A, E>(test: Effect.Effect<A, E, Proxy>, options: Partial<ProxyOptions> = {}) =>
  Effect.flatMap(echo, (url) => withProxy(url, test, options))

describe("the host that a request names", () => {
  it.scopedLive("may be loopback in any spelling, with any port", () =>
    withEcho(Effect.gen(function*() {
      for (const host of ["127.0.0.1", "localhost:1", "LOCALHOST.", "[::1]:8788", "127.9.9.9", "tau.localhost"]) {
        assert.strictEqual(yield* statusOf("/v1/models", `Host: ${host}\r\n`), 200, host)
      }
    })))

  it.scopedLive("is refused with 421 when it is another, on every endpoint", () =>
    withEcho(Effect.gen(function*() {
      const hosts = [
        "evil.example",
        "localhost.evil.example",
        "127.0.0.1.evil.example",
        "localhost@evil.example",
        "10.0.0.1",
        "169.254.169.254",
        "0.0.0.0",
        "evil.example:127",
        "[::2]",
        "host.docker.internal"
      ]
      for (const host of hosts) {
        for (const path of ["/v1/models", "/metrics", "/training/proxy/health"]) {
          assert.strictEqual(yield* statusOf(path, `Host: ${host}\r\n`), 421, host)
        }
      }
    })))

  it.scopedLive("may be one that was allowed", () =>
    withEcho(
      Effect.gen(function*() {
        assert.strictEqual(yield* statusOf("/v1/models", "Host: host.docker.internal:8788\r\n"), 200)
        assert.strictEqual(yield* statusOf("/v1/models", "Host: evil.example\r\n"), 421)
      }),
      { allowedHosts: ["Host.docker.internal"] }
    ))

  it.scopedLive("must be there, once", () =>
    withEcho(Effect.gen(function*() {
      const nameless = yield* raw("GET /v1/models HTTP/1.1\r\nConnection: close\r\n\r\n")
      assert.match(nameless, /^HTTP\/1\.1 400 [^]*"message":"the request names no host"/)
      const upgrade = yield* raw("GET /v1/models HTTP/1.1\r\nConnection: Upgrade\r\nUpgrade: h2c\r\n\r\n")
      assert.match(upgrade, /^HTTP\/1\.1 400 [^]*"code":"training_proxy_bad_request_target"/)
      assert.strictEqual(yield* statusOf("/v1/models", ""), 400)
      assert.strictEqual(yield* statusOf("/v1/models", "", "GET", "1.0"), 400)
      assert.strictEqual(yield* statusOf("/v1/models", "Host:\r\n"), 400)
      assert.strictEqual(yield* statusOf("/v1/models", "Host: localhost\r\nHost: localhost\r\n"), 400)
      assert.strictEqual(yield* statusOf("/v1/models", "Host: localhost\r\nhost: evil.example\r\n"), 400)
    })))
})

describe("the target of a request", () => {
  it.scopedLive("never leads anywhere but below the upstream's base URL", () =>
    withEcho(Effect.gen(function*() {
      echoed.length = 0
      const targets = [
        "http://evil.example/v1/models",
        "//evil.example/v1",
        "/\\evil.example",
        "/v1\\..\\admin",
        "/v1/../admin",
        "/v1/..",
        "/v1/./models",
        "/v1/%2e%2e/admin",
        "/v1/.%2E/admin",
        "/v1/..%2fadmin",
        "/v1%2f..%2fadmin",
        "/v1/%2e%2e%5cadmin",
        "/v1/..;/admin",
        "/v1/models#x",
        "/v1/a%00b",
        "/v1/a%0d%0aHost:evil",
        "*",
        "/rollout/r1/attempt/a1/v1/../../x",
        "/rollout/r1/attempt/a1//evil.example/v1",
        "/proxy/rollout/r1/attempt/a1/mode/train/openai//evil.example/v1"
      ]
      for (const target of targets) assert.strictEqual(yield* statusOf(target), 400, target)
      assert.deepStrictEqual(echoed, [])
      const fine = [
        "/v1/@evil.example",
        "/v1/files/a..b",
        "/v1/files/...",
        "/v1/x?to=../../y&z=%00",
        "/v1/a%20b",
        "/.well"
      ]
      for (const target of fine) assert.strictEqual(yield* statusOf(target), 200, target)
      assert.deepStrictEqual(echoed, fine)
    })))
})

describe("a request in chunks", () => {
  it.scopedLive("is passed however its coding is spelt, and refused in any coding beside it", () =>
    withEcho(Effect.gen(function*() {
      const sent = (coding: string) =>
        Effect.map(
          raw(`POST /v1/x HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: ${coding}\r\n\r\n2\r\nok\r\n0\r\n\r\n`),
          (answer) => Number(/^HTTP\/1\.1 (\d+)/.exec(answer)?.[1] ?? 0)
        )
      for (const coding of ["chunked", "Chunked", "CHUNKED"]) assert.strictEqual(yield* sent(coding), 200, coding)
      for (const coding of ["gzip, chunked", "chunked, chunked"]) assert.strictEqual(yield* sent(coding), 400, coding)
    })))
})

const ask = (headers: IncomingHttpHeaders, method: "GET" | "OPTIONS" | "DELETE" | "POST" = "POST") =>
  Effect.flatMap(Proxy, ({ origin }) =>
    Effect.promise(async () => {
      const answer = await request(`${origin}/v1/models`, { method, headers })
      return { status: answer.statusCode, headers: answer.headers, text: await answer.body.text() }
    }))

describe("a web page", () => {
  it.scopedLive("of another site is refused whatever its method, and is told nothing", () =>
    withEcho(Effect.gen(function*() {
      echoed.length = 0
      for (const method of ["GET", "POST", "DELETE", "OPTIONS"] as const) {
        for (const origin of ["https://evil.example", "null", "http://localhost:3000", ""]) {
          const { headers, status } = yield* ask({ origin, "access-control-request-method": "POST" }, method)
          assert.strictEqual(status, 403, `${method} ${origin}`)
          assert.notProperty(headers, "access-control-allow-origin")
        }
        assert.strictEqual((yield* ask({ "sec-fetch-site": "cross-site" }, method)).status, 403)
      }
      assert.deepStrictEqual(echoed, [])
    })))

  it.scopedLive("is not what a program is: no origin, any method", () =>
    withEcho(Effect.gen(function*() {
      for (const method of ["GET", "POST", "DELETE", "OPTIONS"] as const) {
        assert.strictEqual((yield* ask({}, method)).status, 200)
      }
      const { origin } = yield* Proxy
      assert.strictEqual((yield* ask({ origin })).status, 200)
    })))

  it.scopedLive("of an allowed origin may ask with any header, and read the answer and its ids", () =>
    withEcho(
      Effect.gen(function*() {
        const wanted = "authorization,x-stainless-os"
        const page = { origin: "https://app.example", "sec-fetch-site": "cross-site" }
        const preflight = yield* ask({
          ...page,
          "access-control-request-method": "POST",
          "access-control-request-headers": wanted
        }, "OPTIONS")
        assert.strictEqual(preflight.status, 204)
        assert.deepInclude(preflight.headers, {
          "access-control-allow-origin": "https://app.example",
          "access-control-allow-methods": "POST",
          "access-control-allow-headers": wanted
        })
        const answer = yield* ask(page)
        assert.strictEqual(answer.text, "ok")
        assert.strictEqual(answer.headers["access-control-allow-origin"], "https://app.example")
        assert.include(String(answer.headers["access-control-expose-headers"]), "x-request-id")
        assert.strictEqual(answer.headers["x-request-id"], "r-1")
        assert.deepStrictEqual(answer.headers["set-cookie"], ["a=1", "b=2"])
        assert.deepStrictEqual(answer.headers["vary"], ["Origin", "accept"])
        assert.strictEqual((yield* ask({ origin: "https://evil.example" })).status, 403)
      }),
      { allowedOrigins: ["https://app.example"] }
    ))
})

describe("an upstream that redirects", () => {
  it.scopedLive("is not followed: the client gets the answer as it is", () =>
    Effect.gen(function*() {
      let asked = 0
      const elsewhere = yield* upstream((_req, res) => {
        asked += 1
        res.end("elsewhere")
      })
      const url = yield* upstream((_req, res) => res.writeHead(307, { location: `${elsewhere}/v1/models` }).end())
      yield* withProxy(
        url,
        Effect.gen(function*() {
          const { headers, status } = yield* ask({ authorization: "Bearer sk-caller-secret-0001" })
          assert.strictEqual(status, 307)
          assert.strictEqual(headers.location, `${elsewhere}/v1/models`)
          assert.strictEqual(asked, 0)
        })
      )
    }))
})
