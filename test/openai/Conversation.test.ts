import { assert, describe, expect, it } from "@effect/vitest"
import { readFileSync } from "node:fs"
import * as zlib from "node:zlib"
import { assembleMessage } from "../../src/openai/AnthropicStream.js"
import { conversationOf, jsonOfBody, textOfBody } from "../../src/openai/Conversation.js"

describe("a recorded body", () => {
  const zstd = readFileSync(new URL("./fixtures/zstd/answer.zst", import.meta.url))
  const text =
    `{"id":"chatcmpl-1","object":"chat.completion","model":"m-1","choices":[{"index":0,"message":{"role":"assistant",` +
    `"content":"four, four, four: 2 + 2 = 4"},"finish_reason":"stop"}],` +
    `"usage":{"prompt_tokens":11,"completion_tokens":3,"total_tokens":14}}`

  it.each([
    ["identity", Buffer.from(text)],
    ["gzip", zlib.gzipSync(text)],
    ["br", zlib.brotliCompressSync(text)],
    ["deflate", zlib.deflateSync(text)],
    ["zstd", zstd]
  ])("is read whatever its encoding: %s", (_, body) => {
    assert.deepStrictEqual(jsonOfBody(body), JSON.parse(text))
    assert.strictEqual(textOfBody(body), text)
  })
})

describe("what was sent", () => {
  it("may be an answer of more parts than a function takes arguments", () => {
    const content = Array.from({ length: 200_000 }, () => ({ type: "output_text", text: "x" }))
    const said = (parts: ReadonlyArray<object>) => ({ type: "message", role: "assistant", content: parts })
    const { turns } = conversationOf({ input: [said(content.slice(0, 1)), said(content)] }, null)
    assert.deepStrictEqual(turns.map(({ parts, role }) => [role, parts.length]), [["assistant", 200_001]])
  })
})

describe("what was answered", () => {
  const outputOf = (answer: object) => conversationOf(null, answer).output

  it("is there where it says nothing but why it ended", () => {
    assert.deepStrictEqual(
      outputOf({ type: "message", role: "assistant", content: [], stop_reason: "refusal" }),
      [{ role: "assistant", parts: [], finishReason: "refusal" }]
    )
    assert.deepStrictEqual(
      outputOf({
        object: "response",
        status: "incomplete",
        incomplete_details: { reason: "content_filter" },
        output: []
      }),
      [{ role: "assistant", parts: [], finishReason: "content_filter" }]
    )
    assert.deepStrictEqual(outputOf({ object: "list", data: [] }), [])
  })

  it("has ended for no reason where it was cut", () => {
    const message = { type: "message", content: [{ type: "output_text", text: "Hel" }] }
    assert.deepStrictEqual(
      outputOf({ object: "response", status: "in_progress", output: [message] }),
      [{ role: "assistant", parts: [{ type: "text", content: "Hel" }] }]
    )
    assert.deepStrictEqual(outputOf({ object: "response", status: "queued", output: [] }), [])
  })

  it("is there in words where it was said aloud", () => {
    const said = [{ type: "text", content: "Hello" }] as const
    const audio = { id: "audio_1", transcript: "Hello", data: "AAAA", expires_at: 1 }
    assert.deepStrictEqual(
      outputOf({
        choices: [{ index: 0, message: { role: "assistant", content: null, audio }, finish_reason: "stop" }]
      }),
      [{ role: "assistant", parts: said, finishReason: "stop" }]
    )
    for (const type of ["audio", "output_audio"]) {
      const message = { type: "message", role: "assistant", content: [{ type, transcript: "Hello" }] }
      assert.deepStrictEqual(
        outputOf({ object: "realtime.response", status: "completed", output: [message] }),
        [{ role: "assistant", parts: said, finishReason: "completed" }]
      )
    }
  })

  it.each([
    ["{\"id\": 1234567890123456789}", "{\"id\": 1234567890123456789}"],
    ["{\"x\": 1e999}", "{\"x\": 1e999}"],
    ["{\"short\": 123456789012345, \"n\": 1.50}", { short: 123456789012345, n: 1.5 }],
    ["{\"card\": \"4111 \\\" 4111111111111111\", \"n\": 1}", { card: "4111 \" 4111111111111111", n: 1 }],
    ["{\"third\": 0.3333333333333333}", { third: 0.3333333333333333 }]
  ])("has a tool's arguments as they were where a number would become another one: %s", (text, expected) => {
    const tool_calls = [{ id: "c1", type: "function", function: { name: "f", arguments: text } }]
    assert.deepStrictEqual(
      outputOf({ choices: [{ index: 0, message: { role: "assistant", content: null, tool_calls } }] }),
      [{ role: "assistant", parts: [{ type: "tool_call", id: "c1", name: "f", arguments: expected }] }]
    )
  })
})

describe("what was asked", () => {
  const rolesAndParts = (request: object) =>
    conversationOf(request, null).input.map(({ parts, role }) => [role, ...parts.map(({ type }) => type)])

  it("has what a model answered at once in one message, whether or not it came as items", () => {
    const call = (id: string) => ({ type: "function_call", call_id: id, name: "add", arguments: "{}" })
    const result = (id: string) => ({ type: "function_call_output", call_id: id, output: "3" })
    assert.deepStrictEqual(
      rolesAndParts({
        input: [
          { role: "user", content: "What is 1 + 2?" },
          { type: "reasoning", id: "rs_1", summary: [], encrypted_content: "…" },
          { type: "message", role: "assistant", content: [{ type: "output_text", text: "I add." }] },
          call("a"),
          call("b"),
          result("a"),
          result("b"),
          { type: "computer_call", call_id: "c", action: { type: "screenshot" } },
          { type: "computer_call_output", call_id: "c", output: { type: "computer_screenshot" } },
          call("d")
        ]
      }),
      [
        ["user", "text"],
        ["assistant", "reasoning", "text", "tool_call", "tool_call"],
        ["tool", "tool_call_response"],
        ["tool", "tool_call_response"],
        ["assistant", "other"],
        ["tool", "other"],
        ["assistant", "tool_call"]
      ]
    )
  })

  it("keeps the messages of a chat apart", () => {
    const messages = [{ role: "assistant", content: "one" }, { role: "assistant", content: "two" }]
    assert.deepStrictEqual(rolesAndParts({ messages }), [["assistant", "text"], ["assistant", "text"]])
  })

  it("has no turn for a prompt that the server keeps", () => {
    assert.deepStrictEqual(rolesAndParts({ prompt: { id: "pmpt_1", variables: { city: "Rome" } } }), [])
    assert.deepStrictEqual(rolesAndParts({ prompt: "Once upon" }), [["user", "text"]])
  })
})

describe("a tool call of a Messages stream", () => {
  const read = (...pieces: ReadonlyArray<string>) => {
    const events = [
      { type: "message_start", message: { id: "m", type: "message", role: "assistant", content: [] } },
      { type: "content_block_start", index: 0, content_block: { type: "tool_use", id: "t", name: "f", input: {} } },
      ...pieces.map((partial_json) => ({
        type: "content_block_delta",
        index: 0,
        delta: { type: "input_json_delta", partial_json }
      }))
    ]
    const { object } = assembleMessage(events.map((event) => ({ data: JSON.stringify(event) })))
    const stored = jsonOfBody(Buffer.from(JSON.stringify(object)))
    return { object, parts: conversationOf({}, stored).output.flatMap(({ parts }) => parts) }
  }

  it("keeps the digits of its numbers", () => {
    const { object, parts } = read("{\"id\":12345678", "90123456789}")
    expect(object).toMatchObject({ content: [{ type: "tool_use", input: { id: Number("1234567890123456789") } }] })
    expect(parts).toEqual([{ type: "tool_call", id: "t", name: "f", arguments: "{\"id\":1234567890123456789}" }])
    expect(read("{\"id\":\"1234567890123456789\"}").parts).toMatchObject([{ arguments: { id: "1234567890123456789" } }])
  })

  it("says what had come of its input when it was cut", () => {
    expect(read("{\"city\":", "\"Os").parts).toMatchObject([{ arguments: "{\"city\":\"Os" }])
    expect(read("").parts).toMatchObject([{ arguments: {} }])
  })
})

describe("a tool call of Anthropic messages that were not streamed", () => {
  const call = (input: string) => `{"type":"tool_use","id":"t","name":"f","input":${input}}`
  const long = "{ \"id\": 1234567890123456789 }"

  it("keeps the digits of its numbers", () => {
    const answer = `{"type":"message","content":[{"type":"text","text":"é"},${call(long)},${call("{\"a\":1}")}]}`
    const request = `{"messages":[null,{"role":"user","content":"x"},{"role":"assistant","content":[${call("{}")},${
      call(long)
    }]}]}`
    const { output, turns } = conversationOf(jsonOfBody(Buffer.from(request)), jsonOfBody(zlib.gzipSync(answer)))
    const argumentsOf = (messages: typeof output) =>
      messages.flatMap(({ parts }) => parts).flatMap((part) => part.type === "tool_call" ? [part.arguments] : [])
    expect(argumentsOf(output)).toEqual([long, { a: 1 }])
    expect(argumentsOf(turns)).toEqual([{}, long])
  })
})
