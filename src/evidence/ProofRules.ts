/** What a consolidated benchmark proof must hold. `significance.pass` is recomputed from the four criteria. */
import { failedCriteria } from "./Criteria.js"
import { Fields, type Problem } from "./Fields.js"
import { checkVerdict, criteriaOf } from "./ReportRules.js"

/** Everything that is wrong with a parsed proof; none when it is fine. */
export const proofProblems = (value: unknown): ReadonlyArray<Problem> => {
  const proof = Fields.of(value)
  proof.choice("schema_version", [1])
  proof.text("run_id")
  proof.instant("generated_at")
  const suite = proof.object("benchmark_suite")
  suite.text("name")
  suite.text("version")
  suite.text("fixture_path")
  const baseline = arm(proof.object("baseline"))
  const trainedFields = proof.object("trained")
  const trained = arm(trainedFields)
  const isEqual = baseline.episodes === undefined || trained.episodes === undefined ||
    baseline.episodes === trained.episodes
  if (!isEqual) trainedFields.refuse("episodes", `${baseline.episodes} as in baseline: both run the same episodes`)
  const significance = proof.object("significance")
  const pValue = significance.number("p_value", { min: 0, max: 1 })
  const confidenceLevel = significance.number("confidence_level", { above: 0, max: 1 })
  const passed = significance.boolean("pass")
  const criteria = criteriaOf(proof.object("criteria"))
  const artifacts = proof.object("artifacts")
  artifacts.text("baseline_report")
  artifacts.text("trained_report")
  artifacts.text("significance_report")
  if (proof.problems.length > 0 || criteria === undefined) return proof.problems
  const failed = failedCriteria({
    baselineMeanReward: baseline.meanReward!,
    trainedMeanReward: trained.meanReward!,
    baselineMeanSafetyPenalty: baseline.meanSafetyPenalty!,
    trainedMeanSafetyPenalty: trained.meanSafetyPenalty!,
    pValue: pValue!,
    confidenceLevel: confidenceLevel!
  }, criteria)
  checkVerdict(significance, failed, passed!, proof)
  return proof.problems
}

const arm = (fields: Fields) => {
  fields.text("checkpoint_id")
  return {
    episodes: fields.number("episodes", { above: 0, whole: true }),
    meanReward: fields.number("mean_reward"),
    meanSafetyPenalty: fields.number("mean_safety_penalty")
  }
}
