import { assert, describe, it } from "@effect/vitest"
import Database from "better-sqlite3"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import { statSync } from "node:fs"
import { join } from "node:path"
import * as Sqlite from "../../src/store/Sqlite.js"
import { Writer } from "../../src/store/Writer.js"
import { scratchFolder } from "../support/store.js"

const answerBytes = 200_000
const callsPerGroup = 10
const groups = 100

const close = (writer: Writer["Type"], n: number) =>
  Effect.async<void, string>((resume) => {
    const id = String(n).padStart(16, "0")
    const now = Date.now()
    writer.submit("closeSpan", {
      spanId: id,
      traceId: id,
      parentId: null,
      rolloutId: "r",
      attemptId: "r:attempt-1",
      clientSequenceId: null,
      processId: "p",
      method: "POST",
      path: "/v1/files",
      startTimeUs: now * 1000,
      state: "done",
      endTimeUs: now * 1000,
      statusCode: 200,
      errorCode: null,
      errorMessage: null,
      upstreamUrl: "http://127.0.0.1",
      firstByteUs: null,
      chunks: 1,
      requestBytes: 0,
      responseBytes: answerBytes,
      requestTruncated: false,
      responseTruncated: false,
      requestContentEncoding: null,
      responseContentType: "application/octet-stream",
      responseContentEncoding: null,
      isFirst: true,
      wasOpened: false,
      caller: null
    }, {
      nowMs: now,
      bodies: [new Uint8Array(0), Buffer.alloc(answerBytes, id)],
      done: (failure) => resume(failure === null ? Effect.void : Effect.fail(failure.message))
    })
  })

describe("Checkpoints", () => {
  it.scopedLive("keep the log short under a load that never pauses, and lose nothing", () =>
    Effect.gen(function*() {
      const path = join(yield* scratchFolder, "store.sqlite")
      let longest = 0
      yield* Effect.gen(function*() {
        const writer = yield* Writer
        for (let group = 0; group < groups; group++) {
          const calls = Array.from({ length: callsPerGroup }, (_, n) => close(writer, group * callsPerGroup + n))
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
