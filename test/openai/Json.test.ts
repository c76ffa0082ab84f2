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
    for (let code = 0; code <= 0xffff; code++) {
      const text = `a${String.fromCharCode(code)}`
      if (textJson(text) !== JSON.stringify(text)) assert.strictEqual(textJson(text), JSON.stringify(text))
    }
  })
})
