import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import { AttemptFailed } from "../../src/runtime/Executor.js"
import { type FakeAgent, runIn, runtimeAt } from "../support/runtime.js"
import { scratchFolder } from "../support/store.js"

describe("A runner", () => {
  it.scopedLive("charges no attempt whose calls could not be recorded, and begins none until they can", () =>
    Effect.gen(function*() {
      const folder = yield* scratchFolder
      const said: Array<string> = []
      let asked = 0
      let refusesUntil = 0
      const agent: FakeAgent = {
        said,
        refusal: () => ++asked <= refusesUntil ? "the disk is full" : null,
        execute: ({ attempt }) => {
          if (attempt > 1) return Effect.succeed({ output: "4" })
          refusesUntil = asked + 5
          return new AttemptFailed({ reason: "model", detail: "answered with 503", permanent: false, stderrTail: null })
        }
      }
      const summary = yield* Effect.provide(
        runIn(folder, 1, { worker_count: 1, max_attempts: 1 }),
        runtimeAt(folder, { heartbeatIntervalMs: 5_000, ...agent })
      )
      assert.deepInclude(summary, { succeeded: 1, failed: 0 })
      assert.isAtLeast(asked, refusesUntil)
      assert.include(
        said.join("\n"),
        "handed back run-0001-c0ffee-train-0001, uncharged: its calls cannot be recorded: the disk is full"
      )
    }))
})
