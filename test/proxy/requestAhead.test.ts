import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import { hash } from "node:crypto"
import type { ServerResponse } from "node:http"
import { join } from "node:path"
import { Readable } from "node:stream"
import { gzipSync } from "node:zlib"
import { request } from "undici"
import { toBaseUrl } from "../../src/domain/Attribution.js"
import { defaultRules } from "../../src/openai/Redaction.js"
import { Proxy } from "../../src/proxy/Proxy.js"
import { defaultLimits, type ProxyOptions } from "../../src/proxy/ProxyOptions.js"
import type { RequestAhead } from "../../src/store/RequestAhead.js"
import { SpanStore } from "../../src/store/SpanStore.js"
import { Writer } from "../../src/store/Writer.js"
import type { RecordingRules } from "../../src/store/writer/recorded.js"
import { attribution, finishedSpans, payloadText, proxyAt } from "../support/proxy.js"
import { scratchFolder } from "../support/store.js"
import { upstream, withBody } from "../support/upstream.js"

interface Case {
  readonly path?: string
  readonly headers?: Record<string, string>
  readonly body: string | Buffer | (() => Readable)
  readonly answer?: (response: ServerResponse) => void
  readonly options?: Partial<ProxyOptions>
  readonly recording?: RecordingRules
  readonly leaves?: boolean
}

const completion = JSON.stringify({
  id: "c1",
  object: "chat.completion",
  model: "m-1",
  choices: [{ index: 0, message: { role: "assistant", content: "Yes." }, finish_reason: "stop" }],
  usage: { prompt_tokens: 9, completion_tokens: 4 }
})
const plainly = (response: ServerResponse) => response.setHeader("content-type", "application/json").end(completion)

const delta = `data: {"id":"c1","choices":[{"index":0,"delta":{"content":"Yes."}}]}\n\n`
const streaming = (response: ServerResponse) => response.writeHead(200, { "content-type": "text/event-stream" })

/** A conversation of some 60 kB. */
const messages = (last = "Once more?") =>
  Array.from({ length: 30 }, (_, n) => ({
    role: n % 2 === 0 ? "user" : "assistant",
    content: n === 29 ? last : `${n}: ${"All happy families are alike. ".repeat(70)}`
  }))
const chat = (more: Record<string, unknown> = {}, last?: string) =>
  JSON.stringify({ model: "m", temperature: 0.5, messages: messages(last), ...more })

/** Nothing makes it shorter. */
const noise = Buffer.concat(Array.from({ length: 1_000 }, (_, n) => hash("sha256", String(n), "buffer")))

const secret = "sk-abcdefghijklmnopqrstuvwxyz0123456789ABCD"
const paths: RecordingRules = { payloads: true, redaction: { ...defaultRules, jsonPaths: ["$.messages[*].content"] } }

const cases: Record<string, Case> = {
  "a chat": { body: chat({ user: "someone" }) },
  "a chat with a secret in it": { body: chat({}, `My key is ${secret}, keep it.`) },
  "a chat that says the client's own key": {
    body: chat({}, "My word is open-sesame-please, keep it."),
    headers: { authorization: "Bearer open-sesame-please" }
  },
  "a chat that comes compressed": {
    body: gzipSync(chat({ image: noise.toString("base64") })),
    headers: { "content-encoding": "gzip" }
  },
  "a chat in a compression that is none": { body: chat(), headers: { "content-encoding": "gzip" } },
  "a chat that is cut where recording ends": {
    body: chat(),
    options: { limits: { ...defaultLimits, recordedBytesMax: 20_000 } }
  },
  "a chat without paths that are not to be recorded": { body: chat(), recording: paths },
  "a chat whose bodies are not recorded": { body: chat(), recording: { payloads: false, redaction: defaultRules } },
  "a chat whose bodies and paths are not recorded": { body: chat(), recording: { ...paths, payloads: false } },
  "a chat whose request a rule forbids to keep": { body: `${chat()}{`, recording: paths },
  "a long upload in pieces": {
    body: () => Readable.from([chat({ filler: "x".repeat(2_000_000) }).slice(0, 900_000), "y".repeat(900_000)])
  },
  "a stream after whose end more comes": {
    body: chat({ stream: true }),
    answer: (response) => {
      streaming(response).write(`${delta}data: [DONE]\n\n`)
      setTimeout(() => response.end(`: goodbye\n\n${delta}`), 100)
    }
  },
  "a stream whose client leaves": {
    body: chat({ stream: true }),
    leaves: true,
    answer: (response) => void streaming(response).write(delta)
  },
  "a stream that breaks off": {
    body: chat({ stream: true }),
    answer: (response) => void streaming(response).write(delta, () => response.destroy())
  },
  "an upstream that refuses": {
    body: chat(),
    answer: (response) =>
      response.writeHead(429, { "content-type": "application/json" }).end(`{"error":{"type":"slow"}}`)
  },
  "a request that asks for its usage": {
    body: chat({ stream: true }),
    options: { streamUsage: "ask" },
    answer: (response) => void streaming(response).end(`${delta}data: [DONE]\n\n`)
  },
  "Anthropic messages": { path: "/messages", body: chat({ max_tokens: 9, system: "Be brief." }) },
  "a response": { path: "/responses", body: JSON.stringify({ model: "m", input: messages(), background: true }) },
  "embeddings": {
    path: "/embeddings",
    body: JSON.stringify({ model: "e", input: messages().map(({ content }) => content) })
  },
  "a file": { path: "/files", body: Buffer.alloc(40_000, 7), headers: { "content-type": "application/octet-stream" } }
}

/** What is stored of a call, without what differs from one to the next. */
const stored = Effect.gen(function*() {
  const [span] = yield* finishedSpans()
  const spans = yield* SpanStore
  const { attributes, ...rest } = span!
  const said = Object.entries(attributes).filter(([name]) =>
    !/ttfb|time_to_first|silent|call\.id|server\.port/.test(name)
  )
  const texts = [span!.requestSha256, span!.responseSha256, span!.answerSha256]
  return {
    attributes: said,
    bodies: yield* Effect.forEach(texts, payloadText),
    original: yield* payloadText((attributes["tau.rewrite.original"] as string | undefined) ?? null),
    state: rest.state,
    name: rest.name,
    kind: rest.kind,
    model: rest.model,
    sizes: [rest.requestBytes, rest.responseBytes],
    tokens: [rest.inputTokens, rest.outputTokens],
    count: (yield* spans.byAttempt(attribution.attemptId)).length
  }
})

/** The call as it is stored, its request read while the answer is made or, with `isAhead` false, after it. */
const call = (
  { answer = plainly, body, headers = {}, leaves = false, options, path, recording }: Case,
  isAhead: boolean
) =>
  Effect.scoped(Effect.gen(function*() {
    const sent: Array<RequestAhead | null> = []
    const url = yield* upstream(withBody((_, __, response) => {
      const begin = () => {
        if (isAhead && sent[0]?.isSent !== true) setTimeout(begin, 2)
        else answer(response)
      }
      begin()
    }))
    const folder = yield* scratchFolder
    return yield* Effect.provide(
      Effect.gen(function*() {
        const writer = (yield* Writer) as { -readonly [Key in keyof Writer["Type"]]: Writer["Type"][Key] }
        const { readAhead } = writer
        writer.readAhead = (...given) => {
          const ahead = isAhead ? readAhead(...given) : null
          sent.push(ahead)
          return ahead
        }
        const base = toBaseUrl((yield* Proxy).origin, attribution)
        yield* Effect.promise(async () => {
          const response = await request(`${base}${path ?? "/chat/completions"}`, {
            method: "POST",
            headers,
            body: typeof body === "function" ? body() : body
          })
          if (leaves) {
            for await (const _ of response.body) break
          } else await response.body.text().catch(() => {})
        })
        assert.strictEqual(sent.length, 1)
        return yield* stored
      }),
      proxyAt(join(folder, "store.sqlite"), url, options, null, recording ?? null)
    )
  }))

describe("A request that is read while its answer is made", () => {
  it.live.each(Object.entries(cases))(
    "leaves what it would have left after it: %s",
    ([, one]) =>
      Effect.gen(function*() {
        const ahead = yield* call(one, true)
        assert.deepStrictEqual(ahead, yield* call(one, false))
      })
  )
})
