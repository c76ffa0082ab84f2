import { assert, describe, it } from "@effect/vitest"
import type { BenchmarkReport } from "../../src/evidence/BenchmarkReport.js"
import { Fields } from "../../src/evidence/Fields.js"
import { metricsOf } from "../../src/evidence/Outcomes.js"
import { checkFigures } from "../../src/evidence/Recomputed.js"
import { judge, significanceReportJson } from "../../src/evidence/SignificanceReport.js"

const reportOf = (rewards: ReadonlyArray<number>) => {
  const cases = rewards.map((reward, n) => ({ caseId: `case-${n}`, rewards: [reward], safetyPenalties: [0] }))
  return {
    head: { suite: { name: "sums", version: "v1" }, retention: { retainDays: 180, archiveAfterDays: 30 } },
    inputs: { sha256: "0" },
    checkpoint: { checkpointId: "one" },
    cases,
    metrics: metricsOf(cases)
  } as unknown as BenchmarkReport
}

const arms = {
  "right or wrong": [[0, 0, 1, 0, 1, 0], [1, 1, 0, 1, 1, 0]],
  "in between": [[0.1, 0.2, 0.5, 0.1, 0.9, 0.4], [0.4, 0.7, 0.3, 0.6, 0.9, 0.5]]
} as const

describe("checkFigures", () => {
  for (const [name, [before, after]] of Object.entries(arms)) {
    it(`finds every figure of the analysis that the cases do not give, of cases ${name}`, () => {
      const [baseline, trained] = [reportOf(before), reportOf(after)]
      const criteria = { minRewardDelta: 0, maxSafetyRegression: 0, maxPValue: 0.05 }
      const [judged] = judge(baseline, [trained], criteria, { alpha: 0.05, seed: 1 })
      const report = significanceReportJson(judged!, "m24-sums", 0) as unknown as {
        readonly analysis: Readonly<Record<string, unknown>> & {
          readonly effect_size: Readonly<Record<string, unknown>>
        }
      }
      const problems = (analysis: Readonly<Record<string, unknown>>) => {
        const fields = Fields.of({ ...report, analysis })
        checkFigures(fields, baseline, trained)
        return fields.problems.map(({ field }) => field)
      }
      assert.deepStrictEqual(problems(report.analysis), [])
      const { alternative: _, candidates_compared: __, correction: ___, seed: ____, unpaired: _____, ...figures } =
        report.analysis
      for (const [key, value] of Object.entries(figures)) {
        if (key === "effect_size") continue
        const other = typeof value === "number" ? value + 0.01 : value === null ? 0.5 : "a better one"
        assert.deepStrictEqual(problems({ ...report.analysis, [key]: other }), [`analysis.${key}`], key)
      }
      const larger = { ...report.analysis.effect_size, odds_ratio: 99 }
      assert.deepStrictEqual(problems({ ...report.analysis, effect_size: larger }), ["analysis.effect_size.odds_ratio"])
    })
  }
})
