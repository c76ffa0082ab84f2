/** A significance report against the two reports that it is about: the same cases, options and seed give the same figures. */
import type { BenchmarkReport } from "./BenchmarkReport.js"
import { compare } from "./Comparison.js"
import type { Fields } from "./Fields.js"
import { near } from "./ReportRules.js"
import { figuresJson } from "./SignificanceReport.js"

/**
 * Notes every figure that the cases do not give. Reports that do not say what their draws started from, as those of older
 * versions do not, are taken as they are.
 */
export const checkFigures = (report: Fields, baseline: BenchmarkReport, trained: BenchmarkReport): void => {
  if (!report.has("analysis")) return
  const analysis = report.object("analysis")
  if (!analysis.has("seed")) return
  const part = report.object("significance")
  const seed = analysis.number("seed", { min: 0, whole: true })
  const unpaired = analysis.boolean("unpaired")
  const candidates = analysis.number("candidates_compared", { min: 1, whole: true })
  const alpha = part.number("alpha", { above: 0, below: 1 })
  const pValue = part.number("p_value", { min: 0, max: 1 })
  if (
    seed === undefined || unpaired === undefined || candidates === undefined
    || alpha === undefined || pValue === undefined
  ) return
  const comparison = compare(baseline.cases, trained.cases, { alpha, seed, unpaired })
  const { bounds, pValue: found } = comparison
  const given = (value: unknown) => `${value} as the cases of both reports give it`
  checkGroup(analysis, figuresJson(comparison), given)
  // What Holm's method makes of it hangs on the other candidates.
  if (candidates === 1 && !near(pValue, found)) part.refuse("p_value", given(found))
  const most = Math.min(1, candidates * found)
  if (candidates > 1 && !isWithin(pValue, found, most)) part.refuse("p_value", `from ${found} to ${most}`)
  for (const [key, value] of [["delta_ci_low", bounds.low], ["delta_ci_high", bounds.high]] as const) {
    const stated = part.number(key)
    if (stated !== undefined && !near(stated, value)) part.refuse(key, given(value))
  }
}

/** Every figure of a group, and of the groups in it. */
const checkGroup = (
  group: Fields,
  figures: Readonly<Record<string, unknown>>,
  given: (value: unknown) => string
): void => {
  for (const [key, value] of Object.entries(figures)) {
    if (typeof value === "number") {
      const stated = group.number(key)
      if (stated !== undefined && !near(stated, value)) group.refuse(key, given(value))
    } else if (value !== null && typeof value === "object") {
      checkGroup(group.object(key), value as Readonly<Record<string, unknown>>, given)
    } else if (!group.holds(key, value)) {
      group.refuse(key, given(value))
    }
  }
}

const isWithin = (value: number, low: number, high: number) =>
  (value > low && value < high) || near(value, low) || near(value, high)
