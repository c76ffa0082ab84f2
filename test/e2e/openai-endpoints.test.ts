import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import OpenAI, { APIError, APIUserAbortError, RateLimitError, toFile } from "openai"
import { toBaseUrl } from "../../src/domain/Attribution.js"
import type { Span } from "../../src/domain/Span.js"
import { Proxy } from "../../src/proxy/Proxy.js"
import { SimulatedModel, type SimulatedModelOptions } from "../../src/testing/index.js"
import { attribution, finishedSpans, payloadText, responseText, withProxy } from "../support/proxy.js"

const model = "sim/arithmetic"
const input = "What is 17 * 23?"
const messages = [{ role: "user" as const, content: input }]
const weather = {
  name: "get_weather",
  parameters: { type: "object", properties: { city: { type: "string" } }, required: ["city"] }
}
const weatherQuestion = "What is the weather in New York?"

const withClient = <A, E, R>(
  test: (client: OpenAI) => Effect.Effect<A, E, R>,
  options: SimulatedModelOptions = {},
  maxRetries = 0
) =>
  Effect.flatMap(SimulatedModel.scoped({ seed: 7, ...options }), ({ url }) =>
    withProxy(
      url,
      Effect.flatMap(
        Proxy,
        ({ origin }) => test(new OpenAI({ baseURL: toBaseUrl(origin, attribution), apiKey: "sk-unused", maxRetries }))
      )
    ))

const plain = (value: unknown) => JSON.parse(JSON.stringify(value)) as Record<string, unknown>

/** The answer that the span holds: what a stream amounts to, else the body itself. */
const recorded = (span: Span) =>
  Effect.map(
    span.answerSha256 === null ? responseText(span) : payloadText(span.answerSha256),
    (text) => JSON.parse(text) as Record<string, unknown>
  )

const thrownBy = (call: Promise<unknown>) => Effect.promise(() => call.then(() => null, (error: unknown) => error))

describe("The official OpenAI client, endpoint by endpoint", () => {
  it.scopedLive("uses Responses, whole, streamed and continued", () =>
    withClient((client) =>
      Effect.gen(function*() {
        const whole = yield* Effect.promise(() => client.responses.create({ model, input }))
        const streamed = yield* Effect.promise(() => client.responses.stream({ model, input }).finalResponse())
        const next = yield* Effect.promise(() =>
          client.responses.create({ model, input: "And 2 + 2?", previous_response_id: whole.id })
        )
        const spans = yield* finishedSpans(3)
        assert.deepStrictEqual(spans.map(({ kind, state }) => [kind, state]), spans.map(() => ["llm", "done"]))
        for (const [n, answer] of [whole, streamed, next].entries()) {
          const { output_text: text, ...object } = plain(answer)
          assert.isNotEmpty(text)
          const { output, ...stored } = yield* recorded(spans[n]!)
          assert.strictEqual((plain(output)[0] as { id: string }).id, answer.output[0]!.id)
          assert.deepInclude({ ...object }, { ...stored })
          assert.deepStrictEqual(
            [spans[n]!.model, spans[n]!.inputTokens, spans[n]!.outputTokens],
            [model, answer.usage!.input_tokens, answer.usage!.output_tokens]
          )
        }
        assert.include(spans[1]!.attributes, { "tau.wire": "sse", "openai.api.type": "responses" })
        assert.strictEqual(spans[2]!.attributes["tau.linked_response_id"], whole.id)
      })
    ))

  it.scopedLive("calls tools by both APIs, and each span names the tool", () =>
    withClient((client) =>
      Effect.gen(function*() {
        const content = weatherQuestion
        const chat = { model, messages: [{ role: "user" as const, content }] }
        const tools = [{ type: "function" as const, function: weather }]
        const whole = yield* Effect.promise(() => client.chat.completions.create({ ...chat, tools }))
        const streamed = yield* Effect.promise(() =>
          client.chat.completions.stream({ ...chat, tools }).finalChatCompletion()
        )
        const tool = { type: "function" as const, strict: false, ...weather }
        const response = yield* Effect.promise(() =>
          client.responses.stream({ model, input: content, tools: [tool] }).finalResponse()
        )
        const [call] = whole.choices[0]!.message.tool_calls!
        const [streamedCall] = streamed.choices[0]!.message.tool_calls!
        assert.isTrue(call!.type === "function" && call!.function.arguments === "{\"city\":\"New York\"}")
        assert.strictEqual(streamedCall!.id, call!.id)
        assert.strictEqual(response.output[0]!.type, "function_call")
        const spans = yield* finishedSpans(3)
        for (const span of spans) assert.deepStrictEqual(span.attributes["tau.answer.tool_calls"], ["get_weather"])
        const { choices } = yield* recorded(spans[1]!)
        assert.deepInclude(JSON.stringify(choices), JSON.stringify(call!.id))
      })
    ))

  it.scopedLive("gets embeddings, which it asks for in base64", () =>
    withClient((client) =>
      Effect.gen(function*() {
        const ask = (format?: "float") =>
          Effect.promise(() =>
            client.embeddings.create({
              model: "sim/embedding",
              input: ["one", "two"],
              ...(format !== undefined && { encoding_format: format })
            })
          )
        const decoded = yield* ask()
        const floats = yield* ask("float")
        assert.deepStrictEqual(decoded.data[1]!.embedding, floats.data[1]!.embedding)
        const [first, second] = yield* finishedSpans(2)
        assert.deepInclude({ ...first! }, { kind: "embedding", inputTokens: decoded.usage.prompt_tokens })
        assert.deepStrictEqual(first!.attributes["gen_ai.request.encoding_formats"], ["base64"])
        assert.deepStrictEqual(second!.attributes["gen_ai.request.encoding_formats"], ["float"])
      })
    ))

  it.scopedLive("uploads a file, and downloads the very same bytes", () =>
    withClient((client) =>
      Effect.gen(function*() {
        const content = Buffer.from(Array.from({ length: 500_000 }, (_, n) => (n * 31) % 256))
        const file = yield* Effect.promise(async () =>
          client.files.create({ file: await toFile(content, "a.bin"), purpose: "user_data" })
        )
        const back = yield* Effect.promise(async () =>
          Buffer.from(await (await client.files.content(file.id)).arrayBuffer())
        )
        assert.strictEqual(file.bytes, content.length)
        assert.isTrue(back.equals(content))
        const [upload, download] = yield* finishedSpans(2)
        assert.isAbove(upload!.requestBytes, content.length)
        assert.deepInclude({ ...download! }, { kind: "http", state: "done", responseBytes: content.length })
      })
    ))

  it.scopedLive("cancels a stream, and the upstream's answer with it", () => {
    const served: Array<unknown> = []
    return withClient(
      (client) =>
        Effect.gen(function*() {
          const stream = yield* Effect.promise(() => client.chat.completions.create({ model, messages, stream: true }))
          yield* Effect.promise(async () => {
            for await (const _ of stream) break
          })
          const [span] = yield* finishedSpans()
          assert.strictEqual(span!.state, "client_cancel")
          assert.lengthOf(served, 0)
          const leaving = new AbortController()
          const call = client.chat.completions.create({ model, messages }, { signal: leaving.signal })
          leaving.abort()
          assert.instanceOf(yield* thrownBy(call), APIUserAbortError)
        }),
      { chunkDelayMs: 200, log: (answer) => served.push(answer) }
    )
  })

  it.scopedLive("retries what is busy, and both tries are one logical call", () =>
    withClient(
      (client) =>
        Effect.gen(function*() {
          const answer = yield* Effect.promise(() => client.chat.completions.create({ model, messages }))
          assert.include(answer.choices[0]!.message.content, "391")
          const spans = yield* finishedSpans(2)
          const facts = spans.map(({ attributes, statusCode }) => [statusCode, attributes["tau.call.attempt"]])
          assert.deepStrictEqual(facts, [[429, 1], [200, 2]])
          assert.strictEqual(spans[1]!.attributes["tau.call.id"], spans[0]!.attributes["tau.call.id"])
        }),
      {
        faults: ({ number }) =>
          number === 0 ? { status: 429, headers: { "retry-after-ms": "20", "retry-after": "1" } } : undefined
      },
      2
    ))

  it.scopedLive("gets errors as its own classes, with the upstream's request id", () =>
    withClient(
      (client) =>
        Effect.gen(function*() {
          const errors = [
            yield* thrownBy(client.responses.create({ model: "none", input })),
            yield* thrownBy(client.chat.completions.create({ model, messages: [] })),
            yield* thrownBy(client.files.retrieve("file-none"))
          ]
          const limited = yield* thrownBy(client.embeddings.create({ model: "sim/embedding", input: "busy" }))
          for (const error of [...errors, limited]) assert.instanceOf(error, APIError)
          assert.deepStrictEqual(errors.map((error) => (error as APIError).status), [404, 400, 404])
          assert.instanceOf(limited, RateLimitError)
          assert.deepInclude(limited as object, { code: "simulated_429", requestID: "req_busy" })
        }),
      { faults: ({ number }) => number === 3 ? { status: 429, headers: { "x-request-id": "req_busy" } } : undefined }
    ))
})
