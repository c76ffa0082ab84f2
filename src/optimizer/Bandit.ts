/**
 * Which of many candidates are good, with few rollouts: those that may still be the best are run more often. The upper confidence
 * bound of ProTeGi (Pryzant et al. 2023, EMNLP).
 */
import type { Chance } from "./Chance.js"
import { evaluate, type Steps, type TaskExample, type Texts, together } from "./Search.js"

const banditRounds = 8
/** Candidates run in a round. */
const banditArms = 8
/** Examples each of them is run on. */
const banditExamples = 32
/** How much a candidate that was run little is given the benefit of the doubt. */
const exploration = 1

/** The mean of each candidate over what it was run on; 0 for one that never was. */
export function* upperConfidence(
  candidates: ReadonlyArray<Texts>,
  selection: ReadonlyArray<TaskExample>,
  chance: Chance,
  path: string
): Steps<ReadonlyArray<number>> {
  // An example that is drawn again would be the same rollout: it counts once.
  const scores = candidates.map(() => new Map<string, number>())
  const meanOf = (arm: number) => {
    const known = [...scores[arm]!.values()]
    return known.length === 0 ? 0 : known.reduce((total, score) => total + score, 0) / known.length
  }
  for (let round = 0; round < banditRounds; round += 1) {
    const pulls = scores.reduce((total, known) => total + known.size, 0)
    const bounds = scores.map(({ size }, arm) =>
      size === 0 ? Number.POSITIVE_INFINITY : meanOf(arm) + exploration * Math.sqrt(Math.log(pulls) / size)
    )
    const arms = chance.shuffled(`${path}/${round}/arms`, [...candidates.keys()])
      .toSorted((a, b) => bounds[a] === bounds[b] ? 0 : bounds[b]! - bounds[a]!)
      .slice(0, banditArms)
    const examples = chance.shuffled(`${path}/${round}/examples`, selection).slice(0, banditExamples)
    const answers = yield* together(arms.map((arm) => evaluate(candidates[arm]!, "selection", examples)))
    for (const [index, arm] of arms.entries()) {
      for (const { example, score } of answers[index]!) scores[arm]!.set(example.id, score)
    }
  }
  return scores.map((_, arm) => meanOf(arm))
}
