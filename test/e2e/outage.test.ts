import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import { query, searched } from "../support/searchRuns.js"
import { searchConfig, searchUpstream } from "../support/searchUpstream.js"
import { scratchFolder } from "../support/store.js"

describe("An evaluation whose model goes away", { timeout: 120_000 }, () => {
  it.scopedLive("is no success when a whole mode had no model, and the same command tries that mode again", () =>
    Effect.gen(function*() {
      const outage = { from: 6 }
      const { origin } = yield* searchUpstream({ fault: (_, n) => n >= outage.from ? 503 : null })
      const folder = yield* scratchFolder
      const { optimizer: _, ...given } = searchConfig(origin, { validate: 3, max_attempts: 1, worker_count: 1 })
      const config = { ...given, optimize: given.optimize.slice(0, 6) }
      const cause = "3 of 9 rollouts failed because their model answered 503 "
        + "(the model call was answered with 503: not now with [REDACTED]): their scores say nothing; "
        + "bring the model back and run the same command again to go on\n"
      for (const attempts of [9, 12]) {
        const { code, stderr, stdout } = yield* searched(folder, config)
        assert.strictEqual(code, 1)
        assert.include(stderr, cause)
        assert.deepInclude(JSON.parse(stdout), {
          run_state: "failed",
          stopped_reason: "error",
          succeeded: 6,
          failed: 3
        })
        assert.lengthOf(query(folder, "SELECT 1 FROM attempts"), attempts)
      }
      outage.from = Infinity
      const { code, stderr, stdout } = yield* searched(folder, config)
      assert.strictEqual(code, 0, stderr)
      assert.deepInclude(JSON.parse(stdout), { run_state: "completed", stopped_reason: null, start: 3, succeeded: 9 })
      assert.lengthOf(query(folder, "SELECT 1 FROM attempts"), 15)
      // What is over is over: the command begins anew.
      assert.match((yield* searched(folder, config)).stderr, /^new run run-0002-/m)
    }))

  it.scopedLive("stays a success when a few calls failed", () =>
    Effect.gen(function*() {
      const { origin } = yield* searchUpstream({
        fault: ({ key }) => /training question 1|validation question 2/.test(key) ? 503 : null
      })
      const folder = yield* scratchFolder
      const { optimizer: _, ...given } = searchConfig(origin, { validate: 3, max_attempts: 1, worker_count: 1 })
      const { code, stdout } = yield* searched(folder, { ...given, optimize: given.optimize.slice(0, 6) })
      assert.strictEqual(code, 0)
      assert.deepInclude(JSON.parse(stdout), { run_state: "completed", succeeded: 7, failed: 2 })
    }))
})
