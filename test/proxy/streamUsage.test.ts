import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import type { IncomingHttpHeaders, ServerResponse } from "node:http"
import { connect } from "node:net"
import { Readable } from "node:stream"
import { gzipSync } from "node:zlib"
import { request } from "undici"
import { toBaseUrl } from "../../src/domain/Attribution.js"
import { Proxy } from "../../src/proxy/Proxy.js"
import { defaultLimits, type ProxyOptions } from "../../src/proxy/ProxyOptions.js"
import { SpanStore } from "../../src/store/SpanStore.js"
import { attemptWith, type LiveAttempt, withRunProxy } from "../support/attempts.js"
import { metrics } from "../support/metrics.js"
import { attribution, finishedSpans, oneSpan, requestText, responseText, withProxy } from "../support/proxy.js"
import { eventually, upstream, withBody } from "../support/upstream.js"

interface Asked {
  readonly headers: IncomingHttpHeaders
  readonly body: string
}

type Reply = (response: ServerResponse, isAsked: boolean, asked: Asked) => void

const delta = (content: string, isAsked: boolean) =>
  `data: {"id":"c1","choices":[{"index":0,"delta":{"content":"${content}"}}]${isAsked ? `,"usage":null` : ""}}\n\n`
const extra = `data: {"id":"c1","choices":[],"usage":{"prompt_tokens":9,"completion_tokens":4}}\n\n`
const done = "data: [DONE]\n\n"

/** What a server of the protocol streams, with or without the usage. */
const streamed = (isAsked: boolean) => delta("Hel", isAsked) + delta("lo", isAsked) + (isAsked ? extra : "") + done

const streams: Reply = (response, isAsked) => {
  response.writeHead(200, { "content-type": "text/event-stream" })
  for (const byte of streamed(isAsked)) response.write(byte)
  response.end()
}

/** A model that keeps what it was asked. */
const model = (reply: Reply = streams) =>
  Effect.gen(function*() {
    const asked: Array<Asked> = []
    const url = yield* upstream(withBody((bytes, { headers }, response) => {
      const one = { headers, body: bytes.toString("utf8") }
      asked.push(one)
      reply(response, /"include_usage" *: *true/.test(one.body), one)
    }))
    return { asked, url }
  })

const send = (
  base: string,
  body: string | Buffer | Readable,
  headers: Record<string, string> = {},
  path = "/chat/completions"
) => Effect.promise(() => request(`${base}${path}`, { method: "POST", headers, body }))

const ask = (...given: Parameters<typeof send>) =>
  Effect.flatMap(send(...given), (response) =>
    Effect.promise(async () => ({
      status: response.statusCode,
      headers: response.headers,
      text: await response.body.text()
    })))

const base = Effect.map(Proxy, ({ origin }) => toBaseUrl(origin, attribution))

const asking = <A, E, R>(url: string, test: Effect.Effect<A, E, R>, options: Partial<ProxyOptions> = {}) =>
  withProxy(url, test, { streamUsage: "ask", ...options })

const plain = `{ "model":"m","messages":[{"role":"user","content":"\\u00e9"}], "stream": true }`
const askedOptions = `{"stream_options":{"include_usage":true},`
const askedPlain = plain.replace("{", askedOptions)
const mib = 1024 * 1024

/** What a naive client reads of a stream: it trips over a chunk that has no choice. */
const contentOf = (text: string) =>
  text.split("\n").filter((line) => line.startsWith("data: {")).map((line) => {
    const chunk = JSON.parse(line.slice(6)) as { choices: ReadonlyArray<{ delta: { content: string } }> }
    assert.notProperty(chunk, "usage")
    return chunk.choices[0]!.delta.content
  }).join("")

/** A model that stays in the middle of its stream until it is told to finish; it never closes it. */
const halfway = Effect.gen(function*() {
  let finish = () => {}
  const { url } = yield* model((response, isAsked) => {
    response.writeHead(200, { "content-type": "text/event-stream" })
    response.write(delta("Hel", isAsked))
    finish = () => void response.write(extra + done)
  })
  return { url, finish: () => finish() }
})

describe("the usage of streams whose client does not ask for it", () => {
  it.scopedLive("is asked for and recorded, while the client gets what it would have got", () =>
    Effect.gen(function*() {
      const { asked, url } = yield* model()
      yield* asking(
        url,
        Effect.gen(function*() {
          const headers = { "accept-encoding": "gzip", "content-md5": "of other bytes", "x-own": "1" }
          const { text } = yield* ask(yield* base, plain, headers)
          assert.strictEqual(text, streamed(false))
          assert.strictEqual(contentOf(text), "Hello")
          assert.strictEqual(asked[0]!.body, askedPlain)
          assert.strictEqual(asked[0]!.headers["content-length"], String(Buffer.byteLength(askedPlain)))
          for (const name of ["accept-encoding", "content-md5"]) assert.notProperty(asked[0]!.headers, name)
          assert.strictEqual(asked[0]!.headers["x-own"], "1")
          const span = yield* oneSpan
          assert.deepInclude({ ...span }, { state: "done", inputTokens: 9, outputTokens: 4 })
          assert.strictEqual(span.attributes["tau.usage_asked"], true)
          assert.notProperty(span.attributes, "tau.rewrite.original_sha256")
          assert.strictEqual(yield* requestText(span), askedPlain)
          assert.strictEqual(yield* responseText(span), streamed(true))
        })
      )
    }))

  it.scopedLive("is asked for in bodies of any framing, and for completions", () =>
    Effect.gen(function*() {
      const { asked, url } = yield* model()
      yield* asking(
        url,
        Effect.gen(function*() {
          const origin = yield* base
          const long = plain.replace("\\u00e9", "x".repeat(2 * 1024 * 1024))
          yield* ask(origin, Readable.from([Buffer.from(plain.slice(0, 9)), Buffer.from(plain.slice(9))]))
          yield* ask(origin, long, { "content-encoding": "identity" })
          const { text } = yield* ask(origin, plain, {}, "/completions?api-version=1")
          assert.strictEqual(text, streamed(false))
          const wanted = [askedPlain, long.replace("{", `{"stream_options":{"include_usage":true},`), askedPlain]
          assert.isTrue(asked.every(({ body }, index) => body === wanted[index]))
          assert.strictEqual((yield* finishedSpans(3)).length, 3)
        })
      )
    }))

  it.scopedLive("is not asked for in a long body of unknown length that there is no memory to hold", () =>
    Effect.gen(function*() {
      const { asked, url } = yield* model()
      const long = plain.replace("\\u00e9", "e".repeat(2 * mib))
      const sending = Effect.gen(function*() {
        yield* ask(yield* base, Readable.from([long]))
        assert.strictEqual((yield* metrics).get("tau_recorded_bytes"), 0)
      })
      yield* asking(url, sending, { limits: { ...defaultLimits, recordingBytesMax: mib } })
      assert.strictEqual(asked[0]!.body, long)
      yield* asking(url, sending, { limits: { ...defaultLimits, recordingBytesMax: 4 * mib } })
      assert.strictEqual(asked[1]!.body, long.replace("{", askedOptions))
    }))

  it.scopedLive("takes no memory for what comes of a body whose client was answered that it is late", () =>
    Effect.gen(function*() {
      const { url } = yield* model()
      const sending = Effect.gen(function*() {
        const { hostname, pathname, port } = new URL(yield* base)
        yield* Effect.promise(() =>
          new Promise<void>((resolve, reject) => {
            const socket = connect(Number(port), hostname)
            const chunk = `${(2 * mib).toString(16)}\r\n${"x".repeat(2 * mib)}\r\n`
            socket.write(
              `POST ${pathname}/chat/completions HTTP/1.1\r\nhost: ${hostname}:${port}\r\ntransfer-encoding: chunked\r\n\r\n`
            )
            socket.write(chunk)
            socket.once("data", (answer) => {
              if (!answer.toString().startsWith("HTTP/1.1 408 ")) reject(new Error(answer.toString()))
              socket.end(chunk)
            })
            socket.on("close", () => resolve()).on("error", () => resolve())
          })
        )
        assert.strictEqual((yield* metrics).get("tau_recorded_bytes"), 0)
      })
      yield* asking(url, sending, { limits: { ...defaultLimits, uploadIdleMs: 100 } })
    }))

  it.scopedLive("is left alone where the client says itself whether it wants it, and without the flag", () =>
    Effect.gen(function*() {
      const { asked, url } = yield* model()
      const headers = { "accept-encoding": "gzip", "content-md5": "of these bytes" }
      const sends = (body: string, isAsked: boolean) =>
        Effect.gen(function*() {
          const { text } = yield* ask(yield* base, body, headers)
          assert.strictEqual(text, streamed(isAsked))
          assert.strictEqual(asked.at(-1)!.body, body)
          assert.deepInclude(asked.at(-1)!.headers, headers)
        })
      const saying = (word: string) => plain.replace("{", `{"stream_options":{ "include_usage": ${word} },`)
      yield* asking(
        url,
        Effect.gen(function*() {
          yield* sends(saying("true"), true)
          yield* sends(saying("false"), false)
          const spans = yield* finishedSpans(2)
          assert.deepStrictEqual(spans.map(({ inputTokens }) => inputTokens), [9, null])
          for (const { attributes } of spans) assert.notProperty(attributes, "tau.usage_asked")
        })
      )
      yield* withProxy(url, sends(plain, false))
      yield* withProxy(url, sends(plain, false), { streamUsage: "as-sent" })
    }))

  it.scopedLive("is not asked for in any other call", () =>
    Effect.gen(function*() {
      const { asked, url } = yield* model((response) => response.end(extra))
      yield* asking(
        url,
        Effect.gen(function*() {
          const origin = yield* base
          const gzipped = gzipSync(plain)
          const calls: ReadonlyArray<readonly [string | Buffer, Record<string, string>, string]> = [
            [plain.replace("true", "false"), {}, "/chat/completions"],
            [plain, {}, "/responses"],
            [plain, {}, "/messages"],
            [plain, {}, "/chat/completions/c1"],
            ["not JSON", {}, "/chat/completions"],
            [gzipped, { "content-encoding": "gzip" }, "/chat/completions"],
            [plain, { "content-encoding": "br" }, "/chat/completions"]
          ]
          for (const [body, headers, path] of calls) {
            const { text } = yield* ask(origin, body, headers, path)
            assert.strictEqual(text, extra)
            assert.strictEqual(asked.at(-1)!.body, body.toString("utf8"))
          }
        })
      )
    }))

  it.scopedLive("changes no answer that is no stream", () =>
    Effect.gen(function*() {
      const error = JSON.stringify({ error: { message: "unknown: stream_options" }, choices: [], usage: null })
      const whole = JSON.stringify({ choices: [], usage: { prompt_tokens: 2, completion_tokens: 1 } })
      const { asked, url } = yield* model((response) => {
        const isFirst = asked.length === 1
        const body = isFirst ? error : whole
        const type = { "content-type": "application/json", "content-length": body.length, digest: "of these bytes" }
        response.writeHead(isFirst ? 400 : 200, type).end(body)
      })
      yield* asking(
        url,
        Effect.gen(function*() {
          const origin = yield* base
          const [refused, answered] = [yield* ask(origin, plain), yield* ask(origin, plain)]
          assert.deepInclude(refused, { status: 400, text: error })
          assert.deepInclude(answered, { status: 200, text: whole })
          assert.deepInclude(answered.headers, { "content-length": String(whole.length), digest: "of these bytes" })
        })
      )
    }))

  it.scopedLive("passes streams of servers that know nothing of it, or compress all the same, as they are", () =>
    Effect.gen(function*() {
      const { asked, url } = yield* model((response) => {
        if (asked.length === 1) {
          response.writeHead(200, { "content-type": "text/event-stream" }).end(streamed(false))
          return
        }
        response.writeHead(200, { "content-type": "text/event-stream", "content-encoding": "gzip" })
          .end(gzipSync(streamed(true)))
      })
      yield* asking(
        url,
        Effect.gen(function*() {
          const origin = yield* base
          assert.strictEqual((yield* ask(origin, plain)).text, streamed(false))
          const response = yield* send(origin, plain)
          const bytes = Buffer.from(yield* Effect.promise(() => response.body.arrayBuffer()))
          assert.deepStrictEqual(bytes, gzipSync(streamed(true)))
          const spans = yield* finishedSpans(2)
          assert.deepStrictEqual(spans.map(({ inputTokens }) => inputTokens), [null, 9])
        })
      )
    }))

  it.scopedLive("is kept from streams that name their length, or another type, or end without an end", () =>
    Effect.gen(function*() {
      const bare = delta("a", true) + extra + done.trimEnd()
      const types = ["text/event-stream; charset=utf-8", "text/plain"]
      const { asked, url } = yield* model((response, isAsked) => {
        const type = types[asked.length - 1]
        if (type === undefined) response.writeHead(200, { "content-type": types[0] }).end(bare)
        else {
          const body = streamed(isAsked)
          response.writeHead(200, { "content-type": type, "content-length": body.length, "content-md5": "x" }).end(body)
        }
      })
      yield* asking(
        url,
        Effect.gen(function*() {
          const origin = yield* base
          for (const type of types) {
            const { headers, text } = yield* ask(origin, plain)
            assert.strictEqual(text, streamed(false))
            assert.strictEqual(headers["content-type"], type)
            for (const name of ["content-length", "content-md5"]) assert.notProperty(headers, name)
          }
          assert.strictEqual((yield* ask(origin, plain)).text, delta("a", false) + done.trimEnd())
          const spans = yield* finishedSpans(3)
          assert.deepStrictEqual(spans.map(({ outputTokens }) => outputTokens), [4, 4, 4])
          assert.strictEqual(yield* responseText(spans[2]!), bare)
        })
      )
    }))

  it.scopedLive("holds nothing back but the terminal event, and that until the span is committed", () =>
    Effect.gen(function*() {
      const { finish, url } = yield* halfway
      yield* asking(
        url,
        Effect.gen(function*() {
          const response = yield* send(yield* base, plain)
          const pieces = response.body[Symbol.asyncIterator]() as AsyncIterator<Buffer>
          const next = Effect.promise(async () => String((await pieces.next()).value))
          assert.strictEqual(yield* next, delta("Hel", false))
          finish()
          // The upstream never closes: what lets the end out is the commit.
          assert.strictEqual(yield* next, done)
          const [span] = yield* Effect.flatMap(SpanStore, (spans) => spans.byAttempt(attribution.attemptId))
          assert.deepInclude({ ...span }, { state: "done", inputTokens: 9 })
          yield* Effect.promise(async () => void response.body.destroy())
        })
      )
    }))

  it.scopedLive("of a stream that breaks off is a broken connection as ever", () =>
    Effect.gen(function*() {
      const { url } = yield* model((response, isAsked) => {
        response.writeHead(200, { "content-type": "text/event-stream" })
        response.write(`${delta("Hel", isAsked)}data: {"id`, () => response.destroy())
      })
      yield* asking(
        url,
        Effect.gen(function*() {
          const response = yield* send(yield* base, plain)
          const told = yield* Effect.promise(async () => {
            let text = ""
            try {
              for await (const piece of response.body) text += String(piece)
              return "ended"
            } catch {
              return text
            }
          })
          assert.strictEqual(told, delta("Hel", false))
          assert.strictEqual((yield* oneSpan).state, "upstream_cut")
        })
      )
    }))

  it.scopedLive("is kept from an answer that is given again, and asked for after a rewrite", () =>
    Effect.gen(function*() {
      const { asked, url } = yield* model()
      const attempt = attemptWith({ prompt: "Add." })
      yield* withRunProxy(
        url,
        Effect.gen(function*() {
          const system = plain.replace("user", "system")
          const told = ({ url: origin }: LiveAttempt) => ask(origin, system)
          const first = yield* attempt
          assert.strictEqual((yield* told(first)).text, streamed(false))
          yield* finishedSpans(1, first.claim.attemptId)
          const second = yield* attempt
          const again = yield* told(second)
          assert.strictEqual(again.text, streamed(false))
          assert.property(again.headers, "x-tau-replayed")
          assert.deepStrictEqual(asked.map(({ body }) => body), [
            askedPlain.replace("user", "system").replace("\\u00e9", "Add.")
          ])
          const [span] = yield* finishedSpans(1, second.claim.attemptId)
          assert.deepInclude(span!.attributes, { "tau.replayed": true, "tau.usage_asked": true })
          assert.property(span!.attributes, "tau.rewrite.original_sha256")
        }),
        {
          replay: "after-crash",
          streamUsage: "ask",
          rewrite: [{ component: "prompt", where: { kind: "system", equal: "\u00e9" } }]
        }
      )
    }))

  it.scopedLive("counts for a client that has left, where answers are read on", () =>
    Effect.gen(function*() {
      const { finish, url } = yield* halfway
      yield* asking(
        url,
        Effect.gen(function*() {
          const response = yield* send(yield* base, plain)
          yield* Effect.promise(() => (response.body[Symbol.asyncIterator]() as AsyncIterator<Buffer>).next())
          yield* Effect.promise(async () => void response.body.destroy())
          const connections = Effect.map(metrics, (counts) => counts.get("tau_connections_open"))
          yield* eventually("its departure", Effect.map(connections, (open) => open === 1 ? true : undefined))
          finish()
          const span = yield* oneSpan
          assert.deepInclude({ ...span }, { state: "client_cancel", inputTokens: 9, outputTokens: 4 })
          assert.strictEqual(yield* responseText(span), delta("Hel", true) + extra + done)
        }),
        { onDisconnect: "drain" }
      )
    }))
})
