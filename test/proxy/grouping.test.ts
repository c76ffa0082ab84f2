import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import { request } from "undici"
import { toBaseUrl } from "../../src/domain/Attribution.js"
import { AttemptId, RolloutId } from "../../src/domain/Ids.js"
import { attributeMeanings } from "../../src/openai/GenAi.js"
import { Proxy } from "../../src/proxy/Proxy.js"
import { events } from "../openai/fixtures/events.js"
import { attribution, finishedSpans, oneSpan, payloadText, withProxy } from "../support/proxy.js"
import { upstream } from "../support/upstream.js"

const post = (url: string, headers: Record<string, string> = {}, body = `{"model":"m","messages":[]}`) =>
  Effect.promise(async () => {
    const response = await request(url, { method: "POST", body, headers })
    await response.body.text()
    return response.statusCode
  })

/** An upstream that answers each call with the next of these statuses, then with 200. */
const answering = (...statuses: ReadonlyArray<number>) => {
  let calls = 0
  return upstream((_request, response) => {
    response.writeHead(statuses[calls++] ?? 200, { "content-type": "application/json" })
    response.end("{\"id\":\"c\",\"choices\":[]}")
  })
}

const chatUrl = Effect.map(Proxy, ({ origin }) => `${toBaseUrl(origin, attribution)}/chat/completions`)

const tries = (count: number, attemptId?: AttemptId) =>
  Effect.map(finishedSpans(count, attemptId), (spans) =>
    spans.map(({ attributes, spanId }) => ({
      spanId: String(spanId),
      callId: attributes["tau.call.id"],
      attempt: attributes["tau.call.attempt"]
    })))

describe("the grouping of calls", () => {
  it.scopedLive("groups the tries of one call under the first, and begins anew after a success", () =>
    Effect.gen(function*() {
      const url = yield* answering(500, 429, 200, 200, 400)
      yield* withProxy(
        url,
        Effect.gen(function*() {
          const to = yield* chatUrl
          for (let call = 0; call < 6; call++) yield* post(to)
          const [first, second, third, fourth, fifth, sixth] = yield* tries(6)
          assert.deepStrictEqual(
            [first, second, third].map((one) => [one!.callId, one!.attempt]),
            [[first!.spanId, 1], [first!.spanId, 2], [first!.spanId, 3]]
          )
          // A success ends a call, and an error that trying again cannot cure is none that is tried again.
          for (const one of [fourth, fifth, sixth]) {
            assert.deepStrictEqual([one!.callId, one!.attempt], [one!.spanId, 1])
          }
        })
      )
    }))

  it.scopedLive("does not take another body, session, key or rollout for a next try", () =>
    Effect.gen(function*() {
      const url = yield* answering(503)
      yield* withProxy(
        url,
        Effect.gen(function*() {
          const to = yield* chatUrl
          yield* post(to, { "session-id": "a" })
          yield* post(to, { "session-id": "a" }, `{"model":"m","messages":[1]}`)
          yield* post(to, { "session-id": "b" })
          yield* post(to, { "session-id": "a", "idempotency-key": "k" })
          // Attempts that are numbered anew for each rollout.
          const { origin } = yield* Proxy
          const other = toBaseUrl(origin, { ...attribution, rolloutId: RolloutId.make("r2") })
          yield* post(`${other}/chat/completions`, { "session-id": "a" })
          yield* post(to, { "session-id": "a" })
          const [first, body, session, key, rollout, again] = yield* tries(6)
          assert.deepStrictEqual([body!.callId, session!.callId, key!.callId], [body!.spanId, session!.spanId, "k"])
          assert.deepStrictEqual([rollout!.callId, rollout!.attempt], [rollout!.spanId, 1])
          assert.deepStrictEqual([again!.callId, again!.attempt], [first!.spanId, 2])
        })
      )
    }))

  it.scopedLive("believes a client that counts its tries, and gives each failed try one next", () =>
    Effect.gen(function*() {
      const url = yield* answering(500, 200, 200)
      yield* withProxy(
        url,
        Effect.gen(function*() {
          const to = yield* chatUrl
          yield* post(to, { "x-stainless-retry-count": "1", "idempotency-key": "k" })
          yield* post(to, { "x-stainless-retry-count": "3", "idempotency-key": "k" })
          yield* post(to)
          const [second, fourth, other] = yield* tries(3)
          assert.deepStrictEqual([second!.callId, second!.attempt, fourth!.callId, fourth!.attempt], ["k", 2, "k", 4])
          assert.deepStrictEqual([other!.callId, other!.attempt], [other!.spanId, 1])
        })
      )
    }))

  it.scopedLive("knows the session, the compaction and the asked for JSON of Claude Code", () =>
    Effect.gen(function*() {
      const url = yield* answering()
      yield* withProxy(
        url,
        Effect.gen(function*() {
          const { captureSession, origin } = yield* Proxy
          const to = `${origin}/v1/messages?beta=true`
          const session = "0a3e3b33-089a-49d3-b58f-c5dbca49abff"
          const userId = JSON.stringify({ device_id: "d", account_uuid: "", session_id: session })
          const summary =
            "Respond with TEXT ONLY.\n\nYour task is to create a detailed summary of the conversation so far"
          const asked = {
            model: "m",
            tools: [{ name: "Bash" }],
            messages: [{
              role: "user",
              content: [{ type: "text", text: "long".repeat(300) }, { type: "text", text: summary }]
            }],
            metadata: { user_id: userId }
          }
          const titled = {
            model: "m",
            messages: [{ role: "user", content: "Hi" }],
            output_config: { format: { type: "json_schema", schema: {} } }
          }
          yield* post(to, {}, JSON.stringify(asked))
          yield* post(to, { "x-claude-code-session-id": session }, JSON.stringify(titled))
          const [compacted, title] = yield* finishedSpans(2, AttemptId.make(`${captureSession}:attempt-1`))
          assert.deepInclude(compacted!.attributes, {
            "tau.session.id": session,
            "gen_ai.conversation.id": session,
            "tau.call.role": "compaction"
          })
          assert.deepInclude(title!.attributes, { "tau.session.id": session, "gen_ai.output.type": "json" })
        })
      )
    }))

  it.scopedLive("keeps the agent's session, the role of a side call, the parent's trace and the server", () =>
    Effect.gen(function*() {
      const url = yield* answering()
      yield* withProxy(
        url,
        Effect.gen(function*() {
          const { captureSession, origin } = yield* Proxy
          const trace = "4bf92f3577b34da6a3ce929d0e0e4736"
          const traceparent = `00-${trace}-00f067aa0ba902b7-01`
          const titled = JSON.stringify({
            model: "m",
            messages: [{ role: "system", content: "You are a title generator." }]
          })
          yield* post(`${origin}/v1/chat/completions`, { session_id: "s-1", traceparent }, titled)
          yield* post(`${origin}/v1/chat/completions`, { traceparent, "x-trace-id": "mine" }, "not json")
          const [span, traced] = yield* finishedSpans(2, AttemptId.make(`${captureSession}:attempt-1`))
          assert.deepInclude({ ...span }, { traceId: trace, parentId: "00f067aa0ba902b7" })
          assert.deepInclude({ ...traced }, { traceId: "mine", parentId: null })
          yield* post(`${origin}/v1/chat/completions`, { traceparent, "x-trace-id": trace.toUpperCase() }, "not json")
          const agreeing = (yield* finishedSpans(3, AttemptId.make(`${captureSession}:attempt-1`)))[2]!
          assert.deepInclude({ ...agreeing }, { traceId: trace.toUpperCase(), parentId: "00f067aa0ba902b7" })
          assert.deepInclude(span!.attributes, {
            "tau.session.id": "s-1",
            "gen_ai.conversation.id": "s-1",
            "tau.call.role": "title",
            "server.address": "127.0.0.1",
            "server.port": Number(new URL(url).port)
          })
          assert.notProperty(span!.attributes, "gen_ai.provider.name")
          assert.notProperty(traced!.attributes, "tau.session.id")
        })
      )
    }))

  it.scopedLive("keeps the answer that a stream amounts to, and every attribute is a documented one", () =>
    Effect.gen(function*() {
      const { answer, attributes, stream } = events[0]!
      const url = yield* upstream((_request, response) => {
        response.writeHead(200, { "content-type": "text/event-stream" })
        response.end(stream)
      })
      yield* withProxy(
        url,
        Effect.gen(function*() {
          const { origin } = yield* Proxy
          yield* post(`${toBaseUrl(origin, attribution)}/responses`)
          const span = yield* oneSpan
          assert.deepStrictEqual(JSON.parse(yield* payloadText(span.answerSha256)), answer)
          for (const [name, value] of Object.entries(attributes)) {
            assert.deepStrictEqual(span.attributes[name] ?? null, value, name)
          }
          assert.isNumber(span.attributes["gen_ai.response.time_to_first_chunk"])
          for (const name of Object.keys(span.attributes)) assert.property(attributeMeanings, name)
        })
      )
    }))
})
