import { assert, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import { copyFileSync, symlinkSync, writeFileSync } from "node:fs"
import { join } from "node:path"
import * as ReadOnlyStore from "../../src/store/ReadOnlyStore.js"
import { ResourceReader } from "../../src/store/ResourceReader.js"
import { ResourceStore } from "../../src/store/ResourceStore.js"
import { scratchFolder, storeAt } from "../support/store.js"

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

it.scopedLive("reads all of a store that can only be copied, its log too, over a link as well", () =>
  Effect.gen(function*() {
    const [folder, sealed] = [yield* scratchFolder, yield* scratchFolder]
    const [written, path, link] = [join(folder, "store.sqlite"), join(sealed, "store.sqlite"), join(folder, "link")]
    yield* Effect.gen(function*() {
      yield* (yield* ResourceStore).publish({ system_prompt: "Add." }, "test")
      for (const end of ["", "-wal"]) copyFileSync(written + end, path + end)
    }).pipe(Effect.provide(storeAt(written)))
    // Here SQLite can make no file of its own, as on a file system that is mounted read-only.
    symlinkSync(`${path}-shm`, `${path}-shm`)
    symlinkSync(path, link)
    const latest = Effect.flatMap(ResourceReader, ({ latest }) => latest).pipe(
      Effect.provide(Layer.provide(ResourceReader.layer, ReadOnlyStore.layer(link)))
    )
    assert.deepInclude(yield* Effect.flatten(latest), { version: 1, resources: { system_prompt: "Add." } })
  }))
