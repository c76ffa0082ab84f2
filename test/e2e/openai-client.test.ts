import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import OpenAI from "openai"
import { toBaseUrl } from "../../src/domain/Attribution.js"
import { Proxy } from "../../src/proxy/Proxy.js"
import { SpanStore } from "../../src/store/SpanStore.js"
import { SimulatedModel } from "../../src/testing/index.js"
import { attribution, finishedSpans, payloadText, responseText, withProxy } from "../support/proxy.js"

const model = "sim/arithmetic"
const messages = [{ role: "user" as const, content: "What is 17 * 23?" }]

const withClient = <A, E, R>(test: (client: OpenAI) => Effect.Effect<A, E, R>) =>
  Effect.flatMap(SimulatedModel.scoped({ seed: 7 }), ({ url }) =>
    withProxy(
      url,
      Effect.flatMap(Proxy, ({ origin }) =>
        test(new OpenAI({ baseURL: toBaseUrl(origin, attribution), apiKey: "sk-secret-of-the-agent", maxRetries: 0 })))
    ))

describe("The official OpenAI client", () => {
  it.scopedLive("gets its answer, and the span holds the very same one", () =>
    withClient((client) =>
      Effect.gen(function*() {
        const answer = yield* Effect.promise(() => client.chat.completions.create({ model, messages }))
        assert.include(answer.choices[0]?.message.content, "391")
        const [span] = yield* finishedSpans()
        assert.deepStrictEqual(JSON.parse(yield* responseText(span!)), JSON.parse(JSON.stringify(answer)))
        assert.deepInclude({ ...span! }, {
          name: `chat ${model}`,
          kind: "llm",
          state: "done",
          statusCode: 200,
          model,
          inputTokens: answer.usage!.prompt_tokens,
          outputTokens: answer.usage!.completion_tokens
        })
        assert.deepInclude(span!.attributes, {
          "gen_ai.operation.name": "chat",
          "gen_ai.request.model": model,
          "gen_ai.response.id": answer.id
        })
      })
    ))

  it.scopedLive("streams, and the span's answer is what the client put together", () =>
    withClient((client) =>
      Effect.gen(function*() {
        const answer = yield* Effect.promise(() =>
          client.chat.completions.stream({ model, messages, stream_options: { include_usage: true } })
            .finalChatCompletion()
        )
        const [span] = yield* finishedSpans()
        const recorded = JSON.parse(yield* payloadText(span!.answerSha256)) as typeof answer
        assert.strictEqual(recorded.id, answer.id)
        assert.strictEqual(recorded.choices[0]?.message.content, answer.choices[0]?.message.content)
        assert.strictEqual(recorded.choices[0]?.finish_reason, "stop")
        assert.deepStrictEqual(recorded.usage, answer.usage)
        assert.strictEqual(span!.outputTokens, answer.usage?.completion_tokens)
      })
    ))

  it.scopedLive("has its answer recorded in every detail the moment the last chunk is read", () =>
    withClient((client) =>
      Effect.gen(function*() {
        const spans = yield* SpanStore
        for (let n = 1; n <= 10; n++) {
          yield* Effect.promise(async () => {
            const stream = await client.chat.completions.create({ model, messages, stream: true })
            for await (const _ of stream) continue
          })
          const done = (yield* spans.byAttempt(attribution.attemptId)).filter(({ state }) => state === "done")
          assert.strictEqual(done.length, n)
        }
      })
    ))

  it.scopedLive("sees the upstream's own errors, and lists models", () =>
    withClient((client) =>
      Effect.gen(function*() {
        const error = yield* Effect.promise(() =>
          client.chat.completions.create({ model: "gpt-none", messages }).then(() => null, (thrown) =>
            thrown as InstanceType<typeof OpenAI.APIError>)
        )
        assert.strictEqual(error?.status, 404)
        assert.strictEqual(error?.code, "model_not_found")
        const models = yield* Effect.promise(() =>
          client.models.list()
        )
        assert.deepInclude(models.data[0], { id: model, owned_by: "tau (simulated)" })
        const spans = yield* finishedSpans(2)
        assert.deepStrictEqual(spans.map(({ kind, statusCode }) => [kind, statusCode]), [["llm", 404], ["http", 200]])
      })
    ))

  it.scopedLive("never has its key stored", () =>
    withClient((client) =>
      Effect.gen(function*() {
        yield* Effect.promise(() => client.chat.completions.create({ model, messages }))
        const [span] = yield* finishedSpans()
        const everything = JSON.stringify(span) + (yield* payloadText(span!.requestSha256)) +
          (yield* responseText(span!))
        assert.notInclude(everything, "sk-secret")
        const spans = yield* SpanStore
        assert.isTrue(Option.isSome(yield* spans.get(span!.spanId)))
      })
    ))
})
