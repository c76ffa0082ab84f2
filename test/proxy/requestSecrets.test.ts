import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { gzipSync } from "node:zlib"
import { request } from "undici"
import { Proxy } from "../../src/proxy/Proxy.js"
import type { ProxyOptions } from "../../src/proxy/ProxyOptions.js"
import { keyHeaders, pathWithoutSecrets, RequestSecrets } from "../../src/proxy/RequestSecrets.js"
import { finishedSpans, payloadText, proxyAt } from "../support/proxy.js"
import { scratchFolder } from "../support/store.js"
import { upstream, withBody } from "../support/upstream.js"
import { Bench } from "./faults/bench.js"

/** Keys of no shape that anybody could know. */
const keys = {
  authorization: "0f1e2d3c4b5a69788796a5b4c3d2e1f0",
  "api-key": "azure/key+7=",
  "x-api-key": "correct-horse-battery-staple",
  "x-goog-api-key": "goog.1234",
  "x-auth-token": "schl\u00FCssel-99",
  cookie: "jar4cookies"
}
const inQuery = "query/key+99="
const ofUpstream = "the-upstream-key-itself"

/** Says in its answer whatever it was asked: as an error, as a stream in small pieces, or compressed. */
const echo = upstream(withBody((bytes, req, res) => {
  const body = bytes.toString()
  const { authorization = "" } = req.headers
  const { url = "" } = req
  const said = JSON.stringify({
    url,
    meant: decodeURIComponent(url),
    ...req.headers,
    authorization: authorization.split(" ").at(-1),
    body
  })
  if (body.includes("stream")) {
    res.writeHead(200, { "content-type": "text/event-stream" })
    for (let at = 0; at < said.length; at += 5) {
      res.write(
        `data: ${JSON.stringify({ choices: [{ index: 0, delta: { content: said.slice(at, at + 5) } }] })}\n\n`
      )
    }
    res.end("data: [DONE]\n\n")
  } else if (body.includes("gzip")) {
    res.writeHead(200, { "content-type": "application/json", "content-encoding": "gzip" }).end(gzipSync(said))
  } else {
    res.writeHead(401, { "content-type": "application/json" })
    res.end(JSON.stringify({ error: { message: `no such key: ${said}`, type: req.headers.authorization } }))
  }
}))

const post = (body: string, headers: Readonly<Record<string, string>>) =>
  Effect.flatMap(Proxy, ({ origin }) =>
    Effect.promise(async () => {
      const attribution = { "x-rollout-id": "r1", "x-attempt-id": "r1:attempt-1" }
      const url = `${origin}/v1/chat/completions?theme=dark;api_key=${encodeURIComponent(inQuery)}`
      const answer = await request(url, { method: "POST", headers: { ...headers, ...attribution }, body })
      return Buffer.from(await answer.body.arrayBuffer()).toString("latin1")
    }))

const bodies = (text: string) =>
  ["error", "stream", "gzip"].map((how) =>
    JSON.stringify({ model: "m", how, messages: [{ role: "user", content: text }] })
  )

/** Makes the calls, and gives all that was written, while the proxy ran and after. */
const written = (options: Partial<ProxyOptions>, headers: Readonly<Record<string, string>>, text: string) =>
  Effect.gen(function*() {
    const path = join(yield* scratchFolder, "store.sqlite")
    const url = yield* echo
    const read = () =>
      ["", "-wal", ".attribution.jsonl"].map((end) => existsSync(path + end) ? readFileSync(path + end, "latin1") : "")
        .join("")
    const live = yield* Effect.gen(function*() {
      for (const body of bodies(text)) yield* post(body, headers)
      const spans = yield* finishedSpans(3)
      for (const span of spans) assert.isAbove(Number(span.attributes["tau.redacted"]), 0)
      assert.include(yield* payloadText(spans[0]!.responseSha256), "no such key: ")
      return read()
    }).pipe(Effect.provide(proxyAt(path, url, options)))
    return live + read()
  })

describe("A key that a request shows in its headers", () => {
  for (const [name, key] of Object.entries(keys)) {
    it.scopedLive(`is written nowhere, though the upstream repeats it: ${name}`, () =>
      Effect.gen(function*() {
        const value = { authorization: `Bearer ${key}`, cookie: `theme=dark; session="${key}"` }[name] ?? key
        const all = yield* written({}, { [name]: value }, `my key is ${key}`)
        const forms = [key, Buffer.from(key).toString("latin1"), inQuery, encodeURIComponent(inQuery)]
        for (const secret of forms) assert.notInclude(all, secret)
        assert.include(all, "my key is [REDACTED]")
        assert.include(all, "?theme=dark;api_key=REDACTED")
      }))
  }

  for (
    const [scheme, authorization] of Object.entries({
      Basic: `Basic ${Buffer.from("me:pass-word-77").toString("base64")}`,
      Token: "Token token=\"pass-word-77\", realm=\"models\""
    })
  ) {
    it.scopedLive(`is written nowhere where it is but a part of the credentials: ${scheme}`, () =>
      Effect.gen(function*() {
        const all = yield* written({}, { authorization }, "my key is pass-word-77")
        assert.notInclude(all, "pass-word-77")
        assert.include(all, "my key is [REDACTED]")
      }))
  }

  it.scopedLive("does not take the address of its request along where that is one of the parameters: Digest", () =>
    Effect.gen(function*() {
      const authorization = "Digest username=\"ann\", realm=\"models-2.example\", uri=\"/v1/chat/completions\", " +
        "nonce=\"dcd98b7102dd2f0e8b11d0f600bfb0c093\", response=\"pass-word-77\""
      const all = yield* written({}, { authorization }, "my key is pass-word-77 of models-2.example")
      assert.notInclude(all, "pass-word-77")
      assert.include(all, "/v1/chat/completions?theme=dark")
      assert.include(all, "my key is [REDACTED] of models-2.example")
    }))

  it.scopedLive("is written nowhere when it is the upstream's own", () =>
    Effect.gen(function*() {
      const all = yield* written({ upstreamKey: ofUpstream }, {}, "hello")
      assert.notInclude(all, ofUpstream)
    }))

  it.scopedLive("is a header's that a rule names, and then its session's too", () =>
    Effect.gen(function*() {
      const headers = { "x-account": "ann1", "session-id": "s-ann" }
      const all = yield* written({ secretHeaders: ["x-account", "session-id"] }, headers, "I am ann1 of s-ann")
      for (const secret of Object.values(headers)) assert.notInclude(all, secret)
      assert.include(all, "I am [REDACTED] of [REDACTED]")
    }))

  it.scopedLive("is not a word that stands for one where none is needed", () =>
    Effect.gen(function*() {
      const path = join(yield* scratchFolder, "store.sqlite")
      const url = yield* echo
      yield* Effect.gen(function*() {
        for (const word of ["ollama", "lm-studio", "not-needed", "EMPTY", "x"]) {
          yield* post(JSON.stringify({ messages: [{ role: "user", content: `about ${word}` }] }), {
            authorization: `Bearer ${word}`
          })
          const spans = yield* finishedSpans(1)
          assert.include(yield* payloadText(spans.at(-1)!.requestSha256), `about ${word}`)
        }
      }).pipe(Effect.provide(proxyAt(path, url)))
    }))

  it("is one that the file of rules names, in a process of its own", async () => {
    const folder = mkdtempSync(join(tmpdir(), "tau-rules-"))
    writeFileSync(join(folder, "rules.json"), JSON.stringify({ headers: ["X-Account"] }))
    const bench = await Bench.start(["--prompt-optimization-proxy-redact", join(folder, "rules.json")])
    try {
      const attempt = bench.newAttempt()
      const body = JSON.stringify({ messages: [{ role: "user", content: "I am ann1" }] })
      await bench.ask(attempt, { headers: { "x-account": "ann1" }, body })
      await bench.isWell(attempt, ["done"])
      assert.include(bench.bodiesOf(attempt).request.toString(), "I am [REDACTED]")
    } finally {
      await bench.stop()
      rmSync(folder, { recursive: true, force: true })
    }
  })
})

describe("What of a request is secret", () => {
  const secretsOf = (raw: ReadonlyArray<string>, path = "/v1/models") =>
    new RequestSecrets(keyHeaders).of(raw, path, null)
  const base64 = (text: string) => Buffer.from(text).toString("base64")

  it.each([
    ["X-API-Key", "abcdef12", ["abcdef12"]],
    ["x-api-key", "abcdef1", []],
    ["x-api-key", "a".repeat(15), []],
    ["x-api-key", "a".repeat(16), ["a".repeat(16)]],
    ["ocp-apim-subscription-key", "abcdef12", ["abcdef12"]],
    ["proxy-authorization", "Bearer abcdef12", ["abcdef12"]],
    ["authorization", "Bearer\tabcdef12", ["abcdef12"]],
    ["authorization", `Basic ${base64("user-4711:pass-word-77")}`, [
      base64("user-4711:pass-word-77"),
      "user-4711",
      "pass-word-77"
    ]],
    ["authorization", `Basic ${base64("pass-word-77")}`, [base64("pass-word-77"), "pass-word-77"]],
    ["sec-websocket-protocol", "realtime, openai-insecure-api-key.abcdef12", ["abcdef12"]],
    ["cookie", "a=abcdef12; b=hgfedc21; c", ["abcdef12", "hgfedc21"]],
    ["user-agent", "abcdef12", []]
  ])("in the header %s: %s", (name, value, secrets) => {
    assert.deepStrictEqual(secretsOf([name, value]), secrets)
  })

  it("is a lone parameter of its credentials too, and a key with a quote in it as JSON has it", () => {
    assert.include(secretsOf(["authorization", "Token token=\"abcdef12\""]), "abcdef12")
    assert.deepStrictEqual(secretsOf(["api-key", "abc\"def12"]), ["abc\"def12", "abc\\\"def12"])
  })

  it("is in its query by the names of the parameters, as they are written and as they are meant", () => {
    const path = "/v1/x?sig=abcdef12&code=hgfedc21;%6Bey=a%2Bbcdef1&design=no-secret-1"
    assert.deepStrictEqual(secretsOf([], path), ["abcdef12", "hgfedc21", "a%2Bbcdef1", "a+bcdef1"])
    assert.strictEqual(pathWithoutSecrets(path), "/v1/x?sig=REDACTED&code=REDACTED;%6Bey=REDACTED&design=no-secret-1")
  })

  it("is no more than can be looked for", () => {
    const cookies = Array.from({ length: 40 }, (_, n) => `c=secret-${n}-of-many`)
    assert.strictEqual(secretsOf(["cookie", cookies.join("; ")]).length, 16)
  })
})
