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

/** Asks twice: the first answer lacks its last event, though its connection ends in order. The states and counts of both spans. */
const asked = (path: keyof typeof events) =>
  Effect.gen(function*() {
    let count = 0
    const url = yield* upstream(withBody((_, __, response) => {
      response.writeHead(200, { "content-type": "text/event-stream" })
      response.end(sse(count++ === 0 ? events[path].slice(0, -1) : events[path]))
    }))
    return yield* withProxy(
      url,
      Effect.gen(function*() {
        const base = toBaseUrl((yield* Proxy).origin, attribution)
        for (const expected of [events[path].slice(0, -1), events[path]]) {
          const answer = yield* Effect.promise(async () =>
            await (await fetch(`${base}/${path}`, { method: "POST", body: "{\"stream\":true}" })).text()
          )
          assert.strictEqual(answer, sse(expected))
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
  it.scopedLive.each(["responses", "messages"] as const)(
    "%s: was cut, and the next try is one",
    (path) =>
      Effect.gen(function*() {
        assert.deepStrictEqual(yield* asked(path), [
          { state: "upstream_cut", message: "the stream ended before its answer did", attempt: 1 },
          { state: "done", message: undefined, attempt: 2 }
        ])
      })
  )

  it.scopedLive("is whole where the API has no such event", () =>
    Effect.gen(function*() {
      assert.deepStrictEqual((yield* asked("chat/completions")).map(({ state }) => state), ["done", "done"])
    }))
})
