/** Two runs on the examples that both have scored: is the second better, by how much, and on which of them? */
import { differenceOf, mean } from "../statistics/Moments.js"
import { compare, type Comparison } from "./Comparison.js"

/** A rollout that counts: it has a score, or failed and so earned 0. */
export interface ScoredRollout {
  readonly rolloutId: string
  /** What it was asked, by hash: rollouts of two runs with the same one pair. */
  readonly example: string
  readonly score: number
}

/** An example as the two runs have it; with several rollouts of it, their mean. */
export interface ComparedExample {
  readonly baseline: { readonly score: number; readonly rolloutId: string }
  readonly run: { readonly score: number; readonly rolloutId: string }
  readonly delta: number
}

export interface RunComparison {
  /** In the order of the baseline. */
  readonly examples: ReadonlyArray<ComparedExample>
  /** Of these examples, each counted once. */
  readonly meanScores: { readonly baseline: number; readonly run: number }
  /** How many examples only one of the two has scored: they count for nothing. */
  readonly onlyInBaseline: number
  readonly onlyInRun: number
  readonly comparison: Comparison
}

/** What `compare` says of the examples in common; null when there are none. */
export const compareRuns = (
  baseline: ReadonlyArray<ScoredRollout>,
  run: ReadonlyArray<ScoredRollout>,
  options: { readonly alpha: number; readonly seed: number }
): RunComparison | null => {
  const [before, after] = [byExample(baseline), byExample(run)]
  const examples = [...before].flatMap(([example, one]): ReadonlyArray<ComparedExample> => {
    const other = after.get(example)
    return other === undefined ? [] : [{ baseline: one, run: other, delta: differenceOf(one.score, other.score) }]
  })
  if (examples.length === 0) return null
  const outcomes = (of: "baseline" | "run") =>
    examples.map((example, index) => ({
      caseId: String(index),
      rewards: [example[of].score],
      safetyPenalties: [0]
    }))
  return {
    examples,
    meanScores: {
      baseline: mean(examples.map(({ baseline }) => baseline.score)),
      run: mean(examples.map(({ run }) => run.score))
    },
    onlyInBaseline: before.size - examples.length,
    onlyInRun: after.size - examples.length,
    comparison: compare(outcomes("baseline"), outcomes("run"), options)
  }
}

const byExample = (rollouts: ReadonlyArray<ScoredRollout>) => {
  const scores = new Map<string, { readonly rolloutId: string; readonly all: Array<number> }>()
  for (const { example, rolloutId, score } of rollouts) {
    const same = scores.get(example)
    if (same === undefined) scores.set(example, { rolloutId, all: [score] })
    else same.all.push(score)
  }
  return new Map(
    [...scores].map(([example, { all, rolloutId }]) => [example, { rolloutId, score: mean(all) }] as const)
  )
}
