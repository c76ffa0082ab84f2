import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import { mkdirSync } from "node:fs"
import { join } from "node:path"
import * as Control from "../../src/runtime/Control.js"
import { beginRun, withControl } from "../support/control.js"

const allowed = { allowed: true, reason: "allow_team_mode_disabled" } as const

describe("the control files", () => {
  it.scoped("leave a verb in the store where the state file cannot be written, which is said", () =>
    withControl((stateDir) =>
      Effect.gen(function*() {
        yield* beginRun(1)
        mkdirSync(join(stateDir, "control-state.json"))
        const request = { stateDir, principal: "local:ada", decision: allowed }
        const error = yield* Effect.flip(Control.carryOut({ ...request, verb: "pause" }))
        assert.match(error.message, / \(the pause itself is in the store\)$/)
        assert.strictEqual((yield* Control.status(request)).lifecycleState, "paused")
      })
    ))
})
