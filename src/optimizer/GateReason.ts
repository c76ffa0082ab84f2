/** A gate's decision and the sentence that gives the reason. */
import { counted } from "../domain/Figures.js"
import { isAtMost } from "../statistics/Moments.js"
import type { GatePlan } from "./GatePlan.js"
import type { GateEnding, GateVerdict } from "./GateVerdict.js"
import type { GuardRail } from "./GuardRails.js"

export interface GateFigures {
  readonly plan: GatePlan
  readonly n: number
  readonly wins: number
  readonly losses: number
  readonly gain: number
  readonly interval: GateVerdict["interval"]
  readonly p: number | null
  /** The lower bound of the gain at the level of the test; null where the test alone decides. */
  readonly lowAtTest: number | null
  readonly evidence: number
  readonly minRewardDelta: number
  /** The guard rails that forbid a promotion. */
  readonly broken: ReadonlyArray<GuardRail>
}

type Decided = Pick<GateVerdict, "decision" | "reason">

export const endingReason = (ending: GateEnding, figures: GateFigures): Decided => {
  const { evidence, n, plan } = figures
  switch (ending.type) {
    case "identical":
      return { decision: "identical", reason: "the candidate is the incumbent: there is nothing to test" }
    case "untestable":
      return { decision: "not_testable", reason: "not testable: the gate has no examples" }
    case "worn out": {
      const level = decimals(plan.alpha.opening)
      return {
        decision: "not_testable",
        reason: plan.opening === 1
          ? `gate.alpha leaves a first test a level of ${level}, at which nothing could be shown: make it larger`
          : `the gate's examples were used ${
            counted(plan.opening - 1, "time")
          }, and another test on them would be at a `
            + `level of ${level}: add new examples to validate`
      }
    }
    case "stopped":
      return {
        decision: "reject",
        reason: `the budget ended the gate after ${n} of ${counted(plan.pairs, "pair")}: ${ending.why}`
      }
    case "futile":
      return {
        decision: "futile",
        reason: `${seen(figures)}: after ${n} of ${counted(plan.pairs, "pair")} the chance to show a gain was ${
          percent(ending.power)
        }, so the gate ended`
      }
    case "won early":
      return {
        decision: "promote",
        reason: `better by ${seen(figures)}: clear enough to end after ${n} of ${
          counted(plan.pairs, "pair")
        } (evidence ${decimals(evidence)}, ${decimals(plan.evidenceNeeded)} needed)`
      }
    case "planned end":
      return atPlannedEnd(ending.wonAt !== null, figures)
  }
}

const atPlannedEnd = (isEvident: boolean, figures: GateFigures): Decided => {
  const { broken, evidence, gain, lowAtTest, minRewardDelta, p, plan } = figures
  const isSmall = p! <= plan.alpha.test
  // A sign flip takes a loss to be as large as a win would have been: small wins, of which a rare large loss takes all, pass it.
  const isAbove = lowAtTest === null || lowAtTest > 0
  const isShown = isSmall && isAbove
  const grounds = isShown || !isEvident
    ? `p = ${decimals(p!)}, at most ${decimals(plan.alpha.test)} needed${
      isSmall && !isAbove ? ", but the bounds at that level hold 0" : ""
    }`
    : `evidence ${decimals(evidence)}, ${decimals(plan.evidenceNeeded)} needed`
  if (!isShown && !isEvident) {
    return { decision: "reject", reason: `no gain is shown: ${seen(figures)} (${grounds})` }
  }
  if (!isAtMost(minRewardDelta, gain)) {
    return {
      decision: "reject",
      reason: `the gain is less than the ${points(minRewardDelta)} asked for: ${seen(figures)} (${grounds})`
    }
  }
  return broken.length > 0
    ? { decision: "reject", reason: `better by ${seen(figures)}, but ${broken.map(railReason).join("; ")}` }
    : { decision: "promote", reason: `better by ${seen(figures)} (${grounds})` }
}

const railReason = ({ bound, change, name, slice }: GuardRail): string => {
  switch (name) {
    case "tokens":
      return `it takes ${change.toFixed(2)} times the tokens, ${Number(bound.toFixed(2))} times allowed`
    case "failures":
      return `its failure rate changes by ${signed(change)} points, ${signed(bound)} allowed`
    case "slice":
      return `the slice "${slice}" changes by ${signed(change)} points, ${signed(bound)} allowed`
  }
}

/** `+12.0 points [3.1, 20.4] on 100 pairs, 22 wins and 10 losses`. */
const seen = ({ gain, interval, losses, n, wins }: GateFigures): string =>
  `${signed(gain)} points [${tenths(interval!.low)}, ${tenths(interval!.high)}] on ${counted(n, "pair")}, ${
    counted(wins, "win")
  } and ${counted(losses, "loss", "losses")}`

const signed = (share: number): string => Math.round(1000 * share) < 0 ? tenths(share) : `+${tenths(share)}`
/** In points, with a true minus; what rounds to nothing has no sign. */
const tenths = (share: number): string => (Math.round(1000 * share) / 10 || 0).toFixed(1).replace("-", "−")
const points = (share: number): string => `${(100 * share).toFixed(1)} points`
const percent = (share: number): string => `${(100 * share).toFixed(1)} %`
const decimals = (value: number): string => value >= 10 ? value.toFixed(0) : value.toPrecision(2)
