import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import { regexOccurs } from "../../src/process/BoundedRegex.js"

describe("BoundedRegex", () => {
  it.effect("finds what a regular expression finds, with its flags", () =>
    Effect.gen(function*() {
      assert.isTrue(yield* regexOccurs("b+c", "", "abbbc"))
      assert.isFalse(yield* regexOccurs("B+C", "", "abbbc"))
      assert.isTrue(yield* regexOccurs("B+C", "i", "abbbc"))
      assert.isTrue(yield* regexOccurs(String.raw`^\p{L}$`, "mu", "1\nß\n"))
    }))

  it.effect("gives up on a pattern that backtracks without end", () =>
    Effect.gen(function*() {
      const startedAt = performance.now()
      const error = yield* Effect.flip(regexOccurs("^(a+)+$", "", `${"a".repeat(60)}!`))
      assert.strictEqual(error.reason, "timeout")
      assert.isBelow(performance.now() - startedAt, 5000)
      assert.isTrue(yield* regexOccurs("a", "", "a"))
    }))

  it.effect("reports a pattern that is none", () =>
    Effect.gen(function*() {
      const error = yield* Effect.flip(regexOccurs("(", "", ""))
      assert.strictEqual(error.reason, "syntax")
      assert.match(error.message, /Invalid regular expression/)
      assert.strictEqual((yield* Effect.flip(regexOccurs("a", "z", ""))).reason, "syntax")
    }))
})
