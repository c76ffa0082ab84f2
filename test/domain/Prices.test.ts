import { assert, describe, it } from "@effect/vitest"
import { costOf, priceOf } from "../../src/domain/Prices.js"

describe("Prices", () => {
  it("are found by the names that models are called and answered by", () => {
    const mini = { input: 0.15, output: 0.6 }
    for (
      const name of ["gpt-4o-mini", "openai/gpt-4o-mini", "gpt-4o-mini-2024-07-18", "openrouter/openai/gpt-4o-mini"]
    ) {
      assert.deepStrictEqual(priceOf({}, name), mini, name)
    }
    assert.deepStrictEqual(priceOf({ "gpt-4o-mini": { input: 9, output: 9 } }, "openai/gpt-4o-mini"), {
      input: 9,
      output: 9
    })
    // A config names models as `--model` does, with their provider; calls name them without.
    const dear = { input: 9, output: 9 }
    for (const name of ["my-model", "my-model-2026-01-01", "lab/my-model", "openrouter/lab/my-model"]) {
      assert.deepStrictEqual(priceOf({ "openrouter/lab/my-model": dear }, name), dear, name)
    }
    assert.deepStrictEqual(priceOf({ "openai/gpt-4o-mini": dear }, "gpt-4o-mini"), dear)
    assert.isUndefined(priceOf({ "openai/not-my-model": dear }, "my-model"))
    assert.deepStrictEqual(priceOf({}, "sim/arithmetic"), { input: 0, output: 0 })
    for (const name of ["vllm/my-model", "openai/simple-1", "constructor", "openai/toString"]) {
      assert.isUndefined(priceOf({}, name), name)
    }
  })

  it("are those of a name without its date, which stands at its end; one that is set for the name as it is comes first", () => {
    assert.deepStrictEqual(priceOf({}, "anthropic/claude-sonnet-4-5-20250929"), { input: 3, output: 15 })
    assert.isUndefined(priceOf({}, "gpt-4o-20240806-mini"))
    const [one, other] = [{ input: 1, output: 1 }, { input: 2, output: 2 }]
    assert.deepStrictEqual(priceOf({ "a/my-model": one, "b/my-model": other }, "b/my-model"), other)
    assert.deepStrictEqual(priceOf({ "my-model": one, "my-model-2026-01-01": other }, "c/my-model-2026-01-01"), other)
  })
})

describe("What calls cost", () => {
  const usage = (model: string | null, cost: number | null, outputTokens = 1_000_000) => ({
    model,
    inputTokens: 0,
    outputTokens,
    cost,
    metered: 1
  })
  const known = { usd: 0, unpriced: null, unpricedCalls: 0, unmeteredCalls: 0 }

  it("goes by their price where a gateway says 0, of calls that are billed elsewhere", () => {
    assert.deepStrictEqual(costOf([usage("gpt-4o", 0)], undefined), { ...known, usd: 10 })
    assert.deepStrictEqual(costOf([usage("gpt-4o", 0.5)], undefined), { ...known, usd: 0.5 })
  })

  it("names the first model without a price of those that used anything, and counts the calls of all", () => {
    assert.deepStrictEqual(
      costOf([usage("idle", null, 0), usage(null, null), usage("mystery", null), usage("free", 0)], undefined),
      { ...known, unpriced: "a model without a name", unpricedCalls: 2 }
    )
  })
})
