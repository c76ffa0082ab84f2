import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Scope from "effect/Scope"
import { existsSync, readFileSync, renameSync } from "node:fs"
import { join } from "node:path"
import { ScoringFailed } from "../../src/domain/Reward.js"
import { AttemptFailed } from "../../src/runtime/Executor.js"
import { statusPathOf } from "../../src/runtime/StatusFile.js"
import { setWallClock } from "../support/clock.js"
import { type FakeAgent, runIn, runtimeAt, storePathIn } from "../support/runtime.js"
import { rowsOf, scratchFolder } from "../support/store.js"

describe("The end of a run", () => {
  it.scopedLive("is told before it is recorded, so that a kill in between makes nobody pay twice", () =>
    Effect.gen(function*() {
      const folder = yield* scratchFolder
      const seen: Array<string> = []
      const once = runIn(folder, 2, {}, ({ runState }) =>
        Effect.sync(() => {
          const [row] = rowsOf<{ state: string }>(storePathIn(folder), "SELECT state FROM runs")
          seen.push(`${runState}, told while ${row?.state}`)
        }))
      yield* Effect.provide(once, runtimeAt(folder, { execute: () => Effect.succeed({ output: "4" }) }))
      assert.deepStrictEqual(seen, ["completed, told while running"])
    }))

  it.scopedLive("tells equal failures once, with the first rollout that had them, what its agent said last and how many did", () =>
    Effect.gen(function*() {
      const folder = yield* scratchFolder
      const failed = (detail: string) => (stderrTail: string) =>
        new AttemptFailed({ reason: "exit-code", detail, permanent: false, stderrTail })
      const agent: FakeAgent = {
        execute: ({ attempt, example: { prompt } }) =>
          Effect.fail(failed(prompt === "question 2" ? "another" : "exit code 3")(`${prompt}, attempt ${attempt}`))
      }
      const { failures } = yield* Effect.provide(runIn(folder, 3, { max_attempts: 2 }), runtimeAt(folder, agent))
      assert.deepEqual(failures, [
        {
          id: "run-0001-c0ffee-train-0001",
          error: "exit code 3",
          rollouts: 2,
          stderrTail: "question 1, attempt 2"
        },
        { id: "run-0001-c0ffee-train-0002", error: "another", rollouts: 1, stderrTail: "question 2, attempt 2" }
      ])
    }))

  it.scopedLive("leaves a status file that has 0 where every agent failed, and no score after an outage, as tau runs does", () =>
    Effect.gen(function*() {
      const scoreAfter = (reason: "exit-code" | "away") =>
        Effect.gen(function*() {
          const folder = yield* scratchFolder
          const failure = new AttemptFailed({ reason, detail: "it failed", permanent: true, stderrTail: null })
          const agent: FakeAgent = { execute: () => Effect.fail(failure) }
          yield* Effect.provide(runIn(folder, 2), runtimeAt(folder, agent))
          return JSON.parse(readFileSync(statusPathOf(storePathIn(folder)), "utf8")) as Record<string, unknown>
        })
      assert.deepInclude(yield* scoreAfter("exit-code"), { mean_score: 0, failed: 2 })
      assert.deepInclude(yield* scoreAfter("away"), { mean_score: null, failed: 2 })
    }))

  it.scopedLive("has said long before it, once, that a scorer was refused: agents are paid for until the end", () =>
    Effect.gen(function*() {
      const folder = yield* scratchFolder
      const said: Array<string> = []
      const agent: FakeAgent = {
        said,
        execute: () => Effect.succeed({ output: "4" }),
        score: () => Effect.fail(new ScoringFailed({ scorer: "judge", detail: "answered with 401", permanent: true }))
      }
      yield* Effect.provide(runIn(folder, 3, { worker_count: 2 }), runtimeAt(folder, agent))
      const told = "scorer judge failed: answered with 401; it is not asked again for that rollout, and the run goes on"
      assert.deepStrictEqual(said.filter((line) => line.includes("goes on")), [told])
      assert.isBelow(said.indexOf(told), said.findIndex((line) => line.includes("3/3")))
    }))

  it.scopedLive("says how long it took, however the clock was set meanwhile", () =>
    Effect.gen(function*() {
      const folder = yield* scratchFolder
      const scope = yield* Effect.scope
      const said: Array<string> = []
      const agent: FakeAgent = {
        said,
        execute: () => Effect.as(Scope.extend(setWallClock(-3_600_000), scope), { output: "4" })
      }
      const { elapsedMs } = yield* Effect.provide(runIn(folder, 1), runtimeAt(folder, agent))
      assert.isAbove(elapsedMs, 0)
      assert.notMatch(said.join("\n"), /-\d+ ms/)
    }))

  it.scopedLive("is a clear error when the store is taken away, never silence", () =>
    Effect.gen(function*() {
      const folder = yield* scratchFolder
      const said: Array<string> = []
      const agent: FakeAgent = {
        said,
        execute: () =>
          Effect.sync(() => {
            renameSync(storePathIn(folder), join(folder, "elsewhere.sqlite"))
            return { output: "4" }
          })
      }
      const error = yield* Effect.flip(Effect.provide(runIn(folder, 1), runtimeAt(folder, agent)))
      assert.include(error.message, "was moved or deleted while in use")
      // A runner dies of it eleven times.
      assert.lengthOf(said.filter((line) => /runner \d died/.test(line)), 1, said.join("\n"))
      assert.notInclude(said.join("\n"), "could not be handed back")
    }))

  it.scopedLive("makes no folder anew where the store's was moved away: it can be moved back", () =>
    Effect.gen(function*() {
      const folder = yield* scratchFolder
      const moved = `${folder}-moved`
      const agent: FakeAgent = {
        execute: () =>
          Effect.sync(() => {
            renameSync(folder, moved)
            return { output: "4" }
          })
      }
      const { message } = yield* Effect.flip(Effect.provide(runIn(folder, 1), runtimeAt(folder, agent)))
      const isThere = existsSync(folder)
      if (!isThere) renameSync(moved, folder)
      assert.include(message, "was moved or deleted while in use")
      assert.isFalse(isThere)
    }))
})
