import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import { syncBuiltinESMExports } from "node:module"
import { join } from "node:path"
import threads from "node:worker_threads"
import * as Sqlite from "../../src/store/Sqlite.js"
import { Checkpoints } from "../../src/store/writer/Checkpoints.js"
import { open } from "../../src/store/writer/Database.js"
import { loadAhead } from "../../src/store/WriterThread.js"
import { scratchFolder } from "../support/store.js"

const put = (Worker: typeof threads.Worker) => {
  threads.Worker = Worker
  syncBuiltinESMExports()
}

const noWorker = function() {
  throw new Error("EAGAIN")
}

/** Until the scope ends. */
const noThread = Effect.acquireRelease(
  Effect.sync(() => {
    const { Worker } = threads
    put(noWorker as unknown as typeof Worker)
    return Worker
  }),
  (Worker) => Effect.sync(() => put(Worker))
)

describe("A system that has no thread to give", () => {
  it.scopedLive("is what the store says, also to a command that wanted its thread ahead", () =>
    Effect.gen(function*() {
      yield* noThread
      loadAhead()
      const path = join(yield* scratchFolder, "store.sqlite")
      const { message } = yield* Effect.flip(Effect.scoped(Layer.build(Sqlite.layer({ path, kind: "test" }))))
      assert.include(message, "the writer thread could not be started: EAGAIN")
    }))

  it.scopedLive("does without the thread that copies the log", () =>
    Effect.gen(function*() {
      yield* noThread
      const path = join(yield* scratchFolder, "store.sqlite")
      const db = open(path)
      const checkpoints = new Checkpoints(db, path)
      db.connection.exec("CREATE TABLE filler AS SELECT randomblob(8000000) AS content")
      for (let n = 0; n < 2; n++) checkpoints.afterCommit(8_000_000)
      yield* Effect.promise(() => checkpoints.close())
      const [{ checkpointed, log }] = db.connection.pragma("wal_checkpoint(NOOP)") as [
        { readonly checkpointed: number; readonly log: number }
      ]
      assert.isAbove(log, 1_500)
      assert.strictEqual(checkpointed, log)
      db.connection.close()
    }))
})
