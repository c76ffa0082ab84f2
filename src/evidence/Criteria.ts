/** When a benchmark counts as a pass: four criteria, all of which must hold. */

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

/** The criteria that do not hold. A difference that is at its bound in decimals holds: 0.42 - 0.4 is 0.02, though not in binary. */
export const failedCriteria = (evidence: Evidence, criteria: Criteria): ReadonlyArray<Criterion> => {
  const { baselineMeanReward, baselineMeanSafetyPenalty, trainedMeanReward, trainedMeanSafetyPenalty } = evidence
  const { maxPValue, maxSafetyRegression, minRewardDelta } = criteria
  const holds: ReadonlyArray<readonly [Criterion, boolean]> = [
    ["reward_improvement", isAtMost(baselineMeanReward, minRewardDelta, trainedMeanReward)],
    ["safety_regression_bound", isAtMost(trainedMeanSafetyPenalty, -maxSafetyRegression, baselineMeanSafetyPenalty)],
    ["statistical_significance", evidence.pValue <= maxPValue],
    ["confidence_floor", evidence.confidenceLevel >= confidenceFloor]
  ]
  return holds.filter(([, held]) => !held).map(([criterion]) => criterion)
}

/** Whether `a + b <= c`, but for what rounding three decimals and a sum to binary may do: at most half a last place each. */
const isAtMost = (a: number, b: number, c: number): boolean => {
  const slack = 2 * Number.EPSILON * Math.max(Math.abs(a), Math.abs(b), Math.abs(c))
  return a + b - c <= slack
}
