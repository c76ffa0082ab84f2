/** What a gate came to, with all that a report needs. */
import type { Bounds } from "../statistics/Bootstrap.js"
import { confidenceSequence, type EProcess } from "../statistics/EProcess.js"
import { mcNemar } from "../statistics/McNemar.js"
import { mean, sum } from "../statistics/Moments.js"
import { type PairedBounds, pairedBounds } from "../statistics/PairedBounds.js"
import { pairedPermutation } from "../statistics/Permutation.js"
import type { GateArm, GatePair } from "./GatePair.js"
import type { GatePlan } from "./GatePlan.js"
import { endingReason, type GateFigures } from "./GateReason.js"
import type { GateSettings } from "./GateSettings.js"
import type { GuardRail } from "./GuardRails.js"

/** Why a gate asked for no further pair. */
export type GateEnding =
  | { readonly type: "identical" }
  /** It has no examples. */
  | { readonly type: "untestable" }
  /** It was opened too often. */
  | { readonly type: "worn out" }
  | { readonly type: "stopped"; readonly why: string }
  | { readonly type: "futile"; readonly power: number }
  /** The evidence was enough at pair `at`. */
  | { readonly type: "won early"; readonly at: number }
  /** `wonAt` is the pair at which the evidence was enough, though the gate went on. */
  | { readonly type: "planned end"; readonly wonAt: number | null }

export interface GateArmSummary {
  readonly meanScore: number
  readonly failureRate: number
  readonly tokensPerRollout: number
  /** Of all its rollouts in this gate. */
  readonly tokens: number
}

export interface GateVerdict {
  readonly decision: "promote" | "reject" | "futile" | "not_testable" | "identical"
  /** In one plain sentence. */
  readonly reason: string
  readonly plan: GatePlan
  /** Pairs that were run, at most those planned. */
  readonly n: number
  readonly wins: number
  readonly losses: number
  readonly ties: number
  readonly incumbent: GateArmSummary | null
  readonly candidate: GateArmSummary | null
  /** Mean of the candidate's score minus the incumbent's; null without pairs. */
  readonly gain: number | null
  /**
   * Bounds of the true gain, two-sided at 1 − alpha. Where the gate ended before its planned end, and so was looked at, they
   * come from the confidence sequence, which holds at any stop.
   */
  readonly interval:
    | (Bounds & { readonly level: number; readonly method: PairedBounds["method"] | "confidence sequence" })
    | null
  /** One-sided. `p` is null before the planned end: there the test was not made. */
  readonly test: {
    readonly method: "exact McNemar" | "sign flips, all counted" | "sign flips, drawn"
    readonly p: number | null
    /** For 0/1 scores, of the exact test: less cautious, reported and never decided by. */
    readonly midP: number | null
  } | null
  /** The largest evidence of the e-process, the last one, and the p-value of the largest, valid at any stop. */
  readonly evidence: {
    readonly max: number
    readonly last: number
    readonly anytimeP: number
    readonly enoughAt: number | null
  }
  /** The chance to promote when the gate gave up; null when it did not. */
  readonly conditionalPower: number | null
  readonly guardRails: ReadonlyArray<GuardRail>
  /** In the order in which they were run. */
  readonly pairs: ReadonlyArray<GatePair>
}

export const verdictOf = ({ ending, evidence, pairs, plan, rails, seed, settings }: {
  readonly ending: GateEnding
  readonly plan: GatePlan
  readonly settings: GateSettings
  readonly pairs: ReadonlyArray<GatePair>
  readonly evidence: EProcess
  readonly rails: ReadonlyArray<GuardRail>
  readonly seed: number
}): GateVerdict => {
  const differences = pairs.map(({ difference }) => difference)
  const isPlannedEnd = ending.type === "planned end"
  const wins = differences.filter((difference) => difference > 0).length
  const losses = differences.filter((difference) => difference < 0).length
  const level = 1 - settings.alpha
  const { draws } = settings
  const scores = {
    incumbent: pairs.map(({ incumbent }) => incumbent.score),
    candidate: pairs.map(({ candidate }) => candidate.score)
  }
  const test = pairs.length === 0 ? null : testOf(pairs, isPlannedEnd, { draws, seed })
  const figures: GateFigures = {
    plan,
    n: pairs.length,
    wins,
    losses,
    gain: pairs.length === 0 ? 0 : mean(differences),
    interval: pairs.length === 0
      ? null
      : isPlannedEnd
      ? { ...pairedBounds(scores.incumbent, scores.candidate, { draws, level, seed }), level }
      : { ...confidenceSequence(differences, level), level, method: "confidence sequence" as const },
    p: test?.p ?? null,
    lowAtTest: pairs.length === 0 || !isPlannedEnd || test?.method === "exact McNemar"
      ? null
      : pairedBounds(scores.incumbent, scores.candidate, { draws, level: 1 - 2 * plan.alpha.test, seed }).low,
    evidence: evidence.max,
    minRewardDelta: settings.minRewardDelta,
    broken: rails.filter(({ state }) => state === "broken")
  }
  return {
    ...endingReason(ending, figures),
    plan,
    n: pairs.length,
    wins,
    losses,
    ties: pairs.length - wins - losses,
    incumbent: summaryOf(pairs.map(({ incumbent }) => incumbent), settings.samples),
    candidate: summaryOf(pairs.map(({ candidate }) => candidate), settings.samples),
    gain: pairs.length === 0 ? null : figures.gain,
    interval: figures.interval,
    test,
    evidence: {
      max: evidence.max,
      last: evidence.value,
      anytimeP: evidence.anytimeP,
      enoughAt: ending.type === "won early" ? ending.at : isPlannedEnd ? ending.wonAt : null
    },
    conditionalPower: ending.type === "futile" ? ending.power : null,
    guardRails: rails,
    pairs
  }
}

/** Which test there is depends on the scores alone; it is made only where it was planned. */
const testOf = (
  pairs: ReadonlyArray<GatePair>,
  isMade: boolean,
  { draws, seed }: { readonly draws: number; readonly seed: number }
): GateVerdict["test"] => {
  const differences = pairs.map(({ difference }) => difference)
  if (pairs.every(({ candidate, incumbent }) => isBinary(candidate.score) && isBinary(incumbent.score))) {
    if (!isMade) return { method: "exact McNemar", p: null, midP: null }
    const count = (sign: number) => differences.filter((difference) => difference === sign).length
    const { midPValue, pValue } = mcNemar(count(1), count(-1), "greater")
    return { method: "exact McNemar", p: pValue, midP: midPValue }
  }
  const isCounted = differences.filter((difference) => difference !== 0).length <= countedMax
  const method = isCounted ? "sign flips, all counted" : "sign flips, drawn"
  const p = isMade
    ? pairedPermutation(differences, { alternative: "greater", draws, exactMax: countedMax, seed }).pValue
    : null
  return { method, p, midP: null }
}

/** Differences up to which every sign pattern is counted. */
const countedMax = 14

const isBinary = (score: number): boolean => score === 0 || score === 1

const summaryOf = (arms: ReadonlyArray<GateArm>, samples: number): GateArmSummary | null =>
  arms.length === 0 ? null : {
    meanScore: mean(arms.map(({ score }) => score)),
    failureRate: mean(arms.map(({ failureRate }) => failureRate)),
    tokensPerRollout: mean(arms.map(({ tokensPerRollout }) => tokensPerRollout)),
    tokens: Math.round(sum(arms.map(({ tokensPerRollout }) => tokensPerRollout * samples)))
  }
