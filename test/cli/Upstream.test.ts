import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import { endingOf } from "../../src/cli/CliError.js"
import { upstreamOf } from "../../src/cli/Upstream.js"

const endingUnder = (environment: Record<string, string>) =>
  Effect.gen(function*() {
    const asked = { model: { name: "gpt-4o-mini", provider: "openai" }, modelRef: "openai/gpt-4o-mini" }
    const exit = yield* Effect.exit(Effect.scoped(upstreamOf(asked, environment)))
    return endingOf(Exit.as(exit, 0), false)
  })

describe("the upstream of a model", () => {
  it.effect("is a mistake of whoever set the variable when that is no URL, and ends with 2", () =>
    Effect.gen(function*() {
      const { code, lines } = yield* endingUnder({ OPENAI_BASE_URL: "ftp://models", OPENAI_API_KEY: "key" })
      assert.strictEqual(code, 2)
      assert.match(lines[0]!, /^tau: OPENAI_BASE_URL: expected a URL that starts with http:\/\/ or https:\/\//)
    }))

  it.effect("without a key cannot be called, and ends with 1", () =>
    Effect.map(endingUnder({}), ({ code, lines }) => {
      assert.strictEqual(code, 1)
      assert.match(lines[0]!, /^tau: OPENAI_API_KEY is not set: openai\/gpt-4o-mini needs the key of openai/)
    }))
})
