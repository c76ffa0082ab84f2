/**
 * Evaluates a candidate on the selection examples, block by block and paired with another, and gives up once it is unlikely to be
 * better. Giving up early can only lose a good candidate, never let a bad one in. After CAPO (Zehle et al. 2025, arXiv
 * 2504.16005), with a rule of our own.
 */
import { mean, sum, variance } from "../statistics/Moments.js"
import type { Candidate } from "./Pool.js"
import { evaluate, type Outcome, type Steps, type TaskExample, type Texts } from "./Search.js"

export interface RaceSettings {
  /** Selection examples between two looks. */
  readonly block: number
  /** How many standard errors the benefit of the doubt is wide. */
  readonly dropZ: number
  /** A gain that is worth the rest of the race. */
  readonly dropMargin: number
}

export type Raced =
  | { readonly done: true; readonly outcomes: ReadonlyArray<Outcome> }
  /** `sum` of the differences over `n` examples. */
  | { readonly done: false; readonly sum: number; readonly n: number }

/** Differences that are all the same say less about the rest than they seem to. */
const varianceMin = 0.05

/** `order` has the positions of the selection examples, the same for all races of a search. Outcomes come in the task's order. */
export function* race(
  texts: Texts,
  rival: Candidate,
  selection: ReadonlyArray<TaskExample>,
  order: ReadonlyArray<number>,
  { block, dropMargin, dropZ }: RaceSettings
): Steps<Raced> {
  const outcomes: Array<Outcome> = []
  const differences: Array<number> = []
  for (let from = 0; from < order.length; from += block) {
    const positions = order.slice(from, from + block)
    const answers = yield* evaluate(texts, "selection", positions.map((position) => selection[position]!))
    for (const [index, position] of positions.entries()) {
      outcomes[position] = answers[index]!
      differences.push(answers[index]!.score - rival.scores[position]!)
    }
    const n = differences.length
    if (n === order.length) break
    const spread = n === 1 ? varianceMin : Math.max(variance(differences), varianceMin)
    if (mean(differences) + dropZ * Math.sqrt(spread / n) < dropMargin) return { done: false, sum: sum(differences), n }
  }
  return { done: true, outcomes }
}
