import { assert, describe, it } from "@effect/vitest"
import * as FastCheck from "effect/FastCheck"
import { textJson } from "../../src/openai/Json.js"

/** All of 16 bits, lone halves of a character among them. */
const texts = FastCheck.oneof(FastCheck.string16bits(), FastCheck.string(), FastCheck.stringMatching(/^[ -~]{0,20}$/))

describe("The JSON of a text", () => {
  it.prop("is that of JSON.stringify", [texts], ([text]) => {
    assert.strictEqual(textJson(text), JSON.stringify(text))
  })

  it("is that for each character by itself", () => {
    const all = Array.from({ length: 0x10000 }, (_, code) => `a${String.fromCharCode(code)}`)
    assert.deepStrictEqual(all.filter((text) => textJson(text) !== JSON.stringify(text)), [])
  })
})
