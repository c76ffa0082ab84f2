import { assert, describe, it } from "@effect/vitest"
import * as Chunk from "effect/Chunk"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as Schema from "effect/Schema"
import * as TestClock from "effect/TestClock"
import { createServer, type IncomingHttpHeaders, type ServerResponse } from "node:http"
import type { AddressInfo } from "node:net"
import { ChatExecutorConfig } from "../../src/domain/RunConfig.js"
import * as ChatExecutor from "../../src/runtime/ChatExecutor.js"
import type { Assignment } from "../../src/runtime/Executor.js"
import { eventually } from "../support/processes.js"
import { execute } from "./assignments.js"

interface Call {
  readonly path: string | undefined
  readonly headers: IncomingHttpHeaders
  readonly body: Record<string, unknown>
  readonly response: ServerResponse
}
type Answer = (call: Call) => void

const json = (value: unknown, status = 200, headers: Record<string, string> = {}): Answer => ({ response }) =>
  response.writeHead(status, { "content-type": "application/json", ...headers }).end(JSON.stringify(value))
const message = (value: unknown): Answer => json({ choices: [{ message: value }] })
const said = (content: string): Answer => message({ role: "assistant", content })
const refused = (status: number, text: string, headers: Record<string, string> = {}): Answer =>
  json({ error: { message: text } }, status, headers)
const cut: Answer = ({ response }) => response.destroy()
const silent: Answer = () => {}
const half: Answer = ({ response }) => {
  response.writeHead(200, { "content-length": "1000" })
  response.write("{", () => response.destroy())
}

/** A server that gives one answer after the other, the last one again and again, and keeps what it was asked. */
const server = (...answers: ReadonlyArray<Answer>) =>
  Effect.map(
    Effect.acquireRelease(
      Effect.async<{ readonly calls: Array<Call>; readonly close: () => void; readonly port: number }>((resume) => {
        const calls: Array<Call> = []
        const node = createServer((request, response) => {
          const chunks: Array<Buffer> = []
          request.on("data", (chunk: Buffer) => chunks.push(chunk))
          request.on("end", () => {
            const call = {
              path: request.url,
              headers: request.headers,
              body: JSON.parse(Buffer.concat(chunks).toString()),
              response
            }
            calls.push(call)
            answers[Math.min(calls.length, answers.length) - 1]?.(call)
          })
        })
        node.listen(0, "127.0.0.1", () => {
          const close = () => {
            node.close()
            node.closeAllConnections()
          }
          resume(Effect.succeed({ calls, close, port: (node.address() as AddressInfo).port }))
        })
      }),
      ({ close }) => Effect.sync(close)
    ),
    ({ calls, port }) => ({ calls, baseUrl: `http://127.0.0.1:${port}/rollout/r/attempt/a/v1` })
  )

const decode = Schema.decodeSync(ChatExecutorConfig)
type Config = Partial<Parameters<typeof decode>[0]>

const chat = (baseUrl: string, config: Config = {}, more: Partial<Assignment> = {}) =>
  execute({ baseUrl, ...more }).pipe(Effect.provide(ChatExecutor.layer(decode({ kind: "chat", ...config }))))

/** What is sent for a config, an example and resources. */
const sent = (config: Config, more: Partial<Assignment> = {}) =>
  Effect.scoped(Effect.gen(function*() {
    const { baseUrl, calls } = yield* server(said("ok"))
    yield* chat(baseUrl, config, more)
    return calls[0]?.body
  }))
const outputFor = (answer: Answer) =>
  Effect.scoped(Effect.flatMap(server(answer), ({ baseUrl }) => Effect.map(chat(baseUrl), ({ output }) => output)))
const flipped = (answer: Answer) =>
  Effect.scoped(Effect.flatMap(server(answer), ({ baseUrl }) => Effect.flip(chat(baseUrl))))
const failureFor = (config: Config, more: Partial<Assignment> = {}) =>
  Effect.flip(chat("http://127.0.0.1:9/v1", config, more))

const awaitCalls = (calls: ReadonlyArray<Call>, n: number) =>
  Effect.promise(() => eventually(`call ${n}`, () => calls.length === n))
const aboutHalfASecond = [375, 625] as const

/** When the next sleeper wakes, once there is one: answers come through real sockets, time from the test. */
const nextSleep: Effect.Effect<number> = Effect.promise(() => new Promise((resolve) => setTimeout(resolve, 5))).pipe(
  Effect.zipRight(TestClock.sleeps()),
  Effect.repeat({ until: Chunk.isNonEmpty }),
  Effect.map((sleeps) => Math.min(...sleeps))
)

describe("ChatExecutor", () => {
  it.live("asks the model once, with the system prompt and the example's prompt, and answers with its text", () =>
    Effect.gen(function*() {
      const { baseUrl, calls } = yield* server(said("4"))
      assert.deepStrictEqual(yield* chat(baseUrl), { output: "4" })
      assert.lengthOf(calls, 1)
      assert.strictEqual(calls[0]?.path, "/rollout/r/attempt/a/v1/chat/completions")
      assert.strictEqual(calls[0]?.headers.authorization, "Bearer tau-run-key")
      assert.deepStrictEqual(calls[0]?.body, {
        model: "gpt-4o-mini",
        messages: [
          { role: "system", content: "Answer with a number." },
          { role: "user", content: "What is 2 + 2?" }
        ]
      })
    }).pipe(Effect.scoped))

  it.live("asks the same address where the base URL ends in slashes", () =>
    Effect.gen(function*() {
      const { baseUrl, calls } = yield* server(said("4"))
      yield* chat(`${baseUrl}//`)
      assert.strictEqual(calls[0]?.path, "/rollout/r/attempt/a/v1/chat/completions")
    }).pipe(Effect.scoped))

  it.live("fills the user template from the example, and resources into everything that is sent", () =>
    Effect.gen(function*() {
      const body = yield* sent(
        {
          user: "{{question.text}} ({{choices}}, {{resources.tone}})",
          parameters: { temperature: 0, stop: ["{{resources.stop}}"], model: "other", stream: true },
          tools: [{ type: "function", function: { name: "add", description: "{{resources.hint}} {{kept}}" } }]
        },
        {
          example: { question: { text: "2 + {{resources.tone}}?" }, choices: [3, 4] },
          resources: {
            system_prompt: "Be {{resources.tone}}. Write {{name}}.",
            tone: "dry",
            stop: "END",
            hint: "Adds."
          }
        }
      )
      assert.deepStrictEqual(body, {
        temperature: 0,
        stop: ["END"],
        model: "gpt-4o-mini",
        messages: [
          { role: "system", content: "Be dry. Write {{name}}." },
          { role: "user", content: "2 + {{resources.tone}}? ([3,4], dry)" }
        ],
        tools: [{ type: "function", function: { name: "add", description: "Adds. {{kept}}" } }]
      })
    }))

  it.live("appends the example's messages to the system prompt where there is no prompt", () =>
    Effect.gen(function*() {
      const messages = [{ role: "user", content: "2 + 2?" }, { role: "assistant", content: "5" }]
      assert.deepStrictEqual(yield* sent({ tools: [] }, { example: { messages }, resources: {} }), {
        model: "gpt-4o-mini",
        messages
      })
    }))

  it.live("fails for good, without a call, when a template names what is not there", () =>
    Effect.gen(function*() {
      const missing = yield* failureFor({ user: "{{question}}" })
      assert.deepInclude(missing, { reason: "example", permanent: true })
      assert.match(missing.detail, /names \{\{question\}\}/)
      for (
        const config of [{ parameters: { user: "{{resources.x}}" } }, { tools: [{ a: ["{{resources.x}}"] }] }] as const
      ) {
        assert.match((yield* failureFor(config)).detail, /names \{\{resources\.x\}\}/)
      }
      assert.match((yield* failureFor({}, { resources: { system_prompt: "{{resources.x}}" } })).detail, /resources\.x/)
      assert.match((yield* failureFor({}, { example: { expected: "4" } })).detail, /neither a prompt nor messages/)
    }))

  it.live("reads text parts, tool calls and refusals", () =>
    Effect.gen(function*() {
      const parts = [{ type: "text", text: "fo" }, { type: "image_url", image_url: { url: "x" } }, {
        type: "text",
        text: "ur"
      }]
      assert.strictEqual(yield* outputFor(message({ content: parts })), "four")
      const calls = [{ id: "1", type: "function", function: { name: "add", arguments: "{}" } }]
      assert.deepStrictEqual(JSON.parse(yield* outputFor(message({ content: null, tool_calls: calls }))), calls)
      assert.strictEqual(yield* outputFor(message({ content: "text", tool_calls: calls })), "text")
      assert.strictEqual(yield* outputFor(message({ content: null, refusal: "I cannot" })), "I cannot")
      assert.strictEqual(yield* outputFor(message({ role: "assistant" })), "")
      const marked: Answer = ({ response }) =>
        response.end(`\uFEFF${JSON.stringify({ choices: [{ message: { content: "4" } }] })}`)
      assert.strictEqual(yield* outputFor(marked), "4")
    }))

  it.live("fails when the answer is no completion or has no end", () =>
    Effect.gen(function*() {
      assert.match((yield* flipped(json({ choices: [] }))).detail, /no chat completion/)
      assert.match(
        (yield* flipped(json({ error: { message: "overloaded" } }))).detail,
        /no chat completion: overloaded/
      )
      const ended = (choice: object) =>
        flipped(json({ choices: [{ index: 0, message: { role: "assistant", content: "" }, ...choice }] }))
      assert.deepInclude(yield* ended({ finish_reason: "error" }), {
        reason: "model",
        detail: "the model's answer ended in an error: a choice finished with an error"
      })
      assert.strictEqual(
        (yield* ended({ finish_reason: "stop", error: { code: 502, message: "provider lost" } })).detail,
        "the model's answer ended in an error: provider lost"
      )
      const { baseUrl, calls } = yield* server(({ response }) => {
        const more = () => {
          while (response.write("x".repeat(65_536))) { /* until the pipe is full */ }
        }
        response.on("drain", more)
        more()
      })
      const large = yield* Effect.flip(chat(baseUrl))
      assert.deepInclude(large, { reason: "output", permanent: false })
      assert.match(large.detail, /more than 16777216 bytes/)
      assert.lengthOf(calls, 1, "what is too long is not paid for again")
    }).pipe(Effect.scoped))

  it.live("fails for good with the upstream's words, bounded and without keys, when the request is refused", () =>
    Effect.gen(function*() {
      for (const status of [400, 401, 403, 404, 422]) {
        const { baseUrl, calls } = yield* server(
          refused(status, `bad key tau-run-key or sk-proj-abc123** ${"x".repeat(9999)}`)
        )
        const error = yield* Effect.flip(chat(baseUrl))
        assert.deepInclude(error, { reason: "model", permanent: true })
        assert.match(error.detail, new RegExp(`answered with ${status}: bad key \\[key\\] or \\[key\\] x+$`))
        assert.isBelow(error.detail.length, 600)
        assert.lengthOf(calls, 1)
      }
      const { baseUrl } = yield* server(refused(402, "no credit"))
      assert.isFalse((yield* Effect.flip(chat(baseUrl))).permanent)
    }).pipe(Effect.scoped))

  it.live("tries again at most twice after a busy server or a broken connection", () =>
    Effect.gen(function*() {
      const soon = { "retry-after-ms": "1" }
      for (const status of [408, 409, 429, 500, 503]) {
        const { baseUrl, calls } = yield* server(
          refused(status, "busy", soon),
          refused(status, "busy", soon),
          said("4")
        )
        assert.strictEqual((yield* chat(baseUrl)).output, "4")
        assert.lengthOf(calls, 3)
        assert.deepStrictEqual(calls[2]?.body, calls[0]?.body)
      }
      const { baseUrl, calls } = yield* server(refused(503, "still busy", soon))
      const error = yield* Effect.flip(chat(baseUrl))
      assert.deepInclude(error, { reason: "model", permanent: false })
      assert.strictEqual(error.detail, "the model call was answered with 503: still busy")
      assert.lengthOf(calls, 3)
    }).pipe(Effect.scoped))

  it.live("tries again, or does not, where the server says which", () =>
    Effect.gen(function*() {
      const again = { "x-should-retry": "true", "retry-after-ms": "1" }
      const { baseUrl: patient } = yield* server(refused(402, "wait", again), said("4"))
      assert.strictEqual((yield* chat(patient)).output, "4")
      const { baseUrl, calls } = yield* server(refused(500, "never", { "x-should-retry": "false" }))
      yield* Effect.flip(chat(baseUrl))
      assert.lengthOf(calls, 1)
    }).pipe(Effect.scoped))

  it.live("ends at once where the server wants to be asked later than the attempt may last, and says how much later", () =>
    Effect.gen(function*() {
      for (const headers of [{ "retry-after": "30" }, { "retry-after-ms": "29500" }]) {
        const { baseUrl, calls } = yield* server(refused(429, "slow down", headers))
        const error = yield* Effect.flip(chat(baseUrl, {}, { deadlineMs: Date.now() + 20_000 }))
        assert.strictEqual(
          error.detail,
          "the model call was answered with 429: slow down (to be asked again in 30 s, which is later than this call may last)"
        )
        assert.deepInclude(error, { permanent: false, pauseMs: "retry-after" in headers ? 30_000 : 29_500 })
        assert.lengthOf(calls, 1)
      }
    }).pipe(Effect.scoped))

  it.live("survives a connection that breaks", () =>
    Effect.gen(function*() {
      const { baseUrl, calls } = yield* server(cut, half, said("4"))
      assert.strictEqual((yield* chat(baseUrl)).output, "4")
      assert.lengthOf(calls, 3)
    }).pipe(Effect.scoped))

  it.effect("waits as long as the server asks, within a minute, and about half a second otherwise", () =>
    Effect.gen(function*() {
      yield* TestClock.setTime(Date.UTC(2030, 0, 1))
      const cases: ReadonlyArray<readonly [Record<string, string>, readonly [number, number]]> = [
        [{ "retry-after-ms": "1500", "retry-after": "9" }, [1500, 1500]],
        [{ "retry-after": "7" }, [7000, 7000]],
        [{ "retry-after": "Tue, 01 Jan 2030 00:00:30 GMT" }, [30_000, 30_000]],
        [{ "retry-after": "60" }, [60_000, 60_000]],
        [{ "retry-after": "3600" }, aboutHalfASecond],
        [{ "retry-after": "-1" }, aboutHalfASecond],
        [{ "retry-after": "soon" }, aboutHalfASecond],
        [{}, aboutHalfASecond]
      ]
      for (const [headers, [least, most]] of cases) {
        yield* TestClock.setTime(Date.UTC(2030, 0, 1))
        const { baseUrl, calls } = yield* server(refused(429, "busy", headers), said("4"))
        const fiber = yield* Effect.fork(chat(baseUrl))
        const delay = (yield* nextSleep) - Date.UTC(2030, 0, 1)
        assert.isTrue(delay >= least && delay <= most, `${JSON.stringify(headers)}: ${delay}`)
        yield* TestClock.adjust(delay)
        assert.strictEqual((yield* Fiber.join(fiber)).output, "4")
        assert.lengthOf(calls, 2)
      }
    }).pipe(Effect.scoped))

  it.effect("waits longer before the second retry", () =>
    Effect.gen(function*() {
      const { baseUrl } = yield* server(refused(503, "busy"))
      const fiber = yield* Effect.fork(Effect.flip(chat(baseUrl)))
      const first = yield* nextSleep
      yield* TestClock.adjust(first)
      const second = (yield* nextSleep) - first
      assert.isTrue(second >= 750 && second <= 1250, String(second))
      yield* TestClock.adjust(second)
      assert.match((yield* Fiber.join(fiber)).detail, /503: busy/)
    }).pipe(Effect.scoped))

  it.live("closes the connection when interrupted", () =>
    Effect.gen(function*() {
      const { baseUrl, calls } = yield* server(silent)
      const fiber = yield* Effect.fork(execute({ baseUrl }))
      yield* awaitCalls(calls, 1)
      yield* Fiber.interrupt(fiber)
      yield* Effect.promise(() => eventually("the end of the connection", () => calls[0]?.response.destroyed))
    }).pipe(Effect.scoped, Effect.provide(ChatExecutor.layer(decode({ kind: "chat" })))))
})
