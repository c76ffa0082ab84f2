import { assert, describe, it } from "@effect/vitest"
import Database from "better-sqlite3"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import { copyFileSync, statSync } from "node:fs"
import { join } from "node:path"
import * as Sqlite from "../../src/store/Sqlite.js"
import { recordCall } from "../support/recordedCall.js"
import { scratchFolder } from "../support/store.js"

const calls = 60

describe("LogRoom", () => {
  it.scopedLive("most commits find room in the log's file, and none is taken for a frame", () =>
    Effect.gen(function*() {
      const folder = yield* scratchFolder
      const path = join(folder, "store.sqlite")
      const copy = join(folder, "copy.sqlite")
      const sizes: Array<number> = []
      yield* Effect.gen(function*() {
        for (let call = 0; call < calls; call++) {
          yield* recordCall({ path: "/v1/files", response: Buffer.alloc(8_000, `${call} `) })
          sizes.push(statSync(`${path}-wal`).size)
        }
        // As a process that is killed leaves them.
        for (const end of ["", "-wal"]) copyFileSync(path + end, copy + end)
      }).pipe(Effect.provide(Layer.fresh(Sqlite.layer({ path, kind: "test" }))))

      const grew = sizes.filter((size, index) => index > 8 && size > sizes[index - 1]!)
      assert.isBelow(grew.length, calls / 4)
      const database = new Database(copy)
      assert.deepStrictEqual(database.prepare("SELECT count(*) AS spans FROM spans").get(), { spans: calls })
      assert.deepStrictEqual(database.pragma("quick_check"), [{ quick_check: "ok" }])
      database.close()
    }))
})
