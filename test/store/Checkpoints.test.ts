import { assert, describe, it } from "@effect/vitest"
import Database from "better-sqlite3"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import { statSync } from "node:fs"
import { join } from "node:path"
import * as Sqlite from "../../src/store/Sqlite.js"
import { Checkpoints } from "../../src/store/writer/Checkpoints.js"
import { open } from "../../src/store/writer/Database.js"
import { recordCall } from "../support/recordedCall.js"
import { scratchFolder } from "../support/store.js"

const answerBytes = 200_000
const callsPerGroup = 10
const groups = 100

describe("Checkpoints", () => {
  it.scopedLive("keep the log short under a load that never pauses, and lose nothing", () =>
    Effect.gen(function*() {
      const path = join(yield* scratchFolder, "store.sqlite")
      let longest = 0
      yield* Effect.gen(function*() {
        for (let group = 0; group < groups; group++) {
          const calls = Array.from({ length: callsPerGroup }, (_, n) =>
            recordCall({ path: "/v1/files", response: Buffer.alloc(answerBytes, `${group * callsPerGroup + n} `) }))
          yield* Effect.all(calls, { concurrency: "unbounded" })
          longest = Math.max(longest, statSync(`${path}-wal`).size)
        }
      }).pipe(Effect.provide(Layer.fresh(Sqlite.layer({ path, kind: "test" }))))
      // 200 MB went through it.
      assert.isBelow(longest, 100_000_000)
      const database = new Database(path, { readonly: true })
      assert.deepStrictEqual(
        database.prepare("SELECT count(*) AS spans, count(DISTINCT response_sha256) AS bodies FROM spans").get(),
        { spans: groups * callsPerGroup, bodies: groups * callsPerGroup }
      )
      assert.deepStrictEqual(database.pragma("quick_check"), [{ quick_check: "ok" }])
      database.close()
    }))

  it.scopedLive("copy the log at the end while others still write, so that the truncation has nothing to hold them up for", () =>
    Effect.gen(function*() {
      const path = join(yield* scratchFolder, "store.sqlite")
      const db = open(path)
      const other = new Database(path, { timeout: 0 })
      db.connection.exec("CREATE TABLE filler AS SELECT randomblob(2000000) AS content")
      other.exec("BEGIN IMMEDIATE")
      yield* Effect.promise(() => new Checkpoints(db, path).close())
      other.exec("ROLLBACK")
      const [{ checkpointed, log }] = db.connection.pragma("wal_checkpoint(NOOP)") as [
        { readonly checkpointed: number; readonly log: number }
      ]
      assert.isAbove(log, 400)
      assert.strictEqual(checkpointed, log)
      other.close()
      db.connection.close()
    }))
})
