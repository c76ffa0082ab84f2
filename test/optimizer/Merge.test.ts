import { assert, describe, it } from "@effect/vitest"
import { Chance } from "../../src/optimizer/Chance.js"
import { Merge } from "../../src/optimizer/Merge.js"
import { Pool } from "../../src/optimizer/Pool.js"
import type { Texts } from "../../src/optimizer/Search.js"
import { answered, examplesOf, taskOf } from "../support/search.js"

type Member = readonly [texts: Texts, parents: ReadonlyArray<number>, scores: ReadonlyArray<number>]

/** A merge that is due in a pool of these, the seed first, and what its attempts come to where every text scores so much. */
const merging = (members: ReadonlyArray<Member>, { chanceSeed = 1, score = 1 } = {}) => {
  const [seed, , scores] = members[0]!
  const task = taskOf({ seed, selection: examplesOf("selection", scores.length) })
  const pool = new Pool(task)
  for (const [texts, parents, scores] of members) pool.join({ texts, parents }, scores, [])
  const chance = new Chance(chanceSeed)
  const merge = new Merge(task, pool, { mergesMax: 5, at: (path) => chance.at(path), order: (front) => front })
  merge.schedule()
  let attempts = 0
  const attempt = () => answered(merge.attempt(`iter/${++attempts}`), () => ({ score }))
  const joined = () => pool.candidates.slice(members.length)
  return { attempt, joined, merge }
}

const seed: Member = [{ a: "a0", b: "b0" }, [], [0, 0, 0, 0, 0, 0]]
const one: Member = [{ a: "a1", b: "b0" }, [0], [1, 1, 1, 0.375, 0.375, 0.375]]
const other: Member = [{ a: "a0", b: "b1" }, [0], [0.375, 0.375, 0.375, 1, 1, 1]]

describe("a merge", () => {
  it("joins the pool as a child of both where it is as good as the better of them on the trial, and else not", () => {
    const equal = merging([seed, one, other], { score: 0.75 })
    assert.isTrue(equal.attempt().value)
    assert.deepStrictEqual(equal.joined().map(({ parents, texts }) => [parents, texts]), [
      [[1, 2], { a: "a1", b: "b1" }]
    ])
    const worse = merging([seed, one, other], { score: 0.7 })
    assert.isTrue(worse.attempt().value)
    assert.deepStrictEqual(worse.joined(), [])
  })

  it("is tried where each of the two is better, twice each, before anything else", () => {
    const ties = Array.from({ length: 10 }, () => 0.5)
    const five = (score: number) => Array.from({ length: 5 }, () => score)
    const [trial] = merging([
      [seed[0], [], [...five(0), ...five(0), ...ties]],
      [one[0], [0], [...five(1), ...five(0), ...ties]],
      [other[0], [0], [...five(0), ...five(1), ...ties]]
    ], { score: 0 }).attempt().batches.flat()
    const positions = trial!.examples.map(({ id }) => Number(id.split("-")[1]))
    assert.lengthOf(positions, 5)
    assert.isAtLeast(positions.filter((position) => position < 5).length, 2)
    assert.isAtLeast(positions.filter((position) => position >= 5 && position < 10).length, 2)
  })

  it("is tried once for each proposal that joined", () => {
    const { attempt, merge } = merging([
      seed,
      [one[0], [0], [1, 1, 0, 0, 0, 0]],
      [other[0], [0], [0, 0, 1, 1, 0, 0]],
      [{ a: "a2", b: "b0" }, [0], [0, 0, 0, 0, 1, 1]]
    ], { score: 0 })
    const untried = () => assert.deepStrictEqual(attempt(), { value: false, batches: [] })
    assert.isTrue(attempt().value)
    untried()
    merge.schedule()
    assert.isTrue(attempt().value)
    untried()
  })

  it("takes of a component that both changed the text of the better one, and of equal ones either", () => {
    const taken = (oneScore: number, otherScore: number) =>
      new Set(Array.from({ length: 8 }, (_, chanceSeed) => {
        const { attempt, joined } = merging([
          [{ a: "a0", b: "b0", c: "c0" }, [], [0, 0, 0, 0]],
          [{ a: "a1", b: "b1", c: "c0" }, [0], [oneScore, oneScore, 0, 0]],
          [{ a: "a2", b: "b0", c: "c1" }, [0], [0, 0, otherScore, otherScore]]
        ], { chanceSeed })
        attempt()
        const { texts } = joined()[0]!
        assert.deepInclude(texts, { b: "b1", c: "c1" })
        return texts["a"]
      }))
    assert.deepStrictEqual(taken(1, 0.5), new Set(["a1"]))
    assert.deepStrictEqual(taken(0.5, 1), new Set(["a2"]))
    assert.deepStrictEqual(taken(1, 1), new Set(["a1", "a2"]))
  })

  it("brings none together of which one comes from the other, nor two of which one fell behind where they parted", () => {
    const descendants = merging([
      seed,
      [{ a: "a1", b: "b0" }, [0], [1, 1, 1, 1, 0, 0]],
      [{ a: "a2", b: "b1" }, [1], [0, 0, 0, 0, 1, 1]]
    ])
    assert.isFalse(descendants.attempt().value)
    const behind = merging([
      [seed[0], [], [0.5, 0.5, 0.5, 0.5, 0.5, 0.5]],
      [one[0], [0], [1, 1, 1, 1, 0, 0]],
      [other[0], [0], [0, 0, 0, 0, 1, 1]]
    ])
    assert.isFalse(behind.attempt().value)
  })
})
