import { assert, describe, it } from "@effect/vitest"
import { Pool } from "../../src/optimizer/Pool.js"
import type { Outcome, Texts } from "../../src/optimizer/Search.js"
import { examplesOf, taskOf } from "../support/search.js"

const selection = examplesOf("selection", 2)

const outcomesOf = (scores: ReadonlyArray<number>, tokens: number): ReadonlyArray<Outcome> =>
  scores.map((score, at) => ({
    example: selection[at]!,
    score,
    failed: false,
    feedback: "",
    output: null,
    trace: null,
    tokens
  }))

const poolOf = (ties?: "tokens") => {
  const pool = new Pool(taskOf({ seed: { a: "seed", b: "seed" }, selection }), ties)
  const join = (name: string, scores: ReadonlyArray<number>, tokens = 1, parents: ReadonlyArray<number> = []) =>
    pool.join({ texts: textsOf(name), parents }, scores, outcomesOf(scores, tokens))
  return { pool, join }
}
const textsOf = (name: string): Texts => ({ a: name, b: name })

describe("a pool", () => {
  it("has as its best the highest mean, and of equal ones the earlier, or the cheaper where that is asked for", () => {
    for (const ties of [undefined, "tokens"] as const) {
      const { join, pool } = poolOf(ties)
      assert.deepStrictEqual(join("seed", [0, 1], 5).map(({ type }) => type), ["accepted", "incumbent"])
      assert.deepStrictEqual(join("dearer", [1, 0], 6).map(({ type }) => type), ["accepted"])
      assert.deepStrictEqual(join("worse", [0, 0], 1).map(({ type }) => type), ["accepted"])
      assert.strictEqual(pool.best!.texts["a"], "seed")
      join("cheaper", [1, 0], 4)
      assert.strictEqual(pool.best!.texts["a"], ties === "tokens" ? "cheaper" : "seed")
      join("as cheap", [1, 0], 4)
      assert.strictEqual(pool.best!.texts["a"], ties === "tokens" ? "cheaper" : "seed")
      join("better", [1, 0.5], 9)
      assert.strictEqual(pool.best!.texts["a"], "better")
    }
  })

  it("finds texts where they joined first, and takes new scores for them", () => {
    const { join, pool } = poolOf()
    join("seed", [0, 0.5])
    join("again", [1, 0])
    join("again", [1, 0])
    assert.deepStrictEqual([pool.indexOf(textsOf("again")), pool.indexOf(textsOf("other"))], [1, undefined])
    const [told] = pool.rescore(1, [0, 0.25])
    assert.deepInclude(told!, { type: "incumbent", candidate: textsOf("again"), mean: 0.5, n: 2 })
    assert.deepStrictEqual([pool.candidates[1]!.mean, pool.best!.index], [0.125, 2])
  })

  it("lets the components of a candidate take turns, from where the furthest of its parents stood", () => {
    const { join, pool } = poolOf()
    join("seed", [0, 0])
    join("other", [0, 0])
    assert.deepStrictEqual([pool.takeTurn(0), pool.takeTurn(0), pool.takeTurn(0)], ["a", "b", "a"])
    join("child", [0, 0], 1, [1, 0])
    assert.deepStrictEqual([pool.takeTurn(2), pool.takeTurn(1)], ["b", "a"])
  })

  it("ends with a perfect score on every example, or with the mean that was wanted", () => {
    const { join, pool } = poolOf()
    assert.deepStrictEqual(pool.found("why"), { best: { a: "seed", b: "seed" }, mean: null, reason: "why" })
    join("seed", [1, 0.5])
    assert.deepStrictEqual([pool.ended(null), pool.ended(0.76), pool.ended(0.75)], [null, null, "target"])
    join("better", [1, 1])
    assert.deepStrictEqual([pool.ended(null), pool.ended(0.5)], ["perfect", "perfect"])
    assert.deepStrictEqual(pool.found("why"), { best: textsOf("better"), mean: 1, reason: "why" })
  })

  it("knows all that a candidate came from", () => {
    const { join, pool } = poolOf()
    join("seed", [0, 0])
    join("one", [0, 0], 1, [0])
    join("other", [0, 0], 1, [0])
    join("both", [0, 0], 1, [1, 2])
    assert.deepStrictEqual(pool.lineage(3), new Set([3, 2, 1, 0]))
    assert.deepStrictEqual(pool.lineage(1), new Set([1, 0]))
  })
})
