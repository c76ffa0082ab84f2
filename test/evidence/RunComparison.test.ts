import { assert, describe, it } from "@effect/vitest"
import { compareRuns, type ScoredRollout } from "../../src/evidence/RunComparison.js"

const rollouts = (run: string, scores: Readonly<Record<string, ReadonlyArray<number>>>): ReadonlyArray<ScoredRollout> =>
  Object.entries(scores).flatMap(([example, all]) =>
    all.map((score, index) => ({ rolloutId: `${run}-${example}-${index}`, example, score }))
  )

const options = { alpha: 0.05, seed: 1 }

describe("compareRuns", () => {
  it("pairs rollouts by what they were asked, whatever their order, and leaves out what only one run has", () => {
    const found = compareRuns(
      rollouts("a", { one: [0], two: [1], three: [0.5], four: [1] }),
      rollouts("b", { five: [1], three: [0.25], two: [1], six: [0], one: [1] }),
      options
    )!
    assert.deepStrictEqual(
      found.examples.map(({ baseline, delta, run }) => [baseline.rolloutId, run.rolloutId, delta]),
      [["a-one-0", "b-one-0", 1], ["a-two-0", "b-two-0", 0], ["a-three-0", "b-three-0", -0.25]]
    )
    assert.deepStrictEqual([found.onlyInBaseline, found.onlyInRun], [1, 2])
    assert.closeTo(found.comparison.meanDelta, 0.25, 1e-12)
    assert.deepStrictEqual([found.comparison.wins, found.comparison.losses, found.comparison.ties], [1, 1, 1])
  })

  it("counts an example once that was asked several times, also when not as often in both", () => {
    const found = compareRuns(
      rollouts("a", { one: [0, 1, 0, 1], two: [0] }),
      rollouts("b", { one: [1], two: [0, 1] }),
      options
    )!
    assert.deepStrictEqual(found.examples.map(({ delta }) => delta), [0.5, 0.5])
    assert.strictEqual(found.comparison.n, 2)
  })

  it("has nothing to say of runs without a common example", () => {
    assert.isNull(compareRuns(rollouts("a", { one: [1] }), rollouts("b", { two: [1] }), options))
  })
})
