import { assert, describe, it } from "@effect/vitest"
import { assembleResponse } from "../../src/openai/ResponsesStream.js"

type Event = { readonly type: string; readonly [key: string]: unknown }
const read = (...events: ReadonlyArray<Event>) =>
  assembleResponse(events.map((event) => ({ data: JSON.stringify({ ...event, type: `response.${event.type}` }) })))

/** The items of a response that was cut. */
const output = (...events: ReadonlyArray<Event>): unknown =>
  JSON.parse(JSON.stringify(read(...events).object?.["output"]))

const text = (verb: string, fields: object): Event => ({
  type: `output_text.${verb}`,
  item_id: "m",
  output_index: 0,
  content_index: 0,
  ...fields
})
const said = (...texts: ReadonlyArray<string>) => [{
  type: "message",
  content: texts.map((text) => ({ type: "output_text", text }))
}]
const item = (verb: string, item: object, fields: object = { output_index: 0 }): Event => ({
  type: `output_item.${verb}`,
  item,
  ...fields
})

describe("a Responses stream that was cut", () => {
  it("has a text as its done event tells it, unless that tells nothing", () => {
    assert.deepStrictEqual(output(text("done", { text: "Hi" })), said("Hi"))
    assert.deepStrictEqual(output(text("delta", { delta: "He" }), text("done", { text: "Hello" })), said("Hello"))
    assert.deepStrictEqual(output(text("delta", { delta: "Hi" }), text("done", { text: "" })), said("Hi"))
    assert.deepStrictEqual(output(text("done", { text: "" })), said(""))
  })

  it("has an item as its done event holds it, whatever follows", () => {
    const message = { id: "m", ...said("Hi")[0] }
    const late = [item("added", { id: "m", content: [] }), text("delta", { delta: "!" }), text("done", { text: "?" })]
    assert.deepStrictEqual(output(text("delta", { delta: "H" }), item("done", message), ...late), [message])
    const call = { type: "function_call", arguments: "{}" }
    const more = { type: "function_call_arguments.delta", output_index: 0, delta: "}" }
    assert.deepStrictEqual(output(item("done", call), more), [call])
  })

  it("keeps what came of an item before the item itself did", () => {
    const piece = { type: "custom_tool_call_input.delta", item_id: "c", output_index: 0, delta: "ls" }
    const call = { id: "c", type: "custom_tool_call", name: "shell" }
    assert.deepStrictEqual(output(piece, item("added", call)), [{ ...call, input: "ls" }])
  })

  it("has every kind of piece in its place", () => {
    const parts = {
      refusal: { type: "message", content: [{ type: "refusal", refusal: "ab" }] },
      reasoning_text: { type: "reasoning", content: [{ type: "reasoning_text", text: "ab" }] },
      reasoning_summary_text: { type: "reasoning", summary: [{ type: "summary_text", text: "ab" }] },
      function_call_arguments: { type: "function_call", arguments: "ab" },
      mcp_call_arguments: { type: "mcp_call", arguments: "ab" },
      custom_tool_call_input: { type: "custom_tool_call", input: "ab" },
      code_interpreter_call_code: { type: "code_interpreter_call", code: "ab" }
    }
    for (const [kind, expected] of Object.entries(parts)) {
      const delta = (delta: string) => ({ type: `${kind}.delta`, output_index: 0, delta })
      assert.deepStrictEqual(output(delta("a"), delta("b")), [expected], kind)
    }
    const printed = { type: "shell_call_output_content.delta", output_index: 0, delta: { stdout: "a" } }
    assert.deepStrictEqual(output(printed), [{ type: "shell_call_output", output: [{ stdout: "a" }] }])
  })

  it("has the parts of a text and of a summary by their numbers, with what they began with", () => {
    const part = (kind: string, verb: string, index: number, fields: object): Event => ({
      type: `${kind}.${verb}`,
      output_index: 0,
      ...(kind.includes("summary") ? { summary_index: index } : { content_index: index }),
      ...fields
    })
    const begun = { type: "output_text", text: "", annotations: [] }
    assert.deepStrictEqual(
      output(
        part("content_part", "added", 0, { part: begun }),
        part("output_text", "delta", 1, { delta: "b", logprobs: [{ token: "b" }] }),
        part("output_text", "delta", 0, { delta: "a" }),
        ...["c", "d"].map((token) => part("output_text", "delta", 1, { delta: token, logprobs: [{ token }] })),
        part("output_text", "done", 1, { text: "bcd", logprobs: [{ token: "bcd" }] }),
        ...[1, 2].map((n) => part("output_text", "annotation.added", 0, { annotation: n })),
        part("content_part", "added", 2, { part: begun })
      ),
      [{
        type: "message",
        content: [
          { ...begun, text: "a", annotations: [1, 2] },
          { type: "output_text", text: "bcd", logprobs: ["b", "c", "d"].map((token) => ({ token })) },
          begun
        ]
      }]
    )
    assert.deepStrictEqual(
      output(
        part("reasoning_summary_part", "added", 2, { part: { type: "summary_text", text: "" } }),
        part("reasoning_summary_part", "added", 1, { part: { type: "summary_text", text: "" } }),
        part("reasoning_summary_text", "delta", 1, { delta: "b" }),
        part("reasoning_summary_text", "delta", 0, { delta: "a" })
      ),
      [{ type: "reasoning", summary: ["a", "b", ""].map((text) => ({ type: "summary_text", text })) }]
    )
  })

  it("has how far each tool's call had come, where that is told of such a call", () => {
    const calls = {
      web_search_call: ["in_progress", "searching", "completed"],
      code_interpreter_call: ["interpreting"],
      image_generation_call: ["generating"],
      mcp_call: ["failed"]
    }
    for (const [type, statuses] of Object.entries(calls)) {
      for (const status of statuses) {
        const call = item("added", { type, status: "" })
        assert.deepStrictEqual(output(call, { type: `${type}.${status}`, output_index: 0, item_id: "c" }), [
          { type, status }
        ])
      }
    }
    const list = { type: "mcp_list_tools", tools: [] }
    assert.deepStrictEqual(
      output(item("added", list), { type: "mcp_list_tools.completed", output_index: 0, item_id: "c" }),
      [list]
    )
  })

  it("tells items without a number apart by their ids, and by their order where they have none", () => {
    const delta = (item_id: unknown, delta: string) => ({ type: "output_text.delta", item_id, content_index: 0, delta })
    assert.deepStrictEqual(
      output(
        item("added", { id: "a", type: "message" }, {}),
        item("added", { id: "b", type: "message" }, {}),
        delta("a", "1"),
        delta("c", "3"),
        delta("b", "2"),
        delta("c", "!")
      ),
      [{ id: "a", ...said("1")[0] }, { id: "b", ...said("2")[0] }, said("3!")[0]]
    )
    const [one, two] = [{ type: "message", role: "one" }, { type: "message", role: "two" }]
    assert.deepStrictEqual(output(item("done", one, {}), item("done", two, {})), [one, two])
    assert.deepStrictEqual(output(item("added", one, {}), item("added", two, {}), delta(null, "2")), [
      one,
      { ...two, ...said("2")[0] }
    ])
    assert.deepStrictEqual(output(delta(null, "1"), delta(null, "!")), said("1!"))
  })

  it("makes no item of an event that is of none, or of a kind that nobody knows", () => {
    const unknown = { type: "smell.delta", item_id: "s", output_index: 1, delta: "x" }
    assert.deepStrictEqual(
      output({ type: "queued" }, text("delta", { delta: "Hi" }), unknown, { type: "output_text.delta", delta: "!" }),
      said("Hi")
    )
    assert.isNull(read({ type: "queued" }).object)
    assert.strictEqual(read(text("delta", { delta: "Hi" })).object?.["object"], "response")
  })

  it("leaves an event without a number behind the one that it came after", () => {
    const delta = (sequence_number: number | undefined, delta: string) => text("delta", { sequence_number, delta })
    assert.deepStrictEqual(output(delta(3, "b"), delta(undefined, "c"), delta(2, "a")), said("abc"))
    assert.deepStrictEqual(output(delta(undefined, "a"), delta(2, "c"), delta(1, "b")), said("abc"))
  })
})

describe("a Responses stream that has come to its end", () => {
  const error = { type: "server_error", message: "overloaded" }

  it("has failed for the reason that is given, wherever, and for none", () => {
    const failed = (type: string, fields: object) => read({ type, response: { id: "r", ...fields } }).error?.message
    assert.strictEqual(failed("failed", { error }), "overloaded")
    assert.strictEqual(failed("done", { status: "failed", status_details: { type: "failed", error } }), "overloaded")
    assert.strictEqual(failed("failed", { error: null }), "the response failed")
    assert.strictEqual(failed("done", { status: "failed" }), "the response failed")
    assert.isUndefined(failed("done", { status: "completed" }))
  })

  it("is what its terminal event says, whatever follows", () => {
    const response = { id: "r", status: "completed", output: said("Hi") }
    const { error: found, isOver, object } = read(
      text("delta", { delta: "Ha" }),
      { type: "completed", response },
      { type: "created", response: { id: "another" } },
      { type: "failed", error }
    )
    assert.deepStrictEqual([{ ...object }, isOver, found], [response, true, null])
  })
})
