import { assert, describe, it } from "@effect/vitest"
import * as FastCheck from "effect/FastCheck"
import { ByteTail } from "../../src/process/ByteTail.js"

describe("ByteTail", () => {
  it.prop(
    "is the end of the stream as valid text within its limit, however the bytes arrive",
    [FastCheck.array(FastCheck.uint8Array({ maxLength: 40 })), FastCheck.integer({ min: 1, max: 64 })],
    ([chunks, bytesMax]) => {
      const tail = new ByteTail(bytesMax)
      for (const chunk of chunks) tail.push(chunk)
      const text = tail.text()
      assert.isAtMost(Buffer.byteLength(text), bytesMax)
      assert.strictEqual(Buffer.from(text).toString(), text)
      assert.notInclude(text, "\0")
    }
  )

  it.prop(
    "keeps text that fits as it is",
    [FastCheck.fullUnicodeString(), FastCheck.integer({ min: 1, max: 7 })],
    ([text, step]) => {
      const tail = new ByteTail(10_000)
      const bytes = Buffer.from(text)
      for (let at = 0; at < bytes.length; at += step) tail.push(bytes.subarray(at, at + step))
      assert.strictEqual(tail.text(), text.replaceAll("\0", "\uFFFD"))
    }
  )
})
