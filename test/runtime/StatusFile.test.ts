import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import { readdirSync, readFileSync, writeFileSync } from "node:fs"
import { join } from "node:path"
import { followAtRest, type Status, statusPathOf, write } from "../../src/runtime/StatusFile.js"
import type { StandingRun } from "../../src/store/RunStanding.js"
import { scratchFolder } from "../support/store.js"

const status = (succeeded: number): Status => ({
  schema_version: 1,
  updated_unix_ms: 1,
  run_state: "running",
  model_ref: "fake/".padEnd(1 + succeeded * 50, "m"),
  store_path: "store.sqlite",
  total_rollouts: 100,
  succeeded,
  failed: 0,
  cancelled: 0,
  active: 0,
  mean_score: null,
  calls: 0,
  input_tokens: 0,
  output_tokens: 0,
  run_id: "run-0001-c0ffee",
  start: 1,
  resumed: false,
  finished_before: 0,
  requeued: 0,
  unknown_calls: 0,
  pid: 1,
  started_unix_ms: 1,
  stopped_reason: null
})

const nextTurn = Effect.promise(() => new Promise((resolve) => setImmediate(resolve)))

describe("StatusFile", () => {
  it.scopedLive("is whole whenever somebody reads it, and never goes back", () =>
    Effect.gen(function*() {
      const folder = yield* scratchFolder
      const path = statusPathOf(join(folder, "store.sqlite"))
      yield* write(path, status(0))
      let reads = 0
      let last = 0
      const reader = Effect.sync(() => {
        const { succeeded } = JSON.parse(readFileSync(path, "utf8")) as Status
        assert.isAtLeast(succeeded, last)
        last = succeeded
        reads += 1
      }).pipe(Effect.zipRight(nextTurn), Effect.forever)
      yield* Effect.raceFirst(
        Effect.forEach(Array.from({ length: 200 }, (_, n) => n + 1), (n) => write(path, status(n)), { discard: true }),
        reader
      )
      assert.isAbove(reads, 200)
      assert.deepStrictEqual(readdirSync(folder), ["status.json"])
    }))

  it.scopedLive("says where it could not be written", () =>
    Effect.gen(function*() {
      const file = join(yield* scratchFolder, "file")
      writeFileSync(file, "")
      const path = join(file, "status.json")
      const error = yield* Effect.flip(write(path, status(0)))
      assert.include(error.message, `${path} could not be written`)
    }))

  it.scopedLive("follows a verb on its own run where no process does", () =>
    Effect.gen(function*() {
      const store = join(yield* scratchFolder, "store.sqlite")
      const path = statusPathOf(store)
      const before = { ...status(3), active: 2, stopped_reason: "signal" }
      const run = {
        id: before.run_id,
        isLive: false,
        state: "cancelled",
        statusState: "cancelled",
        total: 9,
        succeeded: 4,
        failed: 2,
        cancelled: 3
      } as unknown as StandingRun
      const follow = (changed: Partial<StandingRun>) =>
        Effect.gen(function*() {
          yield* write(path, before)
          yield* followAtRest(store, { ...run, ...changed })
          const { updated_unix_ms: _, ...after } = JSON.parse(readFileSync(path, "utf8")) as Status
          return after
        })
      const { updated_unix_ms: _, ...kept } = before
      const counts = { total_rollouts: 9, succeeded: 4, failed: 2, cancelled: 3, active: 0 }
      const cancelled = { ...kept, ...counts, run_state: "cancelled", stopped_reason: "cancelled" }
      assert.deepStrictEqual(yield* follow({}), cancelled as typeof kept)
      const paused = yield* follow({ state: "running", statusState: "paused" })
      assert.deepStrictEqual(paused, { ...kept, ...counts, run_state: "paused" })
      assert.deepStrictEqual(yield* follow({ isLive: true }), kept)
      assert.deepStrictEqual(yield* follow({ id: "run-0002-c0ffee" as StandingRun["id"] }), kept)
    }))
})
