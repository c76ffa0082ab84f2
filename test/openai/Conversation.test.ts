import { assert, describe, it } from "@effect/vitest"
import { readFileSync } from "node:fs"
import * as zlib from "node:zlib"
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
