/** The significance, summary and proof artifacts, made from reports that were read and found equal in their inputs. */
import { holm } from "../statistics/Holm.js"
import { type BenchmarkReport, inputsJson, reportJson } from "./BenchmarkReport.js"
import { compare, type Comparison, type ComparisonOptions } from "./Comparison.js"
import { type Criteria, type Criterion, type Evidence, failedCriteria } from "./Criteria.js"
import { timeText } from "./Fields.js"

export interface Judged {
  readonly baseline: BenchmarkReport
  readonly trained: BenchmarkReport
  readonly comparison: Comparison
  /** Corrected for the number of candidates (Holm). */
  readonly pValue: number
  readonly candidates: number
  readonly options: ComparisonOptions
  readonly criteria: Criteria
  readonly failed: ReadonlyArray<Criterion>
}

/** Compares each candidate with the baseline; the p-values are corrected together. */
export const judge = (
  baseline: BenchmarkReport,
  candidates: ReadonlyArray<BenchmarkReport>,
  criteria: Criteria,
  options: ComparisonOptions
): ReadonlyArray<Judged> => {
  const comparisons = candidates.map((one) => compare(baseline.cases, one.cases, options))
  const pValues = holm(comparisons.map(({ pValue }) => pValue))
  return candidates.map((trained, index) => {
    const pValue = pValues[index]!
    const failed = failedCriteria(evidenceOf(baseline, trained, pValue, 1 - options.alpha), criteria)
    return {
      baseline,
      trained,
      comparison: comparisons[index]!,
      pValue,
      candidates: candidates.length,
      options,
      criteria,
      failed
    }
  })
}

const evidenceOf = (
  baseline: BenchmarkReport,
  trained: BenchmarkReport,
  pValue: number,
  confidenceLevel: number
): Evidence => ({
  baselineMeanReward: baseline.metrics.meanReward,
  trainedMeanReward: trained.metrics.meanReward,
  baselineMeanSafetyPenalty: baseline.metrics.meanSafetyPenalty,
  trainedMeanSafetyPenalty: trained.metrics.meanSafetyPenalty,
  pValue,
  confidenceLevel
})

const criteriaJson = ({ maxPValue, maxSafetyRegression, minRewardDelta }: Criteria) => ({
  min_reward_delta: minRewardDelta,
  max_safety_regression: maxSafetyRegression,
  max_p_value: maxPValue
})

/** The figures of a comparison that hang on nothing but the cases, the level and the seed. */
export const figuresJson = (comparison: Comparison) => ({
  test: comparison.test,
  interval_method: comparison.intervalMethod,
  n: comparison.n,
  wins: comparison.wins,
  losses: comparison.losses,
  ties: comparison.ties,
  p_value_uncorrected: comparison.pValue,
  p_value_standard_error: comparison.pValueStandardError,
  mid_p_value: comparison.midPValue,
  effect_size: comparison.effects,
  power_at_mean_delta: comparison.powerAtMeanDelta,
  smallest_detectable_delta: comparison.smallestDetectableDelta
})

export const significanceReportJson = (judged: Judged, runId: string, generatedAtMs: number) => {
  const { baseline, candidates, comparison, criteria, failed, options, pValue, trained } = judged
  const { alpha, seed, unpaired = false } = options
  return reportJson("significance", { ...trained.head, runId, generatedAtMs }, trained.metrics, {
    significance: {
      alpha,
      p_value: pValue,
      confidence_level: 1 - alpha,
      mean_delta: trained.metrics.meanReward - baseline.metrics.meanReward,
      delta_ci_low: comparison.bounds.low,
      delta_ci_high: comparison.bounds.high,
      pass: failed.length === 0,
      baseline_mean_reward: baseline.metrics.meanReward,
      trained_mean_reward: trained.metrics.meanReward,
      baseline_mean_safety_penalty: baseline.metrics.meanSafetyPenalty,
      trained_mean_safety_penalty: trained.metrics.meanSafetyPenalty
    },
    criteria: criteriaJson(criteria),
    failed_criteria: failed,
    analysis: {
      ...figuresJson(comparison),
      alternative: "two-sided",
      seed,
      unpaired,
      candidates_compared: candidates,
      correction: candidates > 1 ? "Holm" : "none: one candidate"
    },
    checkpoints: { baseline: baseline.checkpoint.checkpointId, trained: trained.checkpoint.checkpointId },
    inputs: inputsJson(baseline.inputs)
  })
}

export interface ProofPaths {
  readonly baseline: string
  readonly trained: string
  readonly significance: string
}

/** The consolidated proof. The verdict is made anew from its own numbers, whatever the significance report says. */
export const proofJson = (
  { baseline, trained }: Pick<Judged, "baseline" | "trained">,
  { confidenceLevel, criteria, pValue }: {
    readonly pValue: number
    readonly confidenceLevel: number
    readonly criteria: Criteria
  },
  runId: string,
  generatedAtMs: number,
  paths: ProofPaths
) => {
  const failed = failedCriteria(evidenceOf(baseline, trained, pValue, confidenceLevel), criteria)
  const arm = ({ checkpoint, metrics }: BenchmarkReport) => ({
    checkpoint_id: checkpoint.checkpointId,
    episodes: metrics.episodes,
    mean_reward: metrics.meanReward,
    mean_safety_penalty: metrics.meanSafetyPenalty
  })
  return {
    schema_version: 1,
    run_id: runId,
    generated_at: timeText(generatedAtMs),
    benchmark_suite: { ...baseline.head.suite, fixture_path: baseline.inputs.fixturePath },
    baseline: arm(baseline),
    trained: arm(trained),
    significance: { p_value: pValue, confidence_level: confidenceLevel, pass: failed.length === 0 },
    failed_criteria: failed,
    criteria: criteriaJson(criteria),
    artifacts: {
      baseline_report: paths.baseline,
      trained_report: paths.trained,
      significance_report: paths.significance
    }
  }
}

/** The summary report: the trained checkpoint's figures, and the whole comparison in one group. */
export const summaryReportJson = (
  { baseline, trained }: Pick<Judged, "baseline" | "trained">,
  proof: ReturnType<typeof proofJson>,
  runId: string,
  generatedAtMs: number
) =>
  reportJson("summary", { ...trained.head, runId, generatedAtMs }, trained.metrics, {
    summary: {
      pass: proof.significance.pass,
      failed_criteria: proof.failed_criteria,
      mean_delta: trained.metrics.meanReward - baseline.metrics.meanReward,
      p_value: proof.significance.p_value,
      confidence_level: proof.significance.confidence_level,
      baseline: proof.baseline,
      trained: proof.trained
    },
    criteria: proof.criteria,
    inputs: inputsJson(baseline.inputs)
  })
