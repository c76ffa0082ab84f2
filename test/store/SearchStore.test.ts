import * as SqlClient from "@effect/sql/SqlClient"
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import { GateStore } from "../../src/store/GateStore.js"
import { ResourceStore } from "../../src/store/ResourceStore.js"
import { SearchStore } from "../../src/store/SearchStore.js"
import { begin, withStore } from "../support/store.js"

describe("SearchStore", () => {
  it.scoped("promotes a version once where several people do so at the same time", () =>
    withStore(Effect.gen(function*() {
      const { runId } = yield* begin(1)
      const { publish } = yield* ResourceStore
      const version = yield* publish({ system_prompt: "Obey." }, "somebody")
      yield* publish({ system_prompt: "Obey, please." }, "somebody else")
      const { promote } = yield* SearchStore
      const done = yield* Effect.forEach(["ada", "bob", "cyd"], (who) => promote(runId, version, who, null), {
        concurrency: "unbounded"
      })
      assert.deepStrictEqual(done.toSorted(), [false, false, true])
      const sql = yield* SqlClient.SqlClient
      assert.deepStrictEqual(yield* sql`SELECT version, replaced FROM promotions`, [{ version: 2, replaced: 3 }])
    })))

  it.scoped("does not let a gate replace a version that it was not held against", () =>
    withStore(Effect.gen(function*() {
      const { runId: first } = yield* begin(1)
      const { runId: second } = yield* begin(1, { configHash: "decade" })
      const gates = yield* GateStore
      const { end } = yield* SearchStore
      const sql = yield* SqlClient.SqlClient
      const { publish } = yield* ResourceStore
      const better = yield* publish({ system_prompt: "Better." }, "a search")
      const latest = yield* publish({ system_prompt: "Good." }, "somebody")
      for (const run of [first, second]) assert.strictEqual((yield* gates.open(run, run, 0)).incumbent, latest)
      const promotion = { version: better, decision: "gate", principal: null } as const
      const result = JSON.stringify({ promotedVersion: better })
      assert.strictEqual(yield* end(first, result, promotion), result)
      const overtaken = JSON.parse(yield* end(second, result, promotion)) as unknown
      assert.deepStrictEqual(overtaken, { promotedVersion: null, overtakenBy: better })
      // A search ends once.
      assert.strictEqual(yield* end(first, result, promotion), result)
      assert.deepStrictEqual(yield* sql`SELECT run_id, version, replaced FROM promotions`, [
        { runId: first, version: better, replaced: latest }
      ])
    })))

  it.scopedLive("holds a gate that is gone on with over its own examples, whatever an earlier run did once it was open", () =>
    withStore(Effect.gen(function*() {
      const { runId: earlier } = yield* begin(1)
      const { runId } = yield* begin(1, { configHash: "decade" })
      const gates = yield* GateStore
      const { take } = yield* SearchStore
      const step = (n: number, example: string) =>
        take({
          runId: earlier,
          n,
          chain: "chain",
          stop: null,
          candidates: n === 0 ? [{ n, texts: "{}", parents: [], change: null, path: "seed" }] : [],
          versions: n === 0 ? [{ n, resources: "{}" }] : [],
          rollouts: [{ id: `rollout-${example}`, mode: "val", input: "{}", candidate: 0, example, sample: 0 }],
          reflections: [],
          events: [],
          eventsFrom: 0,
          attemptsMax: 1,
          author: "gepa"
        })
      const use = gates.use(runId, ["val-a", "val-b"], 1_000)
      yield* step(0, "val-a")
      const before = yield* use
      assert.deepStrictEqual(before, { seen: ["val-a"], used: [], openings: 0 })
      yield* gates.open(runId, "set", 0)
      const openedMs = Date.now()
      while (Date.now() <= openedMs) { /* until the store's clock tells the two apart */ }
      yield* step(1, "val-b")
      assert.deepStrictEqual(yield* use, before)
    })))
})
