import * as SqlClient from "@effect/sql/SqlClient"
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import { join } from "node:path"
import { ofOneMoment, orStoreError } from "../../src/store/reading.js"
import * as Sqlite from "../../src/store/Sqlite.js"
import { scratchFolder, storeAt } from "../support/store.js"

describe("ofOneMoment", () => {
  it.scopedLive("says what failed also where SQLite has ended the transaction by itself, as when the disk fails", () =>
    Effect.gen(function*() {
      const path = join(yield* scratchFolder, "store.sqlite")
      yield* Effect.scoped(Layer.build(storeAt(path)))
      const failed = Effect.gen(function*() {
        const sql = yield* SqlClient.SqlClient
        const read = Effect.zipRight(
          sql`ROLLBACK`,
          Effect.fail(Object.assign(new Error("disk I/O error"), { code: "SQLITE_IOERR_READ" }))
        )
        return yield* Effect.flip(orStoreError("reading spans", ofOneMoment(sql, read)))
      })
      const { detail, reason } = yield* Effect.provide(failed, Sqlite.readOnly(path))
      assert.deepStrictEqual([reason, detail], ["io", "disk I/O error (SQLITE_IOERR_READ)"])
    }))
})
