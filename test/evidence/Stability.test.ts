import { assert, describe, it } from "@effect/vitest"
import type { BenchmarkReport } from "../../src/evidence/BenchmarkReport.js"
import { type Bands, stability, stabilityJson } from "../../src/evidence/Stability.js"

const wide: Bands = {
  seedPValueRange: 1,
  seedRewardDeltaRange: 2,
  adjacentPValueDrift: 1,
  adjacentRewardDeltaDrift: 2
}
const options = { alpha: 0.05, seed: 1, seeds: 3 }

/** As much of a report as stability reads. */
const reportOf = (rewards: ReadonlyArray<number>, seed = 1) =>
  ({
    inputs: { seed },
    cases: rewards.map((reward, n) => ({ caseId: `case-${n}`, rewards: [reward], safetyPenalties: [0] }))
  }) as unknown as BenchmarkReport

const pairOf = (cases: number) => ({
  baseline: reportOf(Array.from({ length: cases }, () => 0)),
  trained: reportOf(Array.from({ length: cases }, () => 1))
})

describe("stability", () => {
  it("is not found in so few cases that no sample of them could differ from another", () => {
    for (const cases of [1, 2, 3]) {
      assert.deepStrictEqual(stability([pairOf(cases)], options, wide).failed, ["tooFewCases"], `${cases} cases`)
    }
    const few = stabilityJson(stability([pairOf(1)], options, { ...wide, seedPValueRange: -1 }), wide, "m24-x", 0)
    assert.deepInclude(few, { stable: false, failed_bands: ["too_few_cases", "seed_p_value_range"] })
    const enough = stability([pairOf(4)], options, wide)
    assert.deepStrictEqual(enough.failed, [])
    assert.deepStrictEqual(enough.bySize.map(({ n }) => n), [2, 3, 4])
    assert.deepStrictEqual(enough.bySeed.map(({ n }) => n), [3, 3, 3])
  })

  it("is found where a range is as wide as its band, which 0.17 - 0.12 is in decimals only", () => {
    const rerun = (reward: number) => ({ baseline: reportOf([0, 0, 0, 0]), trained: reportOf(Array(4).fill(reward)) })
    const failed = (last: number) =>
      stability([rerun(0.12), rerun(last)], options, { ...wide, seedRewardDeltaRange: 0.05 }).failed
    assert.deepStrictEqual(failed(0.17), [])
    assert.deepStrictEqual(failed(0.170001), ["seedRewardDeltaRange"])
  })

  it("reads each rerun under its own seed, and one pair under as many as are asked for, each with cases of its own", () => {
    const reruns = [7, 9].map((seed) => ({
      baseline: reportOf([0, 0, 0, 0], seed),
      trained: reportOf([1, 1, 1, 0], seed)
    }))
    const rerun = stability([reruns[0]!, reruns[1]!], options, wide)
    assert.deepStrictEqual([rerun.source, rerun.bySeed.map(({ seed }) => seed)], ["reruns", [7, 9]])
    const gains = {
      baseline: reportOf(Array(10).fill(0)),
      trained: reportOf(Array.from({ length: 10 }, (_, n) => n / 10))
    }
    const resampled = stability([gains], options, wide)
    assert.deepStrictEqual([resampled.source, resampled.bySeed.map(({ seed }) => seed)], ["resampling", [1, 2, 3]])
    assert.isAbove(resampled.seedRewardDeltaRange, 0)
  })

  it("drifts by the largest step from one size to the next, wherever the last one comes to", () => {
    const trained = reportOf([0, 0, 0, 0, 1, 1, 0, 0])
    const found = stability([{ baseline: reportOf(Array(8).fill(0)), trained }], options, wide)
    const [half, most, all] = found.bySize.map(({ meanDelta }) => meanDelta)
    assert.isAbove(Math.abs(most! - half!), Math.abs(all! - half!))
    assert.strictEqual(found.adjacentRewardDeltaDrift, Math.max(Math.abs(most! - half!), Math.abs(all! - most!)))
  })
})
