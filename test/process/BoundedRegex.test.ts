import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import { regexFind } from "../../src/process/BoundedRegex.js"

describe("BoundedRegex", () => {
  it.effect("finds what a regular expression finds, with its flags", () =>
    Effect.gen(function*() {
      assert.isNotNull(yield* regexFind("b+c", "", "abbbc"))
      assert.isNull(yield* regexFind("B+C", "", "abbbc"))
      assert.deepStrictEqual(yield* regexFind("b+", "", "abbbc"), { text: "bbb", index: 1 })
      assert.isNotNull(yield* regexFind("B+C", "i", "abbbc"))
      assert.isNotNull(yield* regexFind(String.raw`^\p{L}$`, "mu", "1\nß\n"))
    }))

  it.effect("gives up on a pattern that backtracks without end", () =>
    Effect.gen(function*() {
      const startedAt = performance.now()
      const error = yield* Effect.flip(regexFind("^(a+)+$", "", `${"a".repeat(60)}!`))
      assert.strictEqual(error.reason, "timeout")
      assert.isBelow(performance.now() - startedAt, 5000)
      assert.isNotNull(yield* regexFind("a", "", "a"))
    }))

  it.effect("reports a pattern that is none", () =>
    Effect.gen(function*() {
      const error = yield* Effect.flip(regexFind("(", "", ""))
      assert.strictEqual(error.reason, "syntax")
      assert.match(error.message, /Invalid regular expression/)
      assert.strictEqual((yield* Effect.flip(regexFind("a", "z", ""))).reason, "syntax")
    }))
})
