import { assert, describe, it } from "@effect/vitest"
import { assembleMessage } from "../../src/openai/AnthropicStream.js"

type Event = { readonly type: string; readonly [key: string]: unknown }
const read = (...events: ReadonlyArray<Event>) =>
  assembleMessage(events.map((event) => ({ data: JSON.stringify(event) })))
const message = (...events: ReadonlyArray<Event>): unknown => JSON.parse(JSON.stringify(read(...events).object))

const start = (message: object): Event => ({ type: "message_start", message })
const block = (content_block: object): Event => ({ type: "content_block_start", index: 0, content_block })
const delta = (type: string, fields: object): Event => ({
  type: "content_block_delta",
  index: 0,
  delta: { type: `${type}_delta`, ...fields }
})
const last = (delta: object, fields: object = {}): Event => ({ type: "message_delta", delta, ...fields })
const content = (...events: ReadonlyArray<Event>) => (message(...events) as { readonly content: unknown }).content

describe("an Anthropic stream", () => {
  it("has a block whose beginning is missing by the kind of its pieces", () => {
    const pieces = {
      text: ["text", "text"],
      thinking: ["thinking", "thinking"],
      signature: ["thinking", "signature"]
    } as const
    for (const [kind, [type, field]] of Object.entries(pieces)) {
      const twice = ["a", "b"].map((piece) => delta(kind, { [field]: piece }))
      assert.deepStrictEqual(message(...twice), { type: "message", content: [{ type, [field]: "ab" }] })
    }
    assert.deepStrictEqual(content(delta("input_json", { partial_json: "{\"a\":1}" })), [
      { type: "tool_use", input: { a: 1 } }
    ])
    const web = { type: "server_tool_use", id: "s", input: {} }
    assert.deepStrictEqual(content(block(web), delta("input_json", { partial_json: "" })), [web])
  })

  it("keeps every citation of a text, and of any other delta what it says last", () => {
    const cite = (citation: number) => delta("citations", { citation })
    assert.deepStrictEqual(content(block({ type: "text", text: "a", citations: null }), cite(1), cite(2)), [
      { type: "text", text: "a", citations: [1, 2] }
    ])
    const moods = ["x", "y", null].map((mood) => delta("mood", { mood }))
    assert.deepStrictEqual(content(block({ type: "text", text: "" }), ...moods), [{
      type: "text",
      text: "",
      mood: "y"
    }])
  })

  it("lets null undo nothing of a message, and has it where nothing else was said", () => {
    const begun = { id: "m", type: "message", content: [], usage: { input_tokens: 3 } }
    assert.deepStrictEqual(
      message(
        start(begun),
        last({ stop_reason: "end_turn", stop_sequence: null }, { usage: { output_tokens: 2, server_tool_use: null } }),
        { type: "ping" },
        last({ stop_reason: null }, { usage: null })
      ),
      {
        ...begun,
        stop_reason: "end_turn",
        stop_sequence: null,
        usage: { input_tokens: 3, output_tokens: 2, server_tool_use: null }
      }
    )
  })

  it("has the content that it began with where no block followed, and the model that answered", () => {
    const whole = { type: "message", model: "one", content: [{ type: "text", text: "Hi" }] }
    assert.deepStrictEqual(message(start(whole)), whole)
    assert.deepStrictEqual(message(start({ type: "message" })), { type: "message", content: [] })
    const fallback = { type: "fallback", to: {} }
    assert.deepStrictEqual(message(start(whole), block(fallback)), { ...whole, content: [fallback] })
  })

  it("is over with its last event alone, and is no message where it said nothing or only what went wrong", () => {
    assert.isFalse(read(start({}), last({ stop_reason: "end_turn" })).isOver)
    assert.isTrue(read(start({}), { type: "message_stop" }).isOver)
    const { error, object } = read({ type: "ping" }, { type: "error", error: { message: "Overloaded" } })
    assert.deepStrictEqual([error?.message, object], ["Overloaded", null])
  })
})
