import { assert, describe, it } from "@effect/vitest"
import Sqlite3 from "better-sqlite3"
import * as Effect from "effect/Effect"
import { join } from "node:path"
import * as Sqlite from "../../../src/store/Sqlite.js"
import { Writer } from "../../../src/store/Writer.js"
import { scratchFolder } from "../../support/store.js"

const quota = 2_000_000

/** Null when so many bytes fit, else what is said. */
const missing = (bytes: number) =>
  Effect.flatMap(
    Writer,
    (writer) =>
      Effect.async<string | null>((resume) =>
        void writer.submit("findRoom", { processId: "p", bytes }, {
          nowMs: 0,
          done: (failure) => resume(Effect.succeed(failure === null ? null : failure.message))
        })
      )
  )

describe("room in a store", () => {
  it.scopedLive("is what its quota leaves beside what it holds, not what was deleted, and what the disk has", () =>
    Effect.gen(function*() {
      const path = join(yield* scratchFolder, "store.sqlite")
      const within = (bytesMax: number | null, test: Effect.Effect<void, never, Writer>) =>
        Effect.provide(test, Sqlite.layer({ path, kind: "test", bytesMax }))
      const other = (sql: string) => {
        const database = new Sqlite3(path)
        database.exec(sql)
        database.close()
      }
      yield* within(
        quota,
        Effect.gen(function*() {
          assert.isNull(yield* missing(quota / 2))
          assert.match(
            String(yield* missing(quota)),
            /the largest size of the store leaves 1\d{6} bytes, 2000000 are needed/
          )
          other("CREATE TABLE filler AS SELECT zeroblob(1200000) AS bytes")
          assert.match(
            String(yield* missing(quota / 2)),
            /the largest size of the store leaves [1-7]\d{5} bytes, 1000000 are needed/
          )
          other("DROP TABLE filler")
          assert.isNull(yield* missing(quota / 2))
        })
      )
      yield* within(
        null,
        Effect.gen(function*() {
          assert.isNull(yield* missing(quota))
          assert.match(String(yield* missing(2 ** 60)), /the disk has \d+ bytes free, \d+ are needed/)
        })
      )
    }))
})
