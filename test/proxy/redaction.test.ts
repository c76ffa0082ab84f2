import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import { existsSync, readFileSync } from "node:fs"
import { join } from "node:path"
import { gzipSync } from "node:zlib"
import { request } from "undici"
import { defaultRules } from "../../src/openai/Redaction.js"
import { Proxy } from "../../src/proxy/Proxy.js"
import type { SpanStore } from "../../src/store/SpanStore.js"
import type { RecordingRules } from "../../src/store/writer/recorded.js"
import { finishedSpans, payloadText, proxyAt } from "../support/proxy.js"
import { scratchFolder } from "../support/store.js"
import { upstream } from "../support/upstream.js"

const secret = "sk-canary0123456789abcdef"
const chunk = (content: string) =>
  `data: ${
    JSON.stringify({
      id: "c",
      object: "chat.completion.chunk",
      model: "m",
      choices: [{ index: 0, delta: { content } }]
    })
  }\n\n`

const server = upstream((req, res) => {
  let body = ""
  req.on("data", (part: Buffer) => body += part.toString()).on("end", () => {
    if (body.includes("\"stream\":true")) {
      res.writeHead(200, { "content-type": "text/event-stream" })
      res.end(chunk("the key is sk-canary012") + chunk("3456789abcdef ok") + "data: [DONE]\n\n")
    } else if (body.includes("fail")) {
      res.writeHead(400, { "content-type": "application/json" })
      res.end(JSON.stringify({ error: { message: `Incorrect API key provided: ${secret}`, type: secret } }))
    } else {res.end(
        JSON.stringify({
          model: secret,
          choices: [{ message: { content: `echo ${secret}` } }],
          usage: { prompt_tokens: 3, completion_tokens: 4 }
        })
      )}
  })
})

const post = (body: unknown, path = "/v1/chat/completions") =>
  Effect.flatMap(Proxy, ({ origin }) =>
    Effect.promise(async () => {
      const answer = await request(origin + path, {
        method: "POST",
        headers: {
          authorization: `Bearer ${secret}`,
          "x-rollout-id": "r1",
          "x-attempt-id": "r1:attempt-1",
          "x-trace-id": secret,
          "x-session-id": secret,
          "idempotency-key": secret,
          cookie: secret
        },
        body: JSON.stringify(body)
      })
      return await answer.body.text()
    }))

/** Runs the calls, then looks for the secret in everything that was written. */
const afterCalls = <A, E>(rules: RecordingRules | null, test: Effect.Effect<A, E, Proxy | SpanStore>) =>
  Effect.gen(function*() {
    const path = join(yield* scratchFolder, "store.sqlite")
    const url = yield* server
    const warnings: Array<string> = []
    const read = () =>
      ["", "-wal", ".attribution.jsonl"].map((end) => existsSync(path + end) ? readFileSync(path + end, "latin1") : "")
        .join("")
    const live = yield* Effect.gen(function*() {
      yield* test
      return read()
    }).pipe(Effect.provide(proxyAt(path, url, { warn: (text) => void warnings.push(text) }, null, rules)))
    return live + read() + warnings.join("\n")
  })

const messages = [{ role: "user", content: `use ${secret}` }]

describe("what is recorded of calls", () => {
  it.scopedLive("holds no planted secret, while every byte passes", () =>
    Effect.gen(function*() {
      const written = yield* afterCalls(
        null,
        Effect.gen(function*() {
          assert.include(yield* post({ model: "m", user: secret, stop: [secret], messages }), secret)
          assert.include(yield* post({ model: "m", messages, fail: true }), secret)
          assert.include(yield* post({ model: "m", messages, stream: true }), "sk-canary012")
          yield* post({}, `/v1/other/${secret}?a=${secret}&b=%73k-canary0123456789abcdef`)
          yield* post({ messages, model: "m", prompt_cache_key: secret })
          const spans = yield* finishedSpans(5)
          const stream = spans[2]!
          assert.isNull(stream.responseSha256)
          assert.include(yield* payloadText(stream.answerSha256), "the key is [REDACTED] ok")
          assert.include(JSON.stringify(stream), "tau.unrecorded")
          assert.include(JSON.stringify(spans[0]), "tau.redacted")
          assert.include(yield* payloadText(spans[0]!.requestSha256), "use [REDACTED]")
        })
      )
      for (const text of [secret, secret.slice(0, 16), "3456789abcdef"]) assert.notInclude(written, text)
    }))

  it.scopedLive("of an answer in lines of JSON is nothing where a secret is spread over them", () =>
    Effect.gen(function*() {
      const path = join(yield* scratchFolder, "store.sqlite")
      const url = yield* upstream((incoming, res) => {
        incoming.resume()
        res.writeHead(200, { "content-type": "application/x-ndjson" })
        const parts = incoming.url === "/api/chat" ? [secret.slice(0, 9), secret.slice(9)] : ["no ", "secret"]
        res.end(parts.map((content) => `${JSON.stringify({ message: { content } })}\n`).join(""))
      })
      yield* Effect.gen(function*() {
        yield* post({ model: "m" }, "/api/chat")
        yield* post({ model: "m" }, "/api/other")
        const [spread, clean] = yield* finishedSpans(2)
        assert.isNull(spread!.responseSha256)
        assert.include(JSON.stringify(spread), "a secret is spread over")
        assert.include(yield* payloadText(clean!.responseSha256), "no ")
      }).pipe(Effect.provide(proxyAt(path, url)))
    }))

  it.scopedLive("of a compressed answer with a secret is plain, and says so", () =>
    Effect.gen(function*() {
      const path = join(yield* scratchFolder, "store.sqlite")
      const url = yield* upstream((_req, res) => {
        res.writeHead(200, { "content-type": "application/json", "content-encoding": "gzip" })
        res.end(gzipSync(JSON.stringify({ choices: [{ message: { content: secret } }] })))
      })
      yield* Effect.gen(function*() {
        yield* post({ model: "m", messages: [] })
        const [span] = yield* finishedSpans(1)
        assert.include(yield* payloadText(span!.responseSha256), "[REDACTED]")
        assert.notInclude(JSON.stringify(span), "content_encoding")
      }).pipe(Effect.provide(proxyAt(path, url)))
    }))

  it.scopedLive("can be everything but the bodies", () =>
    Effect.gen(function*() {
      const written = yield* afterCalls(
        { payloads: false, redaction: { ...defaultRules, defaults: false } },
        Effect.gen(function*() {
          yield* post({
            model: "m",
            stop: ["zebra-stop"],
            tools: [],
            messages: [{ role: "user", content: "zebra-prompt" }]
          }, "/v1/chat/completions?q=zebra-query")
          const [span] = yield* finishedSpans(1)
          assert.deepInclude(span, {
            requestSha256: null,
            responseSha256: null,
            answerSha256: null,
            inputTokens: 3,
            outputTokens: 4,
            state: "done"
          })
          assert.isAbove(span!.requestBytes, 50)
        })
      )
      assert.notInclude(written, "zebra")
      assert.notInclude(written, "echo sk-")
    }))
})
