import { assert, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import { mkdirSync, readdirSync, readFileSync, symlinkSync, utimesSync, writeFileSync } from "node:fs"
import { join } from "node:path"
import { appendLine, checkAppendable, cutTo, removeLeftovers, replace } from "../../src/runtime/DurableFile.js"
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

it.scoped("leaves nothing beside a file that could not be replaced", () =>
  Effect.gen(function*() {
    const folder = yield* scratchFolder
    mkdirSync(join(folder, "status.json"))
    yield* Effect.flip(replace(join(folder, "status.json"), "{}"))
    assert.deepStrictEqual(readdirSync(folder), ["status.json"])
  }))

it.scopedLive("removes what a kill left of a file of its own, and neither a write under way nor anybody else's file", () =>
  Effect.gen(function*() {
    const folder = yield* scratchFolder
    const long = new Date(Date.now() - 61_000)
    const names = ["status.json.12.0123abcd.tmp", "status.json.12.tmp", "notes.tmp", "store.sqlite.12.0123abcd.tmp"]
    for (const name of names) {
      writeFileSync(join(folder, name), "")
      utimesSync(join(folder, name), long, long)
    }
    writeFileSync(join(folder, "status.json.13.0123abcd.tmp"), "")
    yield* removeLeftovers(folder)
    assert.deepStrictEqual(readdirSync(folder).toSorted(), [
      "notes.tmp",
      "status.json.13.0123abcd.tmp",
      "store.sqlite.12.0123abcd.tmp"
    ])
    yield* removeLeftovers(join(folder, "absent"))
  }))

it.scoped("adds lines of their own, also after one that was cut short", () =>
  Effect.gen(function*() {
    const file = join(yield* scratchFolder, "log.jsonl")
    yield* appendLine(file, "1")
    yield* appendLine(file, "2")
    writeFileSync(file, "{\"cut", { flag: "a" })
    yield* appendLine(file, "3")
    assert.strictEqual(readFileSync(file, "utf8"), "1\n2\n{\"cut\n3\n")
  }))

it.scoped("adds a line through no link, as a folder from somebody else may have one", () =>
  Effect.gen(function*() {
    const folder = yield* scratchFolder
    const [file, other] = [join(folder, "log.jsonl"), join(folder, "other")]
    writeFileSync(other, "precious")
    symlinkSync(other, file)
    for (const change of [appendLine(file, "1"), checkAppendable(file), cutTo(file, 0)]) {
      const { message } = yield* Effect.flip(change)
      assert.strictEqual(message, `${file}: a link stands where a file was expected`)
    }
    assert.strictEqual(readFileSync(other, "utf8"), "precious")
  }))
