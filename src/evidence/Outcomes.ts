/** What a checkpoint earned in a benchmark, by case: the part of a report that comparisons are made from. */
import { mean } from "../statistics/Moments.js"
import { Fields, type Problem } from "./Fields.js"

export interface CaseOutcome {
  readonly caseId: string
  /** One per episode, in order. A failed rollout earned 0. */
  readonly rewards: ReadonlyArray<number>
  /** Penalties of the same episodes, as positive numbers. */
  readonly safetyPenalties: ReadonlyArray<number>
}

export interface Metrics {
  readonly episodes: number
  readonly meanReward: number
  readonly meanSafetyPenalty: number
}

/** Means over all episodes. */
export const metricsOf = (cases: ReadonlyArray<CaseOutcome>): Metrics => {
  const rewards = cases.flatMap((one) => one.rewards)
  return {
    episodes: rewards.length,
    meanReward: mean(rewards),
    meanSafetyPenalty: mean(cases.flatMap((one) => one.safetyPenalties))
  }
}

export const outcomesJson = (cases: ReadonlyArray<CaseOutcome>) =>
  cases.map(({ caseId, rewards, safetyPenalties }) => ({
    case_id: caseId,
    rewards,
    safety_penalties: safetyPenalties
  }))

/** Reads the group `cases` of a report; what is wrong with it goes to the report's problems. */
export const readOutcomes = (report: Fields): ReadonlyArray<CaseOutcome> => {
  const seen = new Set<string>()
  return (report.array("cases") ?? []).map((value, index) => {
    const fields = Fields.of(value)
    const caseId = fields.text("case_id") ?? ""
    if (seen.has(caseId)) fields.refuse("case_id", "an id that no other case has")
    seen.add(caseId)
    const rewards = numbers(fields, "rewards")
    const safetyPenalties = numbers(fields, "safety_penalties")
    if (rewards.length !== safetyPenalties.length) {
      fields.refuse("safety_penalties", `one for each of the ${rewards.length} rewards`)
    }
    const problems: ReadonlyArray<Problem> = fields.problems
    for (const { field, text } of problems) report.problems.push({ field: `cases[${index}].${field}`, text })
    return { caseId, rewards, safetyPenalties }
  })
}

const numbers = (fields: Fields, key: string): ReadonlyArray<number> => {
  const values = fields.array(key)
  if (values === undefined) return []
  const fits = (value: unknown): value is number => typeof value === "number" && Number.isFinite(value)
  if (values.length > 0 && values.every(fits)) return values
  fields.refuse(key, "finite numbers, at least one")
  return []
}
