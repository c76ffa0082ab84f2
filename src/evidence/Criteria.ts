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

/** The criteria that do not hold. Compared as they stand, without slack: whoever recomputes it must come to the same. */
export const failedCriteria = (evidence: Evidence, criteria: Criteria): ReadonlyArray<Criterion> => {
  const holds: ReadonlyArray<readonly [Criterion, boolean]> = [
    ["reward_improvement", evidence.trainedMeanReward - evidence.baselineMeanReward >= criteria.minRewardDelta],
    [
      "safety_regression_bound",
      evidence.trainedMeanSafetyPenalty - evidence.baselineMeanSafetyPenalty <= criteria.maxSafetyRegression
    ],
    ["statistical_significance", evidence.pValue <= criteria.maxPValue],
    ["confidence_floor", evidence.confidenceLevel >= confidenceFloor]
  ]
  return holds.filter(([, held]) => !held).map(([criterion]) => criterion)
}
