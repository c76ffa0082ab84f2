import { assert, describe, it } from "@effect/vitest"
import Database from "better-sqlite3"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import { statSync } from "node:fs"
import { join } from "node:path"
import * as Sqlite from "../../src/store/Sqlite.js"
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
})
