/** Two checkpoints on the same cases: is the second better, by how much, and what could these data have shown at all? */
import { bootstrapMean, type Bounds, unanimousBounds } from "../statistics/Bootstrap.js"
import { cliffsDelta, cohensD, cohensDz, pairedOddsRatio } from "../statistics/EffectSize.js"
import { mcNemar } from "../statistics/McNemar.js"
import { differenceOf, mean, sum, variance } from "../statistics/Moments.js"
import { newcombe, pairCounts } from "../statistics/Newcombe.js"
import { pairedPermutation } from "../statistics/Permutation.js"
import { mcNemarPower, smallestDetectable, tPower } from "../statistics/Power.js"
import { unanimousDifference, unanimousPValue, type UnanimousSample } from "../statistics/UnanimousSamples.js"
import { welch } from "../statistics/Welch.js"
import type { CaseOutcome } from "./Outcomes.js"

export interface ComparisonOptions {
  readonly alpha: number
  /** What drawn patterns and resamples start from. */
  readonly seed: number
  /** Takes the episodes for independent although their cases pair. */
  readonly unpaired?: boolean
}

export interface Comparison {
  readonly test:
    | "exact McNemar"
    | "paired permutation, exact"
    | "paired permutation, Monte Carlo"
    | "Welch"
    | "permutation, exact"
  readonly intervalMethod:
    | "Newcombe 1998, method 10"
    | "paired bootstrap BCa"
    | "rule of three"
    | "Welch t"
    | "none: the data have no spread"
  /** Two-sided. */
  readonly pValue: number
  /** Standard error of a drawn p-value; 0 for one that was counted. */
  readonly pValueStandardError: number
  readonly midPValue: number | null
  /** What the test counts: cases when they pair, episodes when not. */
  readonly n: number
  readonly wins: number
  readonly losses: number
  readonly ties: number
  readonly meanDelta: number
  readonly bounds: Bounds
  readonly effects: Readonly<Record<string, number | null>>
  /** The chance to find a difference as large as the observed one with these data. */
  readonly powerAtMeanDelta: number | null
  /** The smallest gain that is found 8 times out of 10; null when even the largest would not be. */
  readonly smallestDetectableDelta: number | null
  /** One difference per case, in the order of the baseline; empty when unpaired. */
  readonly differences: ReadonlyArray<number>
}

/**
 * Compares case by case where both have the same cases, each with as many episodes; else, or if told to, episode by episode. Throws
 * `SampleInvalid` for samples that nothing can be said of.
 */
export const compare = (
  baseline: ReadonlyArray<CaseOutcome>,
  trained: ReadonlyArray<CaseOutcome>,
  options: ComparisonOptions
): Comparison => {
  const other = new Map(trained.map((one) => [one.caseId, one]))
  const pairs = options.unpaired !== true && baseline.length === trained.length
    && baseline.every((one) => other.get(one.caseId)?.rewards.length === one.rewards.length)
  if (!pairs) return unpaired(baseline.flatMap((one) => one.rewards), trained.flatMap((one) => one.rewards), options)
  const episodes = baseline.reduce((count, one) => count + one.rewards.length, 0)
  // Episodes of one case are alike, so the case is what counts. The weights make the mean that of all episodes.
  const weighted = (values: ReadonlyArray<number>) => sum(values) * baseline.length / episodes
  return paired(
    baseline.map(({ caseId, rewards }) => {
      const [first, second] = [weighted(rewards), weighted(other.get(caseId)!.rewards)]
      return { first, second, difference: differenceOf(first, second) }
    }),
    options
  )
}

/** What a case earned under both checkpoints. */
interface Pair {
  readonly first: number
  readonly second: number
  readonly difference: number
}

const paired = (pairs: ReadonlyArray<Pair>, { alpha, seed }: ComparisonOptions): Comparison => {
  const differences = pairs.map(({ difference }) => difference)
  const n = differences.length
  const meanDelta = mean(differences)
  const wins = differences.filter((value) => value > 0).length
  const losses = differences.filter((value) => value < 0).length
  const isBinary = differences.every((value) => value === 0 || Math.abs(value) === 1)
  const counted = { n, wins, losses, ties: n - wins - losses, meanDelta, differences }
  const interval = pairedInterval(pairs, meanDelta, 1 - alpha, seed)
  const effects = {
    cohens_dz: finite(cohensDz(differences)),
    odds_ratio: isBinary ? pairedOddsRatio(wins, losses) : null
  }
  if (isBinary) {
    const { midPValue, pValue } = mcNemar(wins, losses)
    const discordant = (wins + losses) / n
    const powerOf = (difference: number) =>
      mcNemarPower({ pairs: n, discordant: Math.max(discordant, Math.abs(difference)), difference }, { alpha })
    return {
      ...counted,
      ...interval,
      test: "exact McNemar",
      pValue,
      midPValue,
      pValueStandardError: 0,
      effects,
      powerAtMeanDelta: powerOf(meanDelta),
      smallestDetectableDelta: smallestDetectable(powerOf)
    }
  }
  const { method, pValue, standardError } = pairedPermutation(differences, { seed })
  const error = n > 1 ? Math.sqrt(variance(differences) / n) : 0
  return {
    ...counted,
    ...interval,
    test: method === "exact" ? "paired permutation, exact" : "paired permutation, Monte Carlo",
    pValue,
    midPValue: null,
    pValueStandardError: standardError,
    effects,
    ...tPowers(meanDelta, error, n - 1, alpha)
  }
}

const pairedInterval = (
  pairs: ReadonlyArray<Pair>,
  meanDelta: number,
  level: number,
  seed: number
): Pick<Comparison, "bounds" | "intervalMethod"> => {
  const differences = pairs.map(({ difference }) => difference)
  const [first = 0] = differences
  if (differences.every((value) => differenceOf(first, value) === 0)) {
    return Math.abs(first) <= 1
      ? { bounds: unanimousBounds(first, differences.length, level), intervalMethod: "rule of three" }
      : { bounds: { low: first, high: first }, intervalMethod: "none: the data have no spread" }
  }
  // The bootstrap draws nothing but what was seen: of few wins and no loss it makes a gain that McNemar's test does not show.
  const counts = pairCounts(pairs.map(({ first }) => first), pairs.map(({ second }) => second))
  if (counts !== null) return { bounds: newcombe(counts, level), intervalMethod: "Newcombe 1998, method 10" }
  const { high, low } = bootstrapMean(differences, { level, seed })
  const bounds = { low: Math.min(low, meanDelta), high: Math.max(high, meanDelta) }
  return { bounds, intervalMethod: "paired bootstrap BCa" }
}

const unpaired = (
  baseline: ReadonlyArray<number>,
  trained: ReadonlyArray<number>,
  { alpha }: ComparisonOptions
): Comparison => {
  const counted = { midPValue: null, pValueStandardError: 0, wins: 0, losses: 0, ties: 0, differences: [] }
  const n = baseline.length + trained.length
  const [one, other] = [unanimous(baseline), unanimous(trained)]
  if (one !== null && other !== null) {
    const difference = other.value - one.value
    const isScore = [one, other].every(({ value }) => value >= 0 && value <= 1)
    return {
      ...counted,
      n,
      test: "permutation, exact",
      intervalMethod: isScore ? "rule of three" : "none: the data have no spread",
      pValue: unanimousPValue(one, other),
      meanDelta: difference,
      bounds: isScore ? unanimousDifference(one, other, 1 - alpha) : { low: difference, high: difference },
      effects: { cohens_d: difference === 0 ? 0 : null, cliffs_delta: Math.sign(difference) },
      powerAtMeanDelta: null,
      smallestDetectableDelta: null
    }
  }
  const { bounds, df, difference, pValue } = welch(baseline, trained, "two-sided", 1 - alpha)
  const error = Math.sqrt(variance(baseline) / baseline.length + variance(trained) / trained.length)
  return {
    ...counted,
    n,
    test: "Welch",
    intervalMethod: "Welch t",
    pValue,
    meanDelta: difference,
    bounds,
    effects: { cohens_d: finite(cohensD(baseline, trained)), cliffs_delta: cliffsDelta(baseline, trained) },
    ...tPowers(difference, error, df, alpha)
  }
}

/** Null for a sample of several values. */
const unanimous = (sample: ReadonlyArray<number>): UnanimousSample | null => {
  const [value] = sample
  return value === undefined || sample.some((one) => one !== value) ? null : { value, n: sample.length }
}

const tPowers = (difference: number, standardError: number, df: number, alpha: number) => {
  if (!(standardError > 0) || !(df > 0)) return { powerAtMeanDelta: null, smallestDetectableDelta: null }
  const powerOf = (delta: number) => tPower({ difference: delta, standardError, df }, { alpha })
  return { powerAtMeanDelta: powerOf(difference), smallestDetectableDelta: smallestDetectable(powerOf) }
}

/** JSON has no infinity: a difference without any spread has no size in standard deviations. */
const finite = (value: number): number | null => Number.isFinite(value) ? value : null
