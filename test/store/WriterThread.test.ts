import { assert, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import { join } from "node:path"
import { Worker } from "node:worker_threads"
import { vi } from "vitest"
import { Writer } from "../../src/store/Writer.js"
import { scratchFolder } from "../support/store.js"

vi.mock("../../src/store/WriterThread.js", () => ({
  writerThread: () => new Worker("process.exit(3)", { eval: true })
}))

it.scopedLive("A store whose writer thread ends without a word is told of, not waited for", () =>
  Effect.gen(function*() {
    const path = join(yield* scratchFolder, "store.sqlite")
    const opening = Effect.provide(
      Writer,
      Writer.layer({ path, attributionLogPath: null, bytesMax: null, recording: null })
    )
    const error = yield* Effect.flip(Effect.timeout(opening, "10 seconds"))
    assert.strictEqual(error.message, "opening the store failed: the writer thread ended (exit code 3)")
  }))
