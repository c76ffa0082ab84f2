/** What a published benchmark report must hold, recomputed where it can be. */
import { type Criterion, type Evidence, failedCriteria } from "./Criteria.js"
import { Fields, type Problem } from "./Fields.js"
import { metricsOf, readOutcomes } from "./Outcomes.js"
import {
  archiveNameOf,
  daysAfter,
  monthOf,
  type ReportKind,
  reportKinds,
  reportPathOf,
  reportsRoot,
  retentionPolicies,
  runIdPattern
} from "./Publication.js"

/** Everything that is wrong with a parsed report; none when it is fine. */
export const reportProblems = (value: unknown): ReadonlyArray<Problem> => {
  const report = Fields.of(value)
  report.choice("schema_version", [1])
  const kind = report.choice("report_kind", reportKinds)
  const runId = report.text("run_id", runIdPattern, `a text that matches ${runIdPattern.source}`)
  const generatedAtMs = report.instant("generated_at")
  const suite = report.object("benchmark_suite")
  suite.text("name")
  suite.text("version")
  const metrics = report.object("metrics")
  const stated = {
    episodes: metrics.number("episodes", { above: 0, whole: true }),
    mean_reward: metrics.number("mean_reward"),
    mean_safety_penalty: metrics.number("mean_safety_penalty")
  }
  if (report.has("cases")) checkMetrics(report, metrics, stated)

  const retention = report.object("retention")
  retention.choice("policy", retentionPolicies)
  const retainDays = retention.number("retain_days", { above: 0, whole: true })
  retention.number("archive_after_days", { min: 0, whole: true, ...(retainDays !== undefined && { max: retainDays }) })
  const purgeAfterMs = retention.instant("purge_after")
  const isKnown = purgeAfterMs !== undefined && generatedAtMs !== undefined && retainDays !== undefined
  if (isKnown && purgeAfterMs !== daysAfter(generatedAtMs, retainDays)) {
    const due = new Date(daysAfter(generatedAtMs, retainDays))
    retention.refuse(
      "purge_after",
      Number.isNaN(due.getTime())
        ? "a retain_days that leads to a time that exists"
        : `generated_at + ${retainDays} days, which is ${due.toISOString()}`
    )
  }

  const publication = report.object("publication")
  const reportPath = publication.text("report_path")
  const archivePath = publication.text("archive_path")
  if (runId !== undefined && kind !== undefined) {
    const expected = reportPathOf(runId, kind)
    if (reportPath !== undefined && reportPath !== expected) publication.refuse("report_path", expected)
    if (archivePath !== undefined) {
      checkArchivePath(publication, archivePath, { runId, kind, generatedAtMs, purgeAfterMs })
    }
  }
  if (kind === "significance") checkSignificance(report)
  if (kind === "summary" && report.has("criteria") && hasVerdict(report)) checkSummary(report)
  return report.problems
}

/** What `tau benchmark proof` writes; a summary may tell of its run in other ways. */
const hasVerdict = (report: Fields): boolean => {
  const summary = Fields.of(Object.fromEntries(report.entries())["summary"])
  return ["pass", "baseline", "trained", "mean_delta", "p_value", "confidence_level"].every((key) => summary.has(key))
}

/** The verdict is what both arms and the criteria make it. */
const checkSummary = (report: Fields) => {
  const summary = report.object("summary")
  const [baseline, trained] = [summary.object("baseline"), summary.object("trained")]
  const passed = summary.boolean("pass")
  const criteria = criteriaOf(report.object("criteria"))
  const evidence = {
    baselineMeanReward: baseline.number("mean_reward"),
    trainedMeanReward: trained.number("mean_reward"),
    baselineMeanSafetyPenalty: baseline.number("mean_safety_penalty"),
    trainedMeanSafetyPenalty: trained.number("mean_safety_penalty"),
    pValue: summary.number("p_value", { min: 0, max: 1 }),
    confidenceLevel: summary.number("confidence_level", { above: 0, max: 1 })
  }
  const delta = summary.number("mean_delta")
  if (passed === undefined || criteria === undefined || delta === undefined || !isWhole(evidence)) return
  const difference = evidence.trainedMeanReward - evidence.baselineMeanReward
  if (!near(delta, difference)) {
    summary.refuse("mean_delta", `trained.mean_reward - baseline.mean_reward, which is ${difference}`)
  }
  checkVerdict(summary, failedCriteria(evidence, criteria), passed)
}

const isWhole = (evidence: { readonly [Key in keyof Evidence]: Evidence[Key] | undefined }): evidence is Evidence =>
  Object.values(evidence).every((value) => value !== undefined)

/** `pass` is true exactly when no criterion fails, and those that do are the ones named. */
export const checkVerdict = (
  part: Fields,
  failed: ReadonlyArray<Criterion>,
  passed: boolean,
  names: Fields = part
): void => {
  if (passed !== (failed.length === 0)) {
    part.refuse("pass", failed.length === 0 ? "true: every criterion holds" : `false: not met ${failed.join(", ")}`)
  }
  checkFailedCriteria(names, failed)
}

/** Where a report lists its cases, its metrics follow from them. */
const checkMetrics = (
  report: Fields,
  metrics: Fields,
  stated: Readonly<Record<"episodes" | "mean_reward" | "mean_safety_penalty", number | undefined>>
) => {
  const before = report.problems.length
  const cases = readOutcomes(report)
  if (cases.length === 0 && report.problems.length === before) report.refuse("cases", "at least one case")
  if (report.problems.length > before) return
  const { episodes, meanReward, meanSafetyPenalty } = metricsOf(cases)
  const counted = { episodes, mean_reward: meanReward, mean_safety_penalty: meanSafetyPenalty }
  for (const [name, value] of Object.entries(counted)) {
    const found = stated[name as keyof typeof stated]
    if (found !== undefined && !near(found, value)) metrics.refuse(name, `${value} as the cases give it`)
  }
}

const checkArchivePath = (
  publication: Fields,
  path: string,
  { generatedAtMs, kind, purgeAfterMs, runId }: {
    readonly runId: string
    readonly kind: ReportKind
    readonly generatedAtMs: number | undefined
    readonly purgeAfterMs: number | undefined
  }
) => {
  const file = archiveNameOf(runId, kind)
  const [, month, name] = /^\.tau\/reports\/archive\/m24\/(\d{4}\/(?:0[1-9]|1[0-2]))\/(.*)$/.exec(path) ?? []
  if (month === undefined || name !== file) {
    publication.refuse("archive_path", `${reportsRoot}/archive/m24/YYYY/MM/${file}`)
    return
  }
  if (generatedAtMs === undefined || purgeAfterMs === undefined) return
  const [first, last] = [monthOf(generatedAtMs), monthOf(purgeAfterMs)]
  // Archived between its making and its end; anything else is the archive of another report.
  if (first <= last && (month < first || month > last)) {
    publication.refuse("archive_path", `a month from ${first} (generated_at) to ${last} (purge_after)`)
  }
}

/** Means are sums in floating point: equal up to noise. */
export const near = (one: number, other: number) =>
  Math.abs(one - other) <= 1e-9 * Math.max(1, Math.abs(one), Math.abs(other))

const checkSignificance = (report: Fields) => {
  const part = report.object("significance")
  const alpha = part.number("alpha", { above: 0, below: 1 })
  const pValue = part.number("p_value", { min: 0, max: 1 })
  const confidenceLevel = part.number("confidence_level", { above: 0, max: 1 })
  if (alpha !== undefined && confidenceLevel !== undefined && !near(confidenceLevel, 1 - alpha)) {
    part.refuse("confidence_level", `1 - alpha, which is ${1 - alpha}`)
  }
  const baselineMeanReward = part.number("baseline_mean_reward")
  const trainedMeanReward = part.number("trained_mean_reward")
  const baselineMeanSafetyPenalty = part.number("baseline_mean_safety_penalty")
  const trainedMeanSafetyPenalty = part.number("trained_mean_safety_penalty")
  const delta = part.number("mean_delta")
  if (delta !== undefined && baselineMeanReward !== undefined && trainedMeanReward !== undefined) {
    const difference = trainedMeanReward - baselineMeanReward
    if (!near(delta, difference)) {
      part.refuse("mean_delta", `trained_mean_reward - baseline_mean_reward, which is ${difference}`)
    }
  }
  const low = part.number("delta_ci_low")
  const high = part.number("delta_ci_high")
  if (low !== undefined && high !== undefined && low > high) part.refuse("delta_ci_low", "at most delta_ci_high")
  if (low !== undefined && delta !== undefined && low > delta && !near(low, delta)) {
    part.refuse("delta_ci_low", "at most mean_delta, which the interval holds")
  }
  if (high !== undefined && delta !== undefined && high < delta && !near(high, delta)) {
    part.refuse("delta_ci_high", "at least mean_delta, which the interval holds")
  }
  const passed = part.boolean("pass")
  if (
    passed === undefined || pValue === undefined || alpha === undefined || confidenceLevel === undefined
    || baselineMeanReward === undefined || trainedMeanReward === undefined
    || baselineMeanSafetyPenalty === undefined || trainedMeanSafetyPenalty === undefined
  ) return
  const stated = report.has("criteria") ? criteriaOf(report.object("criteria")) : undefined
  // Without criteria of its own a report may be stricter than these, never laxer.
  const criteria = stated ?? { minRewardDelta: 0, maxSafetyRegression: Number.POSITIVE_INFINITY, maxPValue: alpha }
  const failed = failedCriteria({
    baselineMeanReward,
    trainedMeanReward,
    baselineMeanSafetyPenalty,
    trainedMeanSafetyPenalty,
    pValue,
    confidenceLevel
  }, criteria)
  if (stated !== undefined) checkVerdict(part, failed, passed, report)
  else if (passed && failed.length > 0) part.refuse("pass", `false: not met ${failed.join(", ")}`)
}

/** Where an artifact names the criteria that do not hold, it names these, all of them and no other. */
const checkFailedCriteria = (artifact: Fields, failed: ReadonlyArray<Criterion>): void => {
  if (!artifact.has("failed_criteria")) return
  const named = artifact.array("failed_criteria")
  if (named === undefined || (named.length === failed.length && failed.every((one) => named.includes(one)))) return
  artifact.refuse("failed_criteria", failed.length === 0 ? "none: every criterion holds" : failed.join(", "))
}

/** The group of criteria of a report or a proof; undefined when any of it is wrong. */
export const criteriaOf = (criteria: Fields) => {
  const minRewardDelta = criteria.number("min_reward_delta", { min: 0 })
  const maxSafetyRegression = criteria.number("max_safety_regression", { min: 0 })
  const maxPValue = criteria.number("max_p_value", { min: 0, max: 1 })
  return minRewardDelta === undefined || maxSafetyRegression === undefined || maxPValue === undefined
    ? undefined
    : { minRewardDelta, maxSafetyRegression, maxPValue }
}
