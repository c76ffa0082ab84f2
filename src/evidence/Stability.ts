/**
 * Does the verdict hang on the seed or on the size of the sample? What passes is stable within the bands; what fails is
 * evidence that does not suffice, which is not the same as a worse checkpoint.
 */
import { Draws, shuffled } from "../statistics/Draws.js"
import { snakeName } from "../store/RowJson.js"
import type { BenchmarkReport } from "./BenchmarkReport.js"
import { compare, type ComparisonOptions } from "./Comparison.js"
import { timeText } from "./Fields.js"
import type { CaseOutcome } from "./Outcomes.js"
import { isAtMost } from "./Rounding.js"

export interface Bands {
  readonly seedPValueRange: number
  readonly seedRewardDeltaRange: number
  readonly adjacentPValueDrift: number
  readonly adjacentRewardDeltaDrift: number
}

export interface Reading {
  readonly seed: number
  readonly n: number
  readonly pValue: number
  readonly meanDelta: number
}

export interface Stability {
  readonly source: "reruns" | "resampling"
  readonly bySeed: ReadonlyArray<Reading>
  readonly bySize: ReadonlyArray<Reading>
  readonly seedPValueRange: number
  readonly seedRewardDeltaRange: number
  readonly adjacentPValueDrift: number
  readonly adjacentRewardDeltaDrift: number
  /** `tooFewCases`: every reading would be of the same ones, so that nothing could have varied. */
  readonly failed: ReadonlyArray<keyof Bands | "tooFewCases">
}

export interface Pair {
  readonly baseline: BenchmarkReport
  readonly trained: BenchmarkReport
}

/** Share of the cases that every seed draws, and the shares that sizes grow through. */
const fixedShare = 0.8
const sizeShares = [0.5, 0.75, 1]
/** From here on each of the shares above is another number of cases. */
const casesMin = 4

/** No difference of two p-values, or of two changes of a mean reward from 0 to 1, is larger. */
const differenceMax = 2

/**
 * Several pairs are reruns under seeds of their own, compared as they are. One pair is resampled: each seed draws four
 * fifths of its cases, without putting back. Sizes grow by adding cases to those there are.
 */
export const stability = (
  pairs: readonly [Pair, ...ReadonlyArray<Pair>],
  { seeds, ...options }: ComparisonOptions & { readonly seeds: number },
  bands: Bands
): Stability => {
  const [first] = pairs
  const bySeed = pairs.length > 1
    ? pairs.map((pair) => reading(pair, pair.baseline.cases.length, { ...options, seed: pair.baseline.inputs.seed }))
    : Array.from(
      { length: seeds },
      (_, n) =>
        reading(first, Math.max(2, Math.round(fixedShare * first.baseline.cases.length)), {
          ...options,
          seed: options.seed + n
        })
    )
  const bySize = sizeShares.map((share) =>
    reading(first, Math.max(2, Math.round(share * first.baseline.cases.length)), options)
  )
  const measured = {
    seedPValueRange: range(bySeed.map(({ pValue }) => pValue)),
    seedRewardDeltaRange: range(bySeed.map(({ meanDelta }) => meanDelta)),
    adjacentPValueDrift: drift(bySize.map(({ pValue }) => pValue)),
    adjacentRewardDeltaDrift: drift(bySize.map(({ meanDelta }) => meanDelta))
  }
  const outside = (Object.keys(measured) as ReadonlyArray<keyof Bands>).filter((name) =>
    !isAtMost(measured[name], bands[name], differenceMax)
  )
  const failed = first.baseline.cases.length < casesMin ? ["tooFewCases" as const, ...outside] : outside
  return { source: pairs.length > 1 ? "reruns" : "resampling", bySeed, bySize, ...measured, failed }
}

const reading = ({ baseline, trained }: Pair, n: number, options: ComparisonOptions): Reading => {
  const chosen = new Set(shuffled(new Draws(options.seed), baseline.cases.map(({ caseId }) => caseId)).slice(0, n))
  const among = (cases: ReadonlyArray<CaseOutcome>) => cases.filter(({ caseId }) => chosen.has(caseId))
  const { meanDelta, pValue } = compare(among(baseline.cases), among(trained.cases), options)
  return { seed: options.seed, n: chosen.size, pValue, meanDelta }
}

const range = (values: ReadonlyArray<number>) => Math.max(...values) - Math.min(...values)

const drift = (values: ReadonlyArray<number>) =>
  Math.max(0, ...values.slice(1).map((value, index) => Math.abs(value - values[index]!)))

const readingJson = ({ meanDelta, n, pValue, seed }: Reading) => ({ seed, n, p_value: pValue, mean_delta: meanDelta })

export const stabilityJson = (found: Stability, bands: Bands, runId: string, generatedAtMs: number) => ({
  schema_version: 1,
  artifact_kind: "m24_rl_benchmark_stability",
  run_id: runId,
  generated_at: timeText(generatedAtMs),
  source: found.source,
  seed_reproducibility: {
    p_value_range: found.seedPValueRange,
    p_value_range_max: bands.seedPValueRange,
    reward_delta_range: found.seedRewardDeltaRange,
    reward_delta_range_max: bands.seedRewardDeltaRange,
    readings: found.bySeed.map(readingJson)
  },
  sample_size_sensitivity: {
    p_value_drift: found.adjacentPValueDrift,
    p_value_drift_max: bands.adjacentPValueDrift,
    reward_delta_drift: found.adjacentRewardDeltaDrift,
    reward_delta_drift_max: bands.adjacentRewardDeltaDrift,
    readings: found.bySize.map(readingJson)
  },
  stable: found.failed.length === 0,
  failed_bands: found.failed.map(snakeName),
  verdict: found.failed.length === 0 ? "stable within the configured bands" : "insufficiently stable evidence"
})
