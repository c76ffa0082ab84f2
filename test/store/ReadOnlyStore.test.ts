import { assert, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import { symlinkSync, writeFileSync } from "node:fs"
import { join } from "node:path"
import * as ReadOnlyStore from "../../src/store/ReadOnlyStore.js"
import { scratchFolder } from "../support/store.js"

it.scoped("finds no store below a file, behind links in a circle, or by a name that is too long", () =>
  Effect.gen(function*() {
    const folder = yield* scratchFolder
    writeFileSync(join(folder, "file"), "")
    symlinkSync("circle", join(folder, "circle"))
    for (const name of ["file/store.sqlite", "circle", "circle/store.sqlite", "n".repeat(300)]) {
      const path = join(folder, name)
      const error = yield* Effect.flip(Layer.build(ReadOnlyStore.layer(path)))
      assert.strictEqual(error.message, `opening the store failed: there is no store at ${path}`)
    }
  }))
