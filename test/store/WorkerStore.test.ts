import * as SqlClient from "@effect/sql/SqlClient"
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import { StoreProcess } from "../../src/store/Sqlite.js"
import { WorkerStore } from "../../src/store/WorkerStore.js"
import { begin, withStore } from "../support/store.js"

describe("WorkerStore", () => {
  it.scoped("gives every worker an id of its own, and notes when it ends", () =>
    withStore(Effect.gen(function*() {
      const sql = yield* SqlClient.SqlClient
      const workers = yield* WorkerStore
      const { id: processId } = yield* StoreProcess
      const { runId } = yield* begin(1)
      const first = yield* Effect.scoped(workers.register(runId))
      const second = yield* workers.register(runId)
      assert.deepStrictEqual([first, second] as ReadonlyArray<string>, [`${processId}/1`, `${processId}/2`])
      const rows = yield* sql`SELECT id, run_id, ended_at_ms IS NULL AS is_live FROM workers ORDER BY id`
      assert.deepStrictEqual(rows.map((row) => ({ ...row })), [
        { id: first, runId, isLive: 0 },
        { id: second, runId, isLive: 1 }
      ])
    })))
})
