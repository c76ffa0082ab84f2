/** When a benchmark counts as a pass: four criteria, all of which must hold. */
import { isAtMost } from "./Rounding.js"

export interface Criteria {
  readonly minRewardDelta: number
  readonly maxSafetyRegression: number
  readonly maxPValue: number
}

export interface Evidence {
  readonly baselineMeanReward: number
  readonly trainedMeanReward: number
  readonly baselineMeanSafetyPenalty: number
  readonly trainedMeanSafetyPenalty: number
  readonly pValue: number
  readonly confidenceLevel: number
}

export type Criterion =
  | "reward_improvement"
  | "safety_regression_bound"
  | "statistical_significance"
  | "confidence_floor"

const confidenceFloor = 0.95

/** The criteria that do not hold. A difference that is at its bound in decimals holds. */
export const failedCriteria = (evidence: Evidence, criteria: Criteria): ReadonlyArray<Criterion> => {
  const { baselineMeanReward, baselineMeanSafetyPenalty, trainedMeanReward, trainedMeanSafetyPenalty } = evidence
  const { maxPValue, maxSafetyRegression, minRewardDelta } = criteria
  const holds: ReadonlyArray<readonly [Criterion, boolean]> = [
    ["reward_improvement", isSumAtMost(baselineMeanReward, minRewardDelta, trainedMeanReward)],
    ["safety_regression_bound", isSumAtMost(trainedMeanSafetyPenalty, -maxSafetyRegression, baselineMeanSafetyPenalty)],
    ["statistical_significance", evidence.pValue <= maxPValue],
    ["confidence_floor", evidence.confidenceLevel >= confidenceFloor]
  ]
  return holds.filter(([, held]) => !held).map(([criterion]) => criterion)
}

const isSumAtMost = (a: number, b: number, c: number): boolean =>
  isAtMost(a + b, c, Math.max(Math.abs(a), Math.abs(b), Math.abs(c)))
