/** Scores each example by a rubric of its own: dimensions with weights, each judged by one of the scorers. */
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Schema from "effect/Schema"
import { Scorer, ScoringFailed } from "../domain/Reward.js"
import type { PlainScorerConfig } from "../domain/RunConfig.js"
import { scorerOf } from "./Scoring.js"

/** The scorer of a dimension, but for its name and weight, which the rubric gives. `expected` names the example's field. */
export type DimensionScorer = PlainScorerConfig

const Rubric = Schema.Record({ key: Schema.String, value: Schema.Finite })

export interface RubricConfig {
  readonly dimensions: Readonly<Record<string, DimensionScorer>>
  /** Field of the example that holds its rubric. */
  readonly rubricField: string
  /** Folder from which paths of scorers are relative. */
  readonly baseDir: string
}

/** A rubric that cannot be read, or names a dimension that nothing judges, fails the attempt. */
export const layer = ({ baseDir, dimensions, rubricField }: RubricConfig): Layer.Layer<Scorer> =>
  Layer.succeed(Scorer, {
    score: (scorable) =>
      Effect.gen(function*() {
        const rubric = yield* Schema.decodeUnknown(Rubric)(scorable.example[rubricField]).pipe(
          Effect.mapError(() => new ScoringFailed({ scorer: "rubric", detail: `the example has no ${rubricField}` }))
        )
        const scoring: Array<PlainScorerConfig> = []
        for (const [name, weight] of Object.entries(rubric)) {
          const scorer = dimensions[name]
          if (scorer === undefined) {
            return yield* new ScoringFailed({ scorer: name, detail: "nothing judges this dimension" })
          }
          scoring.push({ ...scorer, name, weight })
        }
        return yield* scorerOf({ scoring, baseDir }).score(scorable)
      })
  })
