import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import { toBaseUrl } from "../../src/domain/Attribution.js"
import { Proxy } from "../../src/proxy/Proxy.js"
import { metrics } from "../support/metrics.js"
import { attribution, finishedSpans, withProxy } from "../support/proxy.js"
import { upstream, withBody } from "../support/upstream.js"

const events = {
  responses: [
    { type: "response.created", response: { id: "r", object: "response", status: "in_progress", output: [] } },
    { type: "response.output_text.delta", item_id: "m", output_index: 0, content_index: 0, delta: "Hel" },
    { type: "response.completed", response: { id: "r", object: "response", status: "completed", output: [] } }
  ],
  messages: [
    { type: "message_start", message: { type: "message", role: "assistant", content: [] } },
    { type: "content_block_delta", index: 0, delta: { type: "text_delta", text: "Hel" } },
    { type: "message_stop" }
  ],
  "chat/completions": [
    { choices: [{ index: 0, delta: { content: "Hel" } }] },
    { choices: [{ index: 0, delta: {}, finish_reason: "stop" }] }
  ]
}

const sse = (payloads: ReadonlyArray<object>) =>
  payloads.map((payload) => `data: ${JSON.stringify(payload)}\n\n`).join("")

/** What is left of the events of an answer. */
const remains = {
  "whole events": (payloads: ReadonlyArray<object>) => sse(payloads.slice(0, -1)),
  "an event in two": (payloads: ReadonlyArray<object>) => sse(payloads).slice(0, -20),
  "a comment": () => ": keep-alive\n\n",
  "nothing": () => ""
}

/** Asks twice: the first answer lacks its last event, though its connection ends in order. The states and counts of both spans. */
const asked = (path: keyof typeof events, left: keyof typeof remains = "whole events") =>
  Effect.gen(function*() {
    let count = 0
    const answers = [remains[left](events[path]), sse(events[path])]
    const url = yield* upstream(withBody((_, __, response) => {
      response.writeHead(200, { "content-type": "text/event-stream" })
      response.end(answers[count++])
    }))
    return yield* withProxy(
      url,
      Effect.gen(function*() {
        const base = toBaseUrl((yield* Proxy).origin, attribution)
        for (const expected of answers) {
          const answer = yield* Effect.promise(async () =>
            await (await fetch(`${base}/${path}`, { method: "POST", body: "{\"stream\":true}" })).text()
          )
          assert.strictEqual(answer, expected)
        }
        const spans = yield* finishedSpans(2)
        const endpoint = path.replace("/", "_")
        const counts = yield* metrics
        for (const { state } of spans) {
          const name = `tau_requests_total{endpoint="${endpoint}",status="2xx",state="${state}"}`
          assert.strictEqual(counts.get(name), spans.filter((span) => span.state === state).length, name)
        }
        return spans.map(({ attributes, state }) => ({
          state,
          message: attributes["tau.error_message"],
          attempt: attributes["tau.call.attempt"]
        }))
      })
    )
  })

describe("a stream whose connection ends in order, without its last event", () => {
  const ends = (["responses", "messages"] as const).flatMap((path) =>
    (Object.keys(remains) as ReadonlyArray<keyof typeof remains>).map((left) => [path, left] as const)
  )
  it.scopedLive.each([...ends, ["chat/completions", "an event in two"] as const])(
    "%s, of which %s came: was cut, and the next try is one",
    ([path, left]) =>
      Effect.gen(function*() {
        assert.deepStrictEqual(yield* asked(path, left), [
          { state: "upstream_cut", message: "the stream ended before its answer did", attempt: 1 },
          { state: "done", message: undefined, attempt: 2 }
        ])
      })
  )

  it.scopedLive.each(["whole events", "a comment", "nothing"] as const)(
    "is whole where the API has no such event, and %s came",
    (left) =>
      Effect.gen(function*() {
        assert.deepStrictEqual((yield* asked("chat/completions", left)).map(({ state }) => state), ["done", "done"])
      })
  )
})
