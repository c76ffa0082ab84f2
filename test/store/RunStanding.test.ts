import { assert, describe, it } from "@effect/vitest"
import Sqlite from "better-sqlite3"
import * as Effect from "effect/Effect"
import { join } from "node:path"
import { RunStanding } from "../../src/store/RunStanding.js"
import { begin, scratchFolder, storeAt } from "../support/store.js"

describe("RunStanding", () => {
  it.scoped("counts the rollouts of the run it is about by how they ended", () =>
    Effect.gen(function*() {
      const path = join(yield* scratchFolder, "store.sqlite")
      yield* Effect.gen(function*() {
        yield* begin(7)
        const database = new Sqlite(path)
        database.exec(`UPDATE rollouts SET status = 'succeeded' WHERE ordinal IN (SELECT min(ordinal) FROM rollouts);
          UPDATE rollouts SET status = 'failed' WHERE status = 'queuing' AND ordinal % 2 = 0;
          UPDATE rollouts SET status = 'cancelled' WHERE id = (SELECT max(id) FROM rollouts WHERE status = 'queuing')`)
        database.close()
        const { run } = yield* Effect.flatMap(RunStanding, ({ now }) => now)
        assert.deepInclude(run!, { total: 7, succeeded: 1, failed: 3, cancelled: 1 })
      }).pipe(Effect.provide(storeAt(path)))
    }))
})
