import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import { GenAi } from "../../src/openai/GenAi.js"
import { defaultLimits } from "../../src/proxy/ProxyOptions.js"
import { SpanStore } from "../../src/store/SpanStore.js"
import { attribution, responseText, withProxy } from "../support/proxy.js"
import { eventually } from "../support/upstream.js"
import { webSocketUpstream } from "../support/webSocket.js"
import { connected, event, response, until } from "../support/webSocketClient.js"

interface Told {
  readonly callsMax?: number
  readonly headers?: Record<string, string>
}

/** What is recorded of a connection on which these messages are sent, and then these events. */
const recorded = (
  path: string,
  asked: ReadonlyArray<string>,
  events: ReadonlyArray<string>,
  { callsMax = 10, headers = {} }: Told = {}
) =>
  Effect.gen(function*() {
    const server = yield* webSocketUpstream(() => {})
    return yield* withProxy(
      server.url,
      Effect.gen(function*() {
        const { messages, socket } = yield* connected(path, headers)
        for (const message of asked) socket.send(message)
        yield* until("all that is asked", () => server.peers[0]?.messages.length === asked.length)
        for (const text of events) server.peers[0]!.send(text)
        yield* until("all that is said", () => messages.length === events.length)
        socket.close(1000)
        const spans = yield* eventually(
          "the end",
          Effect.map(
            Effect.flatMap(SpanStore, (spans) => spans.byAttempt(attribution.attemptId)),
            (spans) => spans.some(({ kind, state }) => kind === "http" && state !== "open") ? spans : undefined
          )
        )
        const connection = spans.find(({ kind }) => kind === "http")!
        const calls = yield* Effect.forEach(
          spans.filter(({ kind }) => kind === "llm").toSorted((a, b) => a.startTimeUs - b.startTimeUs),
          (span) =>
            Effect.map(responseText(span), (text) => {
              const lines = text.split("\n").filter((line) => line !== "").map((line) => JSON.parse(line) as object)
              const said = lines.map((line) => "n" in line ? line.n : "")
              return { span, told: [span.attributes["gen_ai.request.model"], span.state, said.join("")] }
            })
        )
        return { connection, calls, told: calls.map(({ told }) => told), said: yield* responseText(connection) }
      }),
      { limits: { ...defaultLimits, socketCallsMax: callsMax } }
    )
  })

const ask = (model: string, fields: object = {}) => event("response.create", { model, ...fields })
const created = (n: string, id: string, fields: object = {}) =>
  event("response.created", { n, response: { id }, ...fields })
const delta = (n: string, fields: object = {}) => event("response.output_text.delta", { n, delta: "x", ...fields })
const completed = (n: string, id: string) => event("response.completed", { n, response: response(id) })
const error = (n: string, fields: object = {}) => event("error", { n, error: { message: "no" }, ...fields })

describe("The calls of one connection", () => {
  it.scopedLive("are answered in the order in which they were asked, where no event says which it is of", () =>
    Effect.gen(function*() {
      const { said, told } = yield* recorded("/v1/responses", [ask("a"), ask("b")], [
        delta("1"),
        created("2", "ra"),
        delta("3"),
        event("codex.rate_limits", { n: "4" }),
        created("5", "rb"),
        delta("6", { response_id: "rb" }),
        delta("7", { response_id: "unknown" }),
        completed("8", "ra"),
        completed("9", "rb"),
        created("10", "of nobody's")
      ])
      assert.deepStrictEqual(told, [["a", "done", "12378"], ["b", "done", "569"]])
      assert.strictEqual(said, `${event("codex.rate_limits", { n: "4" })}\n${created("10", "of nobody's")}\n`)
    }))

  it.scopedLive("take what names no response by its lane, and begin one in a lane that nobody named in their order", () =>
    Effect.gen(function*() {
      const { told } = yield* recorded("/v1/responses", [ask("a", { stream_id: "a" }), ask("b", { stream_id: "b" })], [
        created("1", "ra", { stream_id: "c" }),
        delta("2", { stream_id: "b" }),
        created("3", "rb", { stream_id: "a" }),
        completed("4", "rb"),
        completed("5", "ra")
      ])
      assert.deepStrictEqual(told, [["a", "done", "15"], ["b", "done", "234"]])
    }))

  it.scopedLive("end with an error in their lane, a refusal before they were answered, or one in their stream", () =>
    Effect.gen(function*() {
      const { said, told } = yield* recorded("/v1/responses", [ask("a"), ask("b"), ask("c", { stream_id: "c" })], [
        created("1", "ra"),
        error("2", { stream_id: "of nobody" }),
        error("3", { stream_id: "c" }),
        error("4", { sequence_number: 7 }),
        error("5"),
        error("6")
      ])
      assert.deepStrictEqual(told, [
        ["a", "upstream_error", "14"],
        ["b", "upstream_error", "5"],
        ["c", "upstream_error", "3"]
      ])
      assert.strictEqual(said, `${error("2", { stream_id: "of nobody" })}\n${error("6")}\n`)
    }))

  it.scopedLive("end in Realtime with an error about them alone, and are begun by a server within the limit", () =>
    Effect.gen(function*() {
      const { said, told } = yield* recorded("/v1/realtime?model=m", [ask("a"), ask("b", { event_id: "e" })], [
        error("1"),
        event("error", { n: "2", error: { message: "no", event_id: "e" } }),
        created("3", "ra"),
        created("4", "own"),
        created("5", "beyond"),
        event("response.done", { n: "6", response: response("ra") }),
        event("response.done", { n: "7", response: response("own") })
      ], { callsMax: 2 })
      assert.deepStrictEqual(told, [["m", "done", "36"], ["m", "upstream_error", "2"], ["m", "done", "47"]])
      assert.include(said, error("1"))
      assert.include(said, created("5", "beyond"))
    }))

  it.scopedLive("are none where the API is not known", () =>
    Effect.gen(function*() {
      const { connection, said, told } = yield* recorded("/ws", [ask("a")], [delta("1"), completed("2", "r")])
      assert.deepStrictEqual(told, [])
      assert.strictEqual(said, `${delta("1")}\n${completed("2", "r")}\n`)
      assert.strictEqual(connection.state, "done")
    }))

  it.scopedLive("are of the agent's session, and no further tries where the connection is one", () =>
    Effect.gen(function*() {
      const headers = { "session-id": "s", "x-retry-count": "2", "idempotency-key": "k" }
      const { calls, connection } = yield* recorded("/v1/responses", [ask("a"), ask("b")], [
        created("1", "ra"),
        completed("2", "ra"),
        created("3", "rb"),
        completed("4", "rb")
      ], { headers })
      assert.strictEqual(connection.attributes[GenAi.sessionId], "s")
      for (const { span } of calls) {
        assert.deepInclude(span.attributes, {
          [GenAi.sessionId]: "s",
          [GenAi.callId]: span.spanId,
          [GenAi.callAttempt]: 1
        })
        assert.isAbove(span.startTimeUs, connection.startTimeUs)
      }
    }))
})
