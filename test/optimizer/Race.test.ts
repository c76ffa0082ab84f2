import { assert, describe, it } from "@effect/vitest"
import type { Candidate } from "../../src/optimizer/Pool.js"
import { race, type RaceSettings } from "../../src/optimizer/Race.js"
import { answered, examplesOf } from "../support/search.js"

const rivalOf = (scores: ReadonlyArray<number>): Candidate => ({
  index: 0,
  texts: { p: "rival" },
  parents: [],
  scores,
  mean: 0,
  tokens: 0
})

/** The race of a candidate with these scores against a rival that has 0.5 everywhere, in the order of the task or in another. */
const raced = (
  scores: ReadonlyArray<number>,
  settings: Partial<RaceSettings> = {},
  order: ReadonlyArray<number> = [...scores.keys()]
) => {
  const selection = examplesOf("selection", scores.length)
  const steps = race({ p: "new" }, rivalOf(scores.map(() => 0.5)), selection, order, {
    block: 2,
    dropZ: 1,
    dropMargin: 0,
    ...settings
  })
  const { batches, value } = answered(steps, (_, { id }) => ({ score: scores[Number(id.split("-")[1])]! }))
  return {
    raced: value.done ? value.outcomes.map(({ score }) => score) : { sum: value.sum, n: value.n },
    blocks: batches.map(([ask]) => ask!.examples.map(({ id }) => Number(id.split("-")[1])))
  }
}

describe("a race", () => {
  it("goes block by block in its order, and answers in the task's", () => {
    assert.deepStrictEqual(raced([0.6, 0.7, 0.8, 0.9, 1], {}, [3, 0, 4, 2, 1]), {
      raced: [0.6, 0.7, 0.8, 0.9, 1],
      blocks: [[3, 0], [4, 2], [1]]
    })
  })

  it("ends after the block that makes a gain unlikely, with what was measured", () => {
    const lost = [1, 1, ...Array<number>(8).fill(0)]
    assert.deepStrictEqual(raced(lost), { raced: { sum: -2, n: 8 }, blocks: [[0, 1], [2, 3], [4, 5], [6, 7]] })
    assert.deepStrictEqual(raced([0, 0, 1, 1]).raced, { sum: -1, n: 2 })
  })

  it("is not given up once every example is run: the scores are there", () => {
    assert.deepStrictEqual(raced([0, 0]).raced, [0, 0])
    assert.deepStrictEqual(raced([0.6, 0.6, 0, 0], { dropZ: 0 }).raced, [0.6, 0.6, 0, 0])
  })

  it("takes equal differences, and a single one, for no more than a hint", () => {
    // A standard error of √(0.05 / 2) = 0.158 at least.
    assert.deepStrictEqual(raced([0.35, 0.35, 1, 1]).raced, [0.35, 0.35, 1, 1])
    assert.deepStrictEqual(raced([0.25, 0.25, 1, 1]).raced, { sum: -0.5, n: 2 })
    assert.deepStrictEqual(raced([0.3, 1, 1], { block: 1 }).raced, [0.3, 1, 1])
    assert.deepStrictEqual(raced([0.25, 1, 1], { block: 1 }).raced, { sum: -0.25, n: 1 })
  })

  it("gives as much benefit of the doubt, and asks for as much gain, as it is told", () => {
    assert.deepStrictEqual(raced([0.25, 0.25, 1, 1], { dropZ: 2 }).raced, [0.25, 0.25, 1, 1])
    assert.deepStrictEqual(raced([0.625, 0.625, 1, 1], { dropMargin: 0.3 }).raced, { sum: 0.25, n: 2 })
  })
})
