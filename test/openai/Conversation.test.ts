import { assert, describe, it } from "@effect/vitest"
import { readFileSync } from "node:fs"
import * as zlib from "node:zlib"
import { jsonOfBody, textOfBody } from "../../src/openai/Conversation.js"

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
