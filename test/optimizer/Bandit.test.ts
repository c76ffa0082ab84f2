import { assert, describe, it } from "@effect/vitest"
import { upperConfidence } from "../../src/optimizer/Bandit.js"
import { Chance } from "../../src/optimizer/Chance.js"
import type { TaskExample } from "../../src/optimizer/Search.js"
import { answered, examplesOf } from "../support/search.js"

/** The means that are found of so many arms, and the arms and examples of each round. */
const pulled = (arms: number, examples: number, score: (arm: number, example: TaskExample) => number, seed = 1) => {
  const candidates = Array.from({ length: arms }, (_, arm) => ({ p: `${arm}` }))
  const steps = upperConfidence(candidates, examplesOf("selection", examples), new Chance(seed), "path")
  const { batches, value } = answered(steps, ({ p }, example) => ({ score: score(Number(p), example) }))
  return {
    means: value,
    rounds: batches.map((batch) => batch.map(({ texts }) => Number(texts["p"]))),
    examples: batches.map((batch) => batch.map(({ examples }) => examples.map(({ id }) => id)))
  }
}

const timesOf = (arm: number, rounds: ReadonlyArray<ReadonlyArray<number>>) =>
  rounds.filter((arms) => arms.includes(arm)).length

describe("the bandit", () => {
  it("runs whoever was not run yet before anyone is run again, eight a round on the same 32 examples, others each time", () => {
    const { examples, rounds } = pulled(12, 200, () => 0.5)
    assert.lengthOf(rounds, 8)
    for (const arms of rounds) assert.lengthOf(new Set(arms), 8)
    assert.lengthOf(new Set(rounds.slice(0, 2).flat()), 12)
    for (const [first, ...others] of examples) {
      assert.lengthOf(new Set(first), 32)
      for (const other of others) assert.deepStrictEqual(other, first)
    }
    assert.isAbove(new Set(examples.flat(2)).size, 100)
  })

  it("drops whoever cannot be the best", () => {
    for (const seed of [1, 2, 3]) {
      const { means, rounds } = pulled(9, 200, (arm) => arm === 4 ? 0 : 1, seed)
      assert.deepStrictEqual(means, [1, 1, 1, 1, 0, 1, 1, 1, 1])
      assert.strictEqual(timesOf(4, rounds), 1)
    }
  })

  it("gives the benefit of the doubt to whoever was run less", () => {
    for (const seed of [1, 2, 3]) {
      const { rounds } = pulled(9, 5_000, (arm) => arm === 4 ? 0.495 : 0.5, seed)
      // Eight times somebody is left out: never the same one twice.
      for (let arm = 0; arm < 9; arm += 1) assert.isAtLeast(timesOf(arm, rounds), 7)
    }
  })

  it("finds the mean over all that a candidate was run on, and 0 of one that never was", () => {
    const { means } = pulled(3, 20, (arm, { id }) => Number(id.split("-")[1]) < 5 * arm ? 1 : 0)
    assert.deepStrictEqual(means, [0, 0.25, 0.5])
    const { means: many, rounds } = pulled(70, 20, () => 1)
    assert.lengthOf(new Set(rounds.flat()), 64)
    assert.strictEqual(many.filter((mean) => mean === 0).length, 6)
  })
})
