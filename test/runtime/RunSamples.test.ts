import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import { readFileSync } from "node:fs"
import { join } from "node:path"
import { AttemptFailed } from "../../src/runtime/Executor.js"
import { type FakeAgent, runIn, runtimeAt } from "../support/runtime.js"
import { scratchFolder } from "../support/store.js"

describe("A run with several samples", () => {
  it.scopedLive("asks each example as often as it is told, and takes its mean for one", () =>
    Effect.gen(function*() {
      const folder = yield* scratchFolder
      let asked = 0
      const agent: FakeAgent = {
        execute: ({ example }) => Effect.succeed({ output: `${example["prompt"] === "question 1" ? 1 : asked++ % 2}` }),
        score: ({ output }) => Effect.succeed(output === "1" ? 1 : 0)
      }
      const run = runIn(folder, 2, { worker_count: 1, optimizer: { samples: 4 } })
      const summary = yield* Effect.provide(run, runtimeAt(folder, agent))
      assert.strictEqual(summary.total, 8)
      const [{ interval, mean, n }] = summary.scores as [typeof summary.scores[number]]
      assert.deepStrictEqual([n, mean, interval?.method], [2, 0.75, "student-t"])
    }))

  it.scopedLive("counts those that failed as 0 in the mean of their example, and in the score so far", () =>
    Effect.gen(function*() {
      const folder = yield* scratchFolder
      let asked = 0
      const failed = new AttemptFailed({ reason: "exit-code", detail: "no", permanent: true, stderrTail: null })
      const agent: FakeAgent = {
        execute: ({ example }) =>
          example["prompt"] === "question 1" || asked++ % 2 === 0
            ? Effect.succeed({ output: "1" })
            : Effect.fail(failed),
        score: () => Effect.succeed(1)
      }
      const run = runIn(folder, 2, { worker_count: 1, optimizer: { samples: 4 } })
      const { failed: failures, scores: [score] } = yield* Effect.provide(run, runtimeAt(folder, agent))
      assert.deepStrictEqual([failures, score?.n, score?.mean], [2, 2, 0.75])
      const meanIn = (place: string) =>
        (JSON.parse(readFileSync(join(place, "status.json"), "utf8")) as { readonly mean_score: unknown }).mean_score
      assert.strictEqual(meanIn(folder), 0.75)
      const hopeless = yield* scratchFolder
      yield* Effect.provide(runIn(hopeless, 1), runtimeAt(hopeless, { execute: () => Effect.fail(failed) }))
      assert.strictEqual(meanIn(hopeless), 0)
    }))
})
