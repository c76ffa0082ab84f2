import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import { readdirSync, rmSync, statSync, writeFileSync } from "node:fs"
import { join } from "node:path"
import * as PolicyCheckpoint from "../../src/runtime/PolicyCheckpoint.js"
import { scratchFolder } from "../support/store.js"

const checkpoint = (step: number): PolicyCheckpoint.PolicyCheckpoint => ({
  checkpoint_version: 1,
  run_id: "run-0001-c0ffee",
  policy_state: { resources_version: step },
  optimizer_state: {},
  global_step: step,
  optimizer_step: 0,
  saved_at_unix_seconds: 1_700_000_000
})

const primary = (folder: string) => join(folder, "policy-checkpoint.json")
const fallback = (folder: string) => join(folder, "policy-checkpoint.rollback.json")

describe("PolicyCheckpoint", () => {
  it.scoped("makes the previous checkpoint the fallback, and leaves but one of each version beside them", () =>
    Effect.gen(function*() {
      const folder = yield* scratchFolder
      yield* PolicyCheckpoint.save(folder, checkpoint(1))
      assert.deepStrictEqual(readdirSync(folder).toSorted(), [
        "policy-checkpoint.json",
        "policy-checkpoint.version-1.json"
      ])
      for (const step of [2, 3]) yield* PolicyCheckpoint.save(folder, checkpoint(step))
      assert.deepStrictEqual(yield* PolicyCheckpoint.load(folder), {
        source: "primary",
        checkpoint: checkpoint(3),
        diagnostics: []
      })
      assert.deepStrictEqual(yield* PolicyCheckpoint.read(fallback(folder)), checkpoint(2))
      assert.deepStrictEqual(readdirSync(folder).toSorted(), [
        "policy-checkpoint.json",
        "policy-checkpoint.rollback.json",
        "policy-checkpoint.version-1.json",
        "policy-checkpoint.version-2.json",
        "policy-checkpoint.version-3.json"
      ])
    }))

  it.scoped("falls back when the primary is damaged or gone, and says why", () =>
    Effect.gen(function*() {
      const folder = yield* scratchFolder
      for (const step of [1, 2]) yield* PolicyCheckpoint.save(folder, checkpoint(step))
      writeFileSync(primary(folder), "{\"checkpoint_version\": 1")
      const damaged = yield* PolicyCheckpoint.load(folder)
      assert.deepStrictEqual([damaged.source, damaged.checkpoint], ["fallback", checkpoint(1)])
      assert.include(damaged.diagnostics[0], "policy-checkpoint.json")
      rmSync(primary(folder))
      assert.include((yield* PolicyCheckpoint.load(folder)).diagnostics[0], "there is no such checkpoint")
    }))

  it.scoped("a damaged primary never takes the place of a good fallback", () =>
    Effect.gen(function*() {
      const folder = yield* scratchFolder
      for (const step of [1, 2]) yield* PolicyCheckpoint.save(folder, checkpoint(step))
      writeFileSync(primary(folder), "damaged")
      yield* PolicyCheckpoint.save(folder, checkpoint(3))
      assert.deepStrictEqual(yield* PolicyCheckpoint.read(primary(folder)), checkpoint(3))
      assert.deepStrictEqual(yield* PolicyCheckpoint.read(fallback(folder)), checkpoint(1))
    }))

  it.scoped("names both files when neither can be read", () =>
    Effect.gen(function*() {
      const folder = yield* scratchFolder
      writeFileSync(primary(folder), JSON.stringify({ ...checkpoint(1), checkpoint_version: 2 }))
      const { message } = yield* Effect.flip(PolicyCheckpoint.load(folder))
      assert.include(message, "$.checkpoint_version")
      assert.include(message, "policy-checkpoint.rollback.json: there is no such checkpoint")
    }))

  it.effect("stands for a version only when it names a whole number greater than 0", () =>
    Effect.gen(function*() {
      for (const version of [0, -1, 1.5, "1", null, undefined]) {
        const { message } = yield* Effect.flip(
          PolicyCheckpoint.resourcesVersionOf("c.json", {
            ...checkpoint(1),
            policy_state: { resources_version: version }
          })
        )
        assert.include(message, "c.json: policy_state.resources_version must be a whole number greater than 0")
      }
      assert.strictEqual(yield* PolicyCheckpoint.resourcesVersionOf("c.json", checkpoint(7)), 7)
    }))

  it.scoped("makes missing folders, and files that only their owner can read", () =>
    Effect.gen(function*() {
      const folder = yield* scratchFolder
      yield* PolicyCheckpoint.save(join(folder, "a/b"), checkpoint(1))
      assert.strictEqual(statSync(primary(join(folder, "a/b"))).mode & 0o077, 0)
    }))
})
