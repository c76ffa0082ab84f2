import { assert, describe, it } from "@effect/vitest"
import * as Schema from "effect/Schema"
import { costEstimate, type Estimated } from "../../src/cli/CostEstimate.js"
import { RunConfig } from "../../src/domain/RunConfig.js"

const decode = Schema.decodeUnknownSync(RunConfig)
const price = { input: 1, output: 10 }

const estimate = (keys: object, given: Partial<Estimated> = {}) =>
  costEstimate({
    config: decode({ optimize: [{ prompt: "?" }], optimizer: { algorithm: "rgepa" }, ...keys }),
    resources: { system_prompt: "x".repeat(200) },
    examples: ["a", "b"].map((id) => ({ id, input: id.repeat(200), expected: null })),
    rolloutsMax: 100,
    reflectionsMax: 10,
    prices: { rollout: price, reflection: price },
    ...given
  })

describe("the estimate of a dry run", () => {
  it("counts four characters as a token, and prices all that may be asked", () => {
    const { reflection, rollout, usd } = estimate({ executor: { kind: "chat", parameters: { max_tokens: 50 } } })!
    assert.deepStrictEqual(rollout, { input: 100, output: 50 })
    assert.deepStrictEqual(reflection, { input: (200 + 3_000 + 6 * (200 + 400)) / 4, output: 600 })
    assert.closeTo(usd!, (100 * (100 + 500) + 10 * (1_700 + 6_000)) / 1e6, 1e-12)
  })

  it("has no reflections where nothing is searched for", () => {
    const { reflection, usd } = estimate({}, { reflectionsMax: 0, prices: { rollout: price, reflection: null } })!
    assert.strictEqual(reflection, null)
    assert.closeTo(usd!, 100 * (100 + 3_000) / 1e6, 1e-12)
  })

  it("does not pretend to know what it cannot", () => {
    assert.strictEqual(estimate({ executor: { kind: "command", command: ["agent"] } }), null)
    assert.strictEqual(estimate({}, { prices: { rollout: price, reflection: null } })!.usd, null)
  })
})
