/**
 * No search: how good the seed is, in the terms of one. What searches are measured against in the benchmark and in tests; a run that
 * evaluates has its rollouts from its config (`Run.ts`).
 */
import { mean } from "../statistics/Moments.js"
import { meanBounds } from "./MeanBounds.js"
import { evaluate, type Found, note, type Steps, type Task, together, untilStopped } from "./Search.js"

export interface EvaluationSettings {
  /** Rollouts of each example, which count as one: their mean. */
  readonly samples: number
}

const defaultEvaluationSettings: EvaluationSettings = { samples: 1 }

export function* evaluation(task: Task, given: Partial<EvaluationSettings> = {}): Steps<Found> {
  const settings = { ...defaultEvaluationSettings, ...given }
  return yield* untilStopped(measure(task, settings), (reason) => ({ best: task.seed, mean: null, reason }))
}

function* measure({ seed, selection }: Task, { samples }: EvaluationSettings): Steps<Found> {
  if (selection.length === 0) return { best: seed, mean: null, reason: "finished" }
  const answers = yield* together(
    Array.from({ length: samples }, (_, sample) => evaluate(seed, "selection", selection, { sample }))
  )
  const scores = selection.map((_, at) => mean(answers.map((outcomes) => outcomes[at]!.score)))
  const known = { candidate: seed, mean: mean(scores), n: scores.length }
  yield* note({ type: "accepted", ...known }, { type: "incumbent", ...known, ...meanBounds(scores) })
  return { best: seed, mean: known.mean, reason: "finished" }
}
