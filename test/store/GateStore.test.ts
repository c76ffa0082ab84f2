import { assert, describe, it } from "@effect/vitest"
import Sqlite from "better-sqlite3"
import * as Effect from "effect/Effect"
import { join } from "node:path"
import { GateStore } from "../../src/store/GateStore.js"
import { begin, scratchFolder, storeAt } from "../support/store.js"

/** Gates number their samples from here. */
const samplesFrom = 1_000

describe("GateStore", () => {
  it.scoped("tells what earlier runs searched on and what their gates looked at, by what the examples say", () =>
    Effect.gen(function*() {
      const path = join(yield* scratchFolder, "store.sqlite")
      yield* Effect.gen(function*() {
        const begun = yield* Effect.forEach(["1", "2", "3", "4"], (configHash) => begin(3, { configHash }))
        const runs = begun.map(({ runId }) => runId)
        const ran: ReadonlyArray<ReadonlyArray<readonly [example: string | null, sample: number]>> = [
          [["validate-aa", 0], ["validate-bb", samplesFrom], ["optimize-cc", samplesFrom - 1]],
          [["validate-aa", 0], [null, 0], ["validate-zz", samplesFrom]],
          [["validate-bb-2", samplesFrom + 1], ["validate-dd", 0], [null, 0]],
          [["validate-ee", 0], ["validate-ee", samplesFrom], [null, 0]]
        ]
        const database = new Sqlite(path)
        const update = database.prepare("UPDATE rollouts SET example = ?, sample = ? WHERE run_id = ? AND ordinal = ?")
        const ordinals = database.prepare("SELECT ordinal FROM rollouts WHERE run_id = ? ORDER BY ordinal").pluck()
        for (const [at, rollouts] of ran.entries()) {
          for (const [n, ordinal] of ordinals.all(runs[at]!).entries()) update.run(...rollouts[n]!, runs[at]!, ordinal)
        }
        database.close()
        const { use } = yield* GateStore
        const asked = ["validate-aa", "validate-aa-2", "validate-bb", "validate-cc", "validate-dd", "validate-ee"]
        assert.deepStrictEqual(yield* use(runs[0]!, asked, samplesFrom), { seen: [], used: [], openings: 0 })
        assert.deepStrictEqual(yield* use(runs[2]!, asked, samplesFrom), {
          seen: ["validate-aa", "validate-aa-2", "validate-cc"],
          used: ["validate-bb"],
          openings: 1
        })
        assert.deepStrictEqual(yield* use(runs[3]!, asked, samplesFrom), {
          seen: ["validate-aa", "validate-aa-2", "validate-cc", "validate-dd"],
          used: ["validate-bb"],
          openings: 2
        })
      }).pipe(Effect.provide(storeAt(path)))
    }))

  it.scoped("opens a gate once for a run, after those that looked at any of its examples", () =>
    Effect.gen(function*() {
      const path = join(yield* scratchFolder, "store.sqlite")
      yield* Effect.gen(function*() {
        const { runId: first } = yield* begin(1)
        const { runId: second } = yield* begin(1, { configHash: "decade" })
        const { hasOpened, open } = yield* GateStore
        assert.strictEqual((yield* open(first, "some", 2)).k, 3)
        assert.strictEqual((yield* open(first, "some", 2)).k, 3)
        const opened = [
          yield* hasOpened(first, "some"),
          yield* hasOpened(first, "others"),
          yield* hasOpened(second, "some")
        ]
        assert.deepStrictEqual(opened, [true, false, false])
        assert.strictEqual((yield* open(second, "some", 0)).k, 4)
      }).pipe(Effect.provide(storeAt(path)))
    }))
})
