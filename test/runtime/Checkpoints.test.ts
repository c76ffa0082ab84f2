import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import { existsSync, rmSync } from "node:fs"
import { join } from "node:path"
import { checkpointsOf } from "../../src/runtime/Checkpoints.js"
import * as Control from "../../src/runtime/Control.js"
import * as PolicyCheckpoint from "../../src/runtime/PolicyCheckpoint.js"
import { ResourceStore } from "../../src/store/ResourceStore.js"
import { withControl } from "../support/control.js"
import { announcing } from "../support/runtime.js"
import { begin } from "../support/store.js"

describe("The checkpoints of a run", () => {
  it.scoped("are one for each version that is promoted, with its place among them, and stand for the latest after a rollback", () =>
    withControl((folder) =>
      Effect.gen(function*() {
        const resources = yield* ResourceStore
        const begun = yield* begin(1)
        const checkpoints = yield* checkpointsOf(join(folder, "store.sqlite"), begun, () => ({}))
        const stepIn = (file: string) =>
          Effect.map(
            PolicyCheckpoint.read(join(folder, file)),
            ({ optimizer_step, policy_state }) => [policy_state["resources_version"], optimizer_step]
          )
        yield* checkpoints.save
        assert.deepStrictEqual(yield* stepIn("policy-checkpoint.json"), [1, 0])
        for (const text of ["two", "three"]) yield* resources.publish({ system_prompt: text }, "search")
        yield* checkpoints.savePromoted
        assert.deepStrictEqual(yield* stepIn("policy-checkpoint.json"), [3, 2])
        assert.deepStrictEqual(yield* stepIn("policy-checkpoint.rollback.json"), [2, 1])
        rmSync(join(folder, "policy-checkpoint.version-3.json"))
        yield* checkpoints.savePromoted
        const again = yield* checkpointsOf(join(folder, "store.sqlite"), begun, () => ({}))
        yield* again.savePromoted
        assert.isFalse(existsSync(join(folder, "policy-checkpoint.version-3.json")), "nothing is saved again")
        yield* Control.carryOut({
          stateDir: folder,
          principal: "local:ada",
          decision: { allowed: true, reason: "allow_team_mode_disabled" },
          verb: "rollback",
          checkpoint: join(folder, "policy-checkpoint.version-2.json")
        })
        yield* checkpoints.save
        assert.deepStrictEqual(yield* stepIn("policy-checkpoint.json"), [2, 2])
      }).pipe(Effect.provide(announcing([])))
    ))
})
