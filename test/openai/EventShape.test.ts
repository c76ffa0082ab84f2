import { assert, describe, it } from "@effect/vitest"
import * as FastCheck from "effect/FastCheck"
import { assembleMessage } from "../../src/openai/AnthropicStream.js"
import { assembleChat } from "../../src/openai/ChatCompletion.js"
import { EventShape } from "../../src/openai/EventShape.js"
import { assembleResponse } from "../../src/openai/ResponsesStream.js"

const chat = (delta: object, more: object = {}) => ({
  id: "c",
  object: "chat.completion.chunk",
  choices: [{ index: 0, delta, finish_reason: null }],
  ...more
})

/** What servers send piece by piece, and what they send besides. */
const frames: ReadonlyArray<(text: string, n: number) => unknown> = [
  (content) => chat({ content }),
  (content) => chat({ content }, { usage: null }),
  (content, n) => chat({ content }, { obfuscation: "x".repeat(n % 7) }),
  (reasoning) => chat({ reasoning_content: reasoning, content: null }),
  (args) => chat({ tool_calls: [{ index: 0, function: { arguments: args } }] }),
  (text) => ({ object: "text_completion", choices: [{ index: 0, text }] }),
  (text) => ({ type: "content_block_delta", index: 0, delta: { type: "text_delta", text } }),
  (json) => ({ type: "content_block_delta", index: 1, delta: { type: "input_json_delta", partial_json: json } }),
  (delta) => ({ type: "response.output_text.delta", item_id: "m", output_index: 0, content_index: 0, delta }),
  // Lists that whoever reads them keeps parts of.
  (text) => chat({ reasoning_details: [{ type: "reasoning.text", text }] }),
  (text) => chat({ other: { text } }),
  (text) => ({ delta: { text }, other: [{ text: "" }] }),
  (text) => chat({ content: text }, { logprobs: { content: [{ token: text }] } }),
  (text) => chat({ [text]: text }),
  (text) => [chat({ content: text })],
  (text) => text
]

const text = FastCheck.oneof(
  FastCheck.string({ maxLength: 12 }),
  FastCheck.constantFrom(
    "",
    " ",
    "\"",
    "\\",
    "\\\"",
    "\n",
    "\u0000",
    "é",
    "😀",
    "\ud800",
    "tau: the text that differs",
    "a\",\"b"
  )
)

const streams = FastCheck.array(
  FastCheck.tuple(
    FastCheck.nat(frames.length - 1),
    FastCheck.array(text, { minLength: 1, maxLength: 40 }),
    FastCheck.boolean()
  ),
  { minLength: 1, maxLength: 5 }
)

const bytesOf = (texts: ReadonlyArray<string>) => Buffer.from(texts.map((one) => `data: ${one}\n\n`).join(""))

describe("Events that are alike", () => {
  it.prop("come to the same as events that are read one by one", [streams], ([parts]) => {
    const texts = parts.flatMap(([frame, pieces, isBroken]) =>
      pieces.map((piece, n) => {
        const json = JSON.stringify(frames[frame]!(piece, n))
        return isBroken && n % 11 === 5 ? json.slice(0, -1 - n % 4) : json
      })
    )
    // White space that grows makes no two events alike.
    const unlike = texts.map((one, n) => one.replace(/^[{[]/, (bracket) => bracket + " ".repeat(n % 5)))
    for (const assemble of [assembleChat, assembleMessage, assembleResponse]) {
      assert.deepStrictEqual(assemble(bytesOf(texts)), assemble(bytesOf(unlike)))
    }
  }, { fastCheck: { numRuns: 400 } })

  const shape = (one: object, other: object) => EventShape.of(JSON.stringify(one), JSON.stringify(other))

  it("differ in one text, wherever it is", () => {
    const found = shape(chat({ content: "one" }), chat({ content: "other" }, { obfuscation: "noise" }))
    assert.strictEqual(found?.textOf(JSON.stringify(chat({ content: "a \"b\"\n" }, { obfuscation: "" }))), "a \"b\"\n")
    assert.deepStrictEqual(found?.eventWith("next"), chat({ content: "next" }))
    assert.isUndefined(found?.textOf(JSON.stringify(chat({ content: "a" }, { model: "m" }))))
    assert.isUndefined(found?.textOf(JSON.stringify(chat({ content: "a" })).replace("\"a\"", "\"a\\\"")))
  })

  it("have no other lists or objects in them, which a reader could keep", () => {
    assert.isNull(shape(chat({ content: "a", more: {} }), chat({ content: "b", more: {} })))
    assert.isNull(shape(chat({ content: "a" }, { usage: [] }), chat({ content: "b" }, { usage: [] })))
    assert.isNull(shape({ list: [1, "a"] }, { list: [1, "b"] }))
    assert.isNull(shape({ a: "x" }, { b: "x" }))
    assert.isNull(shape({ n: 1, a: "x" }, { n: 2, a: "y" }))
    assert.isNull(shape({ a: "x" }, { a: "x" }))
  })
})
