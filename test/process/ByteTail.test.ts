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

  it.prop(
    "keeps the end of text that does not fit, less what is left of a character",
    [
      FastCheck.fullUnicodeString({ minLength: 1 }),
      FastCheck.constantFrom(1, 100, 10_000),
      FastCheck.integer({ min: 1, max: 64 })
    ],
    ([piece, times, bytesMax]) => {
      const text = piece.replaceAll("\0", "-").repeat(times)
      const tail = new ByteTail(bytesMax)
      const bytes = Buffer.from(text)
      for (let at = 0; at < bytes.length; at += 1_000) tail.push(bytes.subarray(at, at + 1_000))
      const kept = tail.text()
      assert.isTrue(text.endsWith(kept), JSON.stringify(kept))
      assert.isAbove(Buffer.byteLength(kept), Math.min(bytes.length, bytesMax) - 4)
    }
  )

  it("keeps as many replacement characters as fit, each of which is longer than the byte it stands for", () => {
    const tail = new ByteTail(10)
    tail.push(Buffer.concat([Buffer.from("text"), Buffer.alloc(20, 0xff)]))
    assert.strictEqual(tail.text(), "\uFFFD".repeat(3))
  })
})
