import { assert, describe, it } from "@effect/vitest"
import type { BenchmarkReport } from "../../src/evidence/BenchmarkReport.js"
import { metricsOf } from "../../src/evidence/Outcomes.js"
import { comparisonSvg } from "../../src/evidence/Plot.js"
import { judge } from "../../src/evidence/SignificanceReport.js"

/** As much of a report as a comparison and its picture read. */
const reportOf = (rewards: ReadonlyArray<ReadonlyArray<number>>) => {
  const cases = rewards.map((of, n) => ({ caseId: `case-${n}`, rewards: of, safetyPenalties: of.map(() => 0) }))
  const head = { suite: { name: "sums", version: "v1" } }
  return { head, cases, metrics: metricsOf(cases) } as unknown as BenchmarkReport
}

describe("the picture of a comparison", () => {
  it("is drawn of as many episodes as a benchmark may have", () => {
    const arm = (reward: number) =>
      reportOf(Array.from({ length: 4 }, (_, n) => Array<number>(50_000).fill(n === 0 ? -2 : reward)))
    const criteria = { minRewardDelta: 0, maxSafetyRegression: 0, maxPValue: 0.05 }
    const [judged] = judge(arm(0), [arm(3)], criteria, { alpha: 0.05, seed: 1 })
    const svg = comparisonSvg(judged!)
    assert.include(svg, "n = 200000, most 150000")
    // Both arms on one scale, from the lowest reward to the highest.
    assert.lengthOf(svg.match(/>-2<\/text>/g) ?? [], 2)
    assert.include(svg, ">3</text>")
  })

  it("is well-formed XML whatever the suite is called", () => {
    const criteria = { minRewardDelta: 0, maxSafetyRegression: 0, maxPValue: 0.05 }
    const [judged] = judge(reportOf([[0], [0]]), [reportOf([[1], [1]])], criteria, { alpha: 0.05, seed: 1 })
    const { trained } = judged!
    const suite = { ...trained.head.suite, name: "a\u0000\u001B[2J\uD800\uFFFF<b>&\u{1F600}" }
    const svg = comparisonSvg({ ...judged!, trained: { ...trained, head: { ...trained.head, suite } } })
    assert.include(svg, ">a\uFFFD\uFFFD[2J\uFFFD\uFFFD&lt;b&gt;&amp;\u{1F600} v1: ")
  })
})
