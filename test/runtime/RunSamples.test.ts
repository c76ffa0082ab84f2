import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
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
})
