import { assert, describe, it } from "@effect/vitest"
import * as Schema from "effect/Schema"
import { costEstimate, type Estimated } from "../../src/cli/CostEstimate.js"
import { JudgeScorerConfig, RunConfig } from "../../src/domain/RunConfig.js"

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
    judges: [],
    ...given
  })

describe("the estimate of a dry run", () => {
  it("counts four characters as a token, and prices all that may be asked", () => {
    const { reflection, rollout, usd } = estimate({ executor: { kind: "chat", parameters: { max_tokens: 50 } } })!
    assert.deepStrictEqual(rollout, { input: 100, output: 50 })
    assert.strictEqual(estimate({}, { examples: [{ id: "a", input: "?", expected: null }] })!.rollout.input, 51)
    assert.strictEqual(estimate({}, { examples: [] })!.rollout.input, 50)
    assert.deepStrictEqual(reflection, { input: (200 + 3_000 + 6 * (200 + 400)) / 4, output: 600 })
    assert.closeTo(usd!, (100 * (100 + 500) + 10 * (1_700 + 6_000)) / 1e6, 1e-12)
  })

  it("expects no longer answers than a limit leaves room for, nor ones as long as a high limit would", () => {
    const answers = (parameters: object) => estimate({ executor: { kind: "chat", parameters } })!.rollout.output
    assert.deepStrictEqual(
      [{}, { max_tokens: 50 }, { max_completion_tokens: 60 }, { max_tokens: 4_096 }, { max_tokens: "50" }].map(answers),
      [300, 50, 60, 300, 300]
    )
    const judgement = (limit: object) => {
      const [judge] = Schema.decodeUnknownSync(Schema.Tuple(JudgeScorerConfig))([{
        kind: "judge",
        rubric: "?",
        ...limit
      }])
      return estimate({}, { judges: [{ judge, price }] })!.judgements[0]!.output
    }
    assert.deepStrictEqual([{ max_tokens: 20 }, { max_tokens: 1_000 }].map(judgement), [20, 100])
  })

  it("counts as many examples in a reflection as its algorithm shows, or the config says", () => {
    const shown = (optimizer: object) => {
      const { input } = estimate({ optimizer, executor: { kind: "chat", parameters: { max_tokens: 50 } } })!.reflection!
      return (input * 4 - 3_200) / 600
    }
    assert.deepStrictEqual(
      [{ algorithm: "gepa" }, { algorithm: "apo" }, { algorithm: "rgepa" }, { algorithm: "gepa", minibatch: 2 }].map(
        shown
      ),
      [3, 4, 6, 2]
    )
  })

  it("has no reflections where nothing is searched for", () => {
    const { reflection, usd } = estimate({}, { reflectionsMax: 0, prices: { rollout: price, reflection: null } })!
    assert.strictEqual(reflection, null)
    assert.closeTo(usd!, 100 * (100 + 3_000) / 1e6, 1e-12)
  })

  it("counts what judges are asked, each sample of it", () => {
    const [judge] = Schema.decodeUnknownSync(Schema.Tuple(JudgeScorerConfig))([
      { kind: "judge", rubric: "x".repeat(400), samples: 3 }
    ])
    const { judgements, usd } = estimate({}, {
      reflectionsMax: 0,
      judges: [{ judge, price: { input: 2, output: 8 } }]
    })!
    const input = (1_000 + 400 + 200 + 1_200) / 4
    assert.deepStrictEqual(judgements, [{ n: 300, input, output: 100 }])
    assert.closeTo(usd!, (100 * (100 + 3_000) + 300 * (2 * input + 800)) / 1e6, 1e-12)
    assert.isNull(estimate({}, { judges: [{ judge, price: null }] })!.usd)
  })

  it("does not pretend to know what it cannot", () => {
    assert.strictEqual(estimate({ executor: { kind: "command", command: ["agent"] } }), null)
    assert.strictEqual(estimate({ executor: { kind: "http", url: "http://127.0.0.1:1" } }), null)
    assert.strictEqual(estimate({}, { prices: { rollout: price, reflection: null } })!.usd, null)
  })
})
