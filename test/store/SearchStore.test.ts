import * as SqlClient from "@effect/sql/SqlClient"
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
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
})
