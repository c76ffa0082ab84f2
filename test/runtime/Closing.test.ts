import { assert, describe, it } from "@effect/vitest"
import * as Cause from "effect/Cause"
import * as Exit from "effect/Exit"
import * as FiberId from "effect/FiberId"
import { closingOf } from "../../src/runtime/Closing.js"
import type { Ending } from "../../src/runtime/Ending.js"

const interrupted = Cause.interrupt(FiberId.none)

describe("How a run is closed", () => {
  it.each<readonly [string, Exit.Exit<Ending, string>, string, string, string | null]>([
    ["its end", Exit.succeed("finished"), "completed", "completed", null],
    ["a signal", Exit.failCause(interrupted), "paused", "paused", "signal"],
    ["an error", Exit.fail("the store is gone"), "failed", "running", "error"],
    [
      "an error while it was interrupted",
      Exit.failCause(Cause.parallel(interrupted, Cause.fail("no"))),
      "failed",
      "running",
      "error"
    ],
    ["a defect", Exit.die("no"), "failed", "running", "error"],
    ["the end of its time", Exit.succeed("timed-out"), "failed", "running", "completion_timeout"],
    ["a cancel", Exit.succeed("cancelled"), "cancelled", "cancelled", "cancelled"]
  ])("after %s: told, kept and why", (_, exit, runState, storedState, stoppedReason) => {
    assert.deepStrictEqual(closingOf(exit, 1, false), { runState, storedState, stoppedReason } as never)
  })

  it("is a failure for good where nothing succeeded, and one that the same command resumes after an outage", () => {
    const finished = Exit.succeed<Ending>("finished")
    assert.deepStrictEqual(closingOf(finished, 0, false), {
      runState: "failed",
      storedState: "failed",
      stoppedReason: null
    })
    for (const succeeded of [0, 3]) {
      assert.deepStrictEqual(closingOf(finished, succeeded, true), {
        runState: "failed",
        storedState: "running",
        stoppedReason: "error"
      })
    }
    // A cancel is one whatever had failed by then.
    assert.strictEqual(closingOf(Exit.succeed("cancelled"), 0, true).storedState, "cancelled")
  })
})
