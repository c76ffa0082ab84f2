import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Schema from "effect/Schema"
import { AttemptId, RolloutId } from "../../src/domain/Ids.js"
import { Scorer } from "../../src/domain/Reward.js"
import type { Example } from "../../src/domain/Rollout.js"
import { ScorerConfig } from "../../src/domain/RunConfig.js"
import * as RubricScoring from "../../src/scoring/RubricScoring.js"

const scorer = Schema.decodeSync(ScorerConfig)
const dimensions = {
  right: scorer({ kind: "exact_match", weight: 9 }) as RubricScoring.DimensionScorer,
  polite: scorer({ kind: "contains", expected: "courtesy" }) as RubricScoring.DimensionScorer
}

const score = (example: Example) =>
  Effect.flatMap(Scorer, (scorer) =>
    scorer.score({
      rolloutId: RolloutId.make("rollout-1"),
      attemptId: AttemptId.make("rollout-1:attempt-1"),
      example: { expected: "4", courtesy: "please", ...example },
      output: "4"
    })).pipe(Effect.provide(RubricScoring.layer({ dimensions, rubricField: "rubric", baseDir: "." })))

describe("a rubric of the example", () => {
  it.effect("names the dimensions that count, and how much each weighs", () =>
    Effect.gen(function*() {
      const both = yield* score({ rubric: { right: 3, polite: 1 } })
      assert.deepStrictEqual(both.rewards.map(({ name, value }) => [name, value]), [["right", 1], ["polite", 0]])
      assert.strictEqual(both.score, 0.75)
      assert.strictEqual((yield* score({ rubric: { right: 1, polite: 3 } })).score, 0.25)
      assert.strictEqual((yield* score({ rubric: { right: 0.5 } })).score, 1)
    }))

  it.effect("fails where it cannot be read, or nothing judges one of its dimensions", () =>
    Effect.gen(function*() {
      const detail = (example: Example) => Effect.map(Effect.flip(score(example)), ({ message }) => message)
      assert.strictEqual(
        yield* detail({ rubric: { right: 1, brief: 1 } }),
        "scorer brief failed: nothing judges this dimension"
      )
      for (const example of [{}, { rubric: { right: "much" } }, { rubric: [1] }]) {
        assert.strictEqual(yield* detail(example), "scorer rubric failed: the example has no rubric")
      }
    }))
})
