import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import type { ServerResponse } from "node:http"
import { join } from "node:path"
import { gzipSync } from "node:zlib"
import OpenAI from "openai"
import { request } from "undici"
import { toBaseUrl } from "../../src/domain/Attribution.js"
import { defaultRules } from "../../src/openai/Redaction.js"
import { Proxy } from "../../src/proxy/Proxy.js"
import { RolloutQueue } from "../../src/store/RolloutQueue.js"
import { RunStore } from "../../src/store/RunStore.js"
import { nextAttempt } from "../support/attempts.js"
import { metrics } from "../support/metrics.js"
import { attribution, finishedSpans, payloadText, proxyAt, withProxy } from "../support/proxy.js"
import { rowsOf, scratchFolder } from "../support/store.js"
import { eventually, upstream, withBody } from "../support/upstream.js"

const usage = {
  input_tokens: 9,
  input_tokens_details: { cached_tokens: 3 },
  output_tokens: 4,
  output_tokens_details: { reasoning_tokens: 2 },
  total_tokens: 13
}
const output = [
  {
    id: "msg_1",
    type: "message",
    role: "assistant",
    status: "completed",
    content: [{ type: "output_text", text: "42" }]
  }
]

/** A Responses object of this status. */
const responseOf = (status: string, id = "resp_1") => ({
  id,
  object: "response",
  created_at: 1_700_000_000,
  model: "o9-deep",
  background: true,
  status,
  error: status === "failed" ? { code: "server_error", message: "The model broke down." } : null,
  incomplete_details: status === "incomplete" ? { reason: "max_output_tokens" } : null,
  output: status === "completed" ? output : [],
  usage: status === "completed" ? usage : null
})

const json = (response: ServerResponse, body: object) =>
  response.writeHead(200, { "content-type": "application/json" }).end(JSON.stringify(body))

type Reply = (response: ServerResponse, polls: number, path: string) => void

/** A server that begins an answer at a POST, and says of it at each GET what the test has it say. */
const server = (later: Reply, first: Reply = (response) => json(response, responseOf("queued"))) => {
  let polls = 0
  return upstream(withBody((_, incoming, response) => {
    const path = incoming.url!
    if (path.endsWith("/responses")) first(response, polls, path)
    else later(response, polls += 1, path)
  }))
}

const get = (base: string, path = "/responses/resp_1") =>
  Effect.promise(async () => Buffer.from(await (await request(`${base}${path}`)).body.arrayBuffer()).toString("utf8"))

const post = (base: string, body: object = { model: "o9-deep", input: "?", background: true }, path = "/responses") =>
  Effect.promise(async () =>
    (await request(`${base}${path}`, { method: "POST", body: JSON.stringify(body) })).body.dump()
  )

const base = Effect.map(Proxy, ({ origin }) => toBaseUrl(origin, attribution))

const answerOf = ({ answerSha256 }: { readonly answerSha256: string | null }) =>
  Effect.map(payloadText(answerSha256), (text) => JSON.parse(text) as Record<string, unknown>)

const events = (...statuses: ReadonlyArray<string>) =>
  statuses.map((status, n) =>
    `event: response.${status}\ndata: ${
      JSON.stringify({ type: `response.${status}`, sequence_number: n, response: responseOf(status) })
    }\n\n`
  ).join("")

describe("An answer that is made in the background", () => {
  it.scopedLive("is that of the call that asked for it, once the official client has fetched it", () =>
    Effect.flatMap(
      server((response, polls) => json(response, responseOf(polls < 3 ? "in_progress" : "completed"))),
      (url) =>
        withProxy(
          url,
          Effect.gen(function*() {
            const client = new OpenAI({ baseURL: yield* base, apiKey: "sk-unused", maxRetries: 0 })
            const begun = yield* Effect.promise(() =>
              client.responses.create({ model: "o9-deep", input: "?", background: true })
            )
            assert.strictEqual(begun.status, "queued")
            const [waiting] = yield* finishedSpans()
            assert.deepInclude({ ...waiting }, { kind: "llm", state: "done", inputTokens: null, answerSha256: null })
            for (let n = 0; n < 4; n++) yield* Effect.promise(() => client.responses.retrieve(begun.id))
            const [call, ...polls] = yield* finishedSpans(5)
            assert.deepInclude({ ...call }, { state: "done", inputTokens: 9, outputTokens: 4, name: "chat o9-deep" })
            assert.deepInclude(call!.attributes, {
              "gen_ai.response.id": "resp_1",
              "gen_ai.response.finish_reasons": ["completed"],
              "gen_ai.usage.cache_read.input_tokens": 3,
              "gen_ai.usage.reasoning.output_tokens": 2,
              "gen_ai.request.model": "o9-deep",
              "tau.answered_by": polls[2]!.spanId
            })
            assert.deepStrictEqual(yield* answerOf(call!), responseOf("completed"))
            // What was on the wire stays.
            assert.deepStrictEqual(JSON.parse(yield* payloadText(call!.responseSha256)), responseOf("queued"))
            assert.deepStrictEqual(
              polls.map(({ inputTokens, kind }) => `${kind} ${inputTokens}`),
              polls.map(() => "http null")
            )
            // Counted once, however often it is fetched.
            assert.strictEqual((yield* metrics).get("tau_output_tokens_total"), 4)
          })
        )
    ))

  for (
    const [how, path, later] of [
      [
        "in a stream that is taken up again",
        "/responses/resp_1?stream=true&starting_after=2",
        (response) =>
          response.writeHead(200, { "content-type": "text/event-stream" }).end(events("in_progress", "completed"))
      ],
      [
        "compressed",
        "/responses/resp_1?include[]=reasoning.encrypted_content",
        (response) =>
          response.writeHead(200, { "content-type": "application/json", "content-encoding": "gzip" })
            .end(gzipSync(JSON.stringify(responseOf("completed"))))
      ]
    ] as ReadonlyArray<readonly [string, string, Reply]>
  ) {
    it.scopedLive(`is found ${how}`, () =>
      Effect.flatMap(server(later), (url) =>
        withProxy(
          url,
          Effect.gen(function*() {
            yield* post(yield* base)
            yield* get(yield* base, path)
            const [call] = yield* finishedSpans(2)
            assert.deepInclude({ ...call }, { state: "done", inputTokens: 9, outputTokens: 4 })
            assert.deepStrictEqual(yield* answerOf(call!), responseOf("completed"))
          })
        )))
  }

  it.scopedLive("is that of a stream that was cut, whose own end stays as it was", () =>
    Effect.flatMap(
      server(
        (response) => json(response, responseOf("completed")),
        (response) =>
          response.writeHead(200, { "content-type": "text/event-stream" }).end(events("created", "in_progress"))
      ),
      (url) =>
        withProxy(
          url,
          Effect.gen(function*() {
            yield* post(yield* base, { model: "o9-deep", input: "?", background: true, stream: true })
            yield* get(yield* base)
            const [call] = yield* finishedSpans(2)
            assert.deepInclude({ ...call }, { state: "upstream_cut", inputTokens: 9, outputTokens: 4 })
            assert.deepStrictEqual(yield* answerOf(call!), responseOf("completed"))
          })
        )
    ))

  it.scopedLive("is that of a call that is read on without its client, and ends after it was fetched", () =>
    Effect.gen(function*() {
      const stuck: Array<ServerResponse> = []
      const url = yield* server(
        (response) => json(response, responseOf("completed")),
        (response) => {
          response.writeHead(200, { "content-type": "text/event-stream" }).write(events("created", "in_progress"))
          stuck.push(response)
        }
      )
      const path = join(yield* scratchFolder, "store.sqlite")
      yield* Effect.provide(
        Effect.gen(function*() {
          const { claim, url } = yield* nextAttempt
          const leaver = new AbortController()
          const asked = request(`${url}/responses`, { method: "POST", body: "{}", signal: leaver.signal })
          yield* Effect.promise(() =>
            asked.then(({ body }) => body.on("error", () => {}).once("data", () => leaver.abort()))
          )
          // Calls are numbered as they get their rows.
          yield* eventually("its row", Effect.sync(() => rowsOf(path, "SELECT 1 FROM spans").length === 1 || undefined))
          yield* get(url)
          // Something else of the answer, which says nothing of its end.
          yield* get(url, "/responses/resp_1/input_items")
          yield* finishedSpans(2, claim.attemptId)
          stuck[0]!.end()
          const [call, fetched] = yield* finishedSpans(3, claim.attemptId)
          assert.deepInclude({ ...call }, { state: "client_cancel", inputTokens: 9, outputTokens: 4 })
          assert.strictEqual(call!.attributes["tau.answered_by"], fetched!.spanId)
          assert.deepStrictEqual(yield* answerOf(call!), responseOf("completed"))
          assert.deepStrictEqual(rowsOf(path, "SELECT output_tokens FROM runs"), [{ output_tokens: 4 }])
          assert.deepStrictEqual(rowsOf(path, "SELECT * FROM awaited_answers"), [])
          yield* eventually(
            "the metric",
            Effect.map(metrics, (all) => all.get("tau_output_tokens_total") === 4 || undefined)
          )
        }),
        Layer.provideMerge(
          Layer.mergeAll(RunStore.layer, RolloutQueue.layer),
          proxyAt(path, url, { onDisconnect: "drain" })
        )
      )
    }))

  it.scopedLive("may fail, be cancelled or run out of tokens: the call says so", () =>
    Effect.flatMap(
      server(
        (response, _, path) =>
          json(response, responseOf(/resp_(\w+?)(?:\/|$)/.exec(path)![1]!, /resp_\w+/.exec(path)![0])),
        (response, _, path) => json(response, responseOf("queued", /resp_\w+/.exec(path)![0]))
      ),
      (url) =>
        withProxy(
          url,
          Effect.gen(function*() {
            for (const status of ["failed", "cancelled", "incomplete"]) {
              yield* post(yield* base, {}, `/resp_${status}/responses`)
            }
            yield* get(yield* base, "/responses/resp_failed")
            yield* post(yield* base, {}, "/responses/resp_cancelled/cancel")
            yield* get(yield* base, "/responses/resp_incomplete")
            const calls = (yield* finishedSpans(6)).filter(({ kind }) => kind === "llm")
            assert.deepStrictEqual(
              calls.map(({ attributes, events: told, state }) => [
                state,
                attributes["gen_ai.response.finish_reasons"],
                attributes["error.type"],
                told
              ]),
              [
                ["upstream_error", ["failed"], "server_error", [{
                  name: "exception",
                  message: "The model broke down."
                }]],
                ["done", ["cancelled"], undefined, []],
                ["done", ["max_output_tokens"], undefined, []]
              ]
            )
          })
        )
    ))

  it.scopedLive("is looked for in nothing else, and stays unknown while nobody fetches it", () =>
    Effect.flatMap(
      server((response, polls, path) =>
        path.endsWith("resp_1")
          ? response.writeHead(404, { "content-type": "application/json" }).end(JSON.stringify(responseOf("completed")))
          : polls === 1
          ? json(response, { object: "list", id: "resp_1", status: "completed", data: [] })
          : json(response, responseOf("completed", "resp_other"))
      ),
      (url) =>
        withProxy(
          url,
          Effect.gen(function*() {
            yield* post(yield* base)
            yield* get(yield* base, "/responses/resp_1/input_items")
            yield* get(yield* base, "/responses/resp_other")
            yield* get(yield* base, "/responses/resp_1")
            const [call] = yield* finishedSpans(4)
            assert.deepInclude({ ...call }, { state: "done", inputTokens: null, answerSha256: null })
            assert.notProperty(call!.attributes, "tau.answered_by")
          })
        )
    ))

  it.scopedLive("leaves only figures where bodies are not recorded", () =>
    Effect.flatMap(
      server((response) => json(response, responseOf("failed"))),
      (url) =>
        Effect.flatMap(scratchFolder, (folder) =>
          Effect.provide(
            Effect.gen(function*() {
              yield* post(yield* base)
              yield* get(yield* base)
              const [call] = yield* finishedSpans(2)
              assert.deepInclude({ ...call }, { state: "upstream_error", answerSha256: null })
              assert.deepStrictEqual(call!.events, [{ name: "exception", message: "the upstream reported an error" }])
            }),
            proxyAt(join(folder, "store.sqlite"), url, {}, null, { payloads: false, redaction: defaultRules })
          ))
    ))

  it.scopedLive("is counted less what the stream had counted before it was cut, and its call is not one that failed", () =>
    Effect.gen(function*() {
      const partly = { ...responseOf("in_progress"), usage: { ...usage, output_tokens: 1 } }
      const url = yield* server(
        (response) => json(response, responseOf("completed")),
        (response) =>
          response.writeHead(200, { "content-type": "text/event-stream" })
            .end(`data: ${JSON.stringify({ type: "response.in_progress", response: partly })}\n\n`)
      )
      const path = join(yield* scratchFolder, "store.sqlite")
      yield* Effect.provide(
        Effect.gen(function*() {
          const { claim, url } = yield* nextAttempt
          for (let n = 0; n < 2; n++) {
            yield* post(url)
            yield* get(url)
          }
          const calls = (yield* finishedSpans(4, claim.attemptId)).filter(({ kind }) => kind === "llm")
          assert.deepStrictEqual(
            calls.map(({ attributes, retriedBy }) => [retriedBy, attributes["tau.call.attempt"]]),
            [[null, 1], [null, 1]]
          )
          assert.deepStrictEqual(
            rowsOf(path, "SELECT calls, input_tokens, output_tokens FROM runs"),
            [{ calls: 2, input_tokens: 18, output_tokens: 8 }]
          )
        }),
        Layer.provideMerge(Layer.mergeAll(RunStore.layer, RolloutQueue.layer), proxyAt(path, url))
      )
    }))

  it.scopedLive("is told and counted once in a run whose second attempt is given the first one's id again", () =>
    Effect.gen(function*() {
      const url = yield* server((response, polls) =>
        json(response, responseOf(polls === 1 ? "in_progress" : "completed"))
      )
      const path = join(yield* scratchFolder, "store.sqlite")
      const layer = Layer.provideMerge(
        Layer.mergeAll(RunStore.layer, RolloutQueue.layer),
        proxyAt(path, url, { replay: "after-crash" })
      )
      yield* Effect.provide(
        Effect.gen(function*() {
          const first = yield* nextAttempt
          yield* post(first.url)
          yield* get(first.url)
          yield* finishedSpans(2, first.claim.attemptId)
          const second = yield* nextAttempt
          yield* post(second.url)
          // The first of its questions has been answered before, too.
          yield* get(second.url)
          yield* get(second.url)
          const [again] = yield* finishedSpans(3, second.claim.attemptId)
          const [call] = yield* finishedSpans(2, first.claim.attemptId)
          assert.strictEqual(again!.attributes["tau.replay_of"], call!.spanId)
          for (const span of [call!, again!]) {
            assert.strictEqual(span.outputTokens, 4)
            assert.deepStrictEqual(yield* answerOf(span), responseOf("completed"))
          }
          assert.deepStrictEqual(
            rowsOf(path, "SELECT calls, input_tokens, output_tokens FROM runs"),
            [{ calls: 1, input_tokens: 9, output_tokens: 4 }]
          )
        }),
        layer
      )
    }))
})
