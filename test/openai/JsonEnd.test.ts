import { assert, describe, it } from "@effect/vitest"
import * as fc from "effect/FastCheck"
import { JsonEnd } from "../../src/openai/JsonEnd.js"

/** Where the end is found in a text that comes in pieces of this size; -1 when it is not. */
const endOf = (text: string, size: number) => {
  const bytes = Buffer.from(text)
  const json = new JsonEnd()
  let found = -1
  for (let at = 0; at < bytes.length; at += size) {
    const offset = json.scan(bytes.subarray(at, at + size))
    if (offset !== -1) found = at + offset
  }
  return json.isUnknown ? -1 : found
}

const document = fc.oneof(fc.dictionary(fc.string(), fc.jsonValue()), fc.array(fc.jsonValue()))
const space = fc.stringMatching(/^[ \n\r\t]{0,3}$/)
const size = fc.integer({ min: 1, max: 40 })

describe("the end of a JSON document", () => {
  it.prop("is its last bracket, however it is cut", [
    document,
    fc.constantFrom(undefined, 2),
    space,
    space,
    size,
    fc.nat()
  ], ([value, indent, before, after, cut, part]) => {
    const text = before + JSON.stringify(value, null, indent)
    assert.strictEqual(endOf(text + after, cut), Buffer.byteLength(text) - 1)
    assert.strictEqual(endOf(text.slice(0, part % text.length), cut), -1)
  })

  it.prop("is unknown of more than one, and of what is none", [document, space, size], ([value, between, cut]) => {
    const text = JSON.stringify(value)
    for (const other of [text + between + text, `x${text}`, `${text}x`, `]${text}`, "1", `"${"{}"}"`, ")]}'\n{}"]) {
      assert.strictEqual(endOf(other, cut), -1)
    }
  })
})
