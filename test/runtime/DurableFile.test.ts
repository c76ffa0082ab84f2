import { assert, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import { writeFileSync } from "node:fs"
import { join } from "node:path"
import { appendLine, replace } from "../../src/runtime/DurableFile.js"
import { scratchFolder } from "../support/store.js"

it.scoped("says that a file stands where the folder of a file to be written was expected", () =>
  Effect.gen(function*() {
    const folder = yield* scratchFolder
    writeFileSync(join(folder, "file"), "")
    for (const write of [replace, appendLine]) {
      for (const file of [join(folder, "file", "report.json"), join(folder, "file", "below", "report.json")]) {
        const error = yield* Effect.flip(write(file, "{}"))
        assert.strictEqual(error.message, `${file}: a file stands where a folder was expected`)
      }
    }
  }))
