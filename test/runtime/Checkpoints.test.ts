import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import { existsSync, rmSync } from "node:fs"
import { join } from "node:path"
import { checkpointsOf } from "../../src/runtime/Checkpoints.js"
import * as Control from "../../src/runtime/Control.js"
import * as PolicyCheckpoint from "../../src/runtime/PolicyCheckpoint.js"
import { ResourceStore } from "../../src/store/ResourceStore.js"
import { SearchStore } from "../../src/store/SearchStore.js"
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

  it.scoped("are made up for by the next run where whoever promoted a version was killed before it had one", () =>
    withControl((folder) =>
      Effect.gen(function*() {
        const resources = yield* ResourceStore
        const store = join(folder, "store.sqlite")
        const rolledBackTo = (version: number) =>
          Control.carryOut({
            stateDir: folder,
            principal: "local:ada",
            decision: { allowed: true, reason: "allow_team_mode_disabled" },
            verb: "rollback",
            checkpoint: join(folder, `policy-checkpoint.version-${version}.json`)
          })
        const latest = Effect.map(Effect.flatMap(resources.latest, (found) => found), ({ version }) => version)
        const killed = yield* begin(1)
        yield* (yield* checkpointsOf(store, killed, () => ({}))).save
        yield* resources.publish({ system_prompt: "two" }, "search")
        yield* rolledBackTo(1)
        // Another config gives another version: the promoted one is before it, and not the latest.
        const next = yield* begin(1, { configHash: "facade", resources: { system_prompt: "three" } })
        assert.strictEqual(next.resourcesVersion, 3)
        yield* (yield* checkpointsOf(store, next, () => ({}))).save
        const checkpoint = yield* PolicyCheckpoint.read(join(folder, "policy-checkpoint.json"))
        assert.deepStrictEqual(checkpoint.policy_state, { resources_version: 3 })
        yield* rolledBackTo(2)
        assert.strictEqual(yield* latest, 2)
      }).pipe(Effect.provide(announcing([])))
    ))

  it.scoped("are also of a version that the run promotes again, which is older than the one it was begun under", () =>
    withControl((folder) =>
      Effect.gen(function*() {
        const resources = yield* ResourceStore
        const store = yield* SearchStore
        yield* begin(1)
        yield* resources.publish({ system_prompt: "two" }, "search")
        const run = yield* begin(1, { configHash: "facade", resources: { system_prompt: "three" } })
        const checkpoints = yield* checkpointsOf(join(folder, "store.sqlite"), run, () => ({}))
        yield* checkpoints.save
        assert.isTrue(yield* store.promote(run.runId, 1, "ada", null))
        for (const save of [checkpoints.savePromoted, checkpoints.save]) {
          yield* save
          const { optimizer_step, policy_state } = yield* PolicyCheckpoint.read(join(folder, "policy-checkpoint.json"))
          assert.deepStrictEqual([policy_state, optimizer_step], [{ resources_version: 1 }, 1])
        }
        assert.isTrue(existsSync(join(folder, "policy-checkpoint.version-1.json")))
      }).pipe(Effect.provide(announcing([])))
    ))
})
