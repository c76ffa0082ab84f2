import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import { spawnSync } from "node:child_process"
import { closeSync, constants, openSync, readdirSync, readFileSync, readSync, rmSync, writeFileSync } from "node:fs"
import { join } from "node:path"
import { AttributionLog } from "../../src/store/writer/AttributionLog.js"
import { scratchFolder } from "../support/store.js"

/** A pipe that takes so many bytes and no more until it is read, as a disk does until there is room again. */
const pipeIn = (folder: string) => {
  const path = join(folder, "log.jsonl")
  assert.strictEqual(spawnSync("mkfifo", [path]).status, 0)
  const reader = openSync(path, constants.O_RDONLY | constants.O_NONBLOCK)
  const buffer = Buffer.alloc(1024 * 1024)
  const read = () => {
    let text = ""
    try {
      for (let bytes = 1; bytes > 0;) text += buffer.toString("latin1", 0, bytes = readSync(reader, buffer))
    } catch {
      // It has no more.
    }
    return text
  }
  return { path, read, close: () => closeSync(reader) }
}

describe("AttributionLog", () => {
  it.scoped("has whole lines again once there is room, and counts those that it lost", () =>
    Effect.gen(function*() {
      const { close, path, read } = pipeIn(yield* scratchFolder)
      const log = new AttributionLog(path)
      log.append([`{"a":"${"x".repeat(1024 * 1024)}"}`])
      assert.strictEqual(log.state.lost, 1)
      assert.isNotNull(log.state.failure)
      assert.match(read(), /^{"a":"x+$/)
      log.append(["{\"b\":1}", "{\"c\":2}"])
      assert.strictEqual(read(), "\n{\"b\":1}\n{\"c\":2}\n")
      assert.deepStrictEqual({ ...log.state }, { lost: 1, failure: null })
      close()
    }))

  it.scoped("begins a line of its own in the file that is there, whoever has left it and however", () =>
    Effect.gen(function*() {
      const folder = yield* scratchFolder
      const { close, path } = pipeIn(folder)
      const log = new AttributionLog(path)
      // Cut, and then with no room for anything.
      for (let n = 0; n < 2; n++) log.append(["x".repeat(1024 * 1024)])
      close()
      for (
        const [left, expected] of [["", "{}\n"], ["{\"a\":1}\n", "{\"a\":1}\n{}\n"], [
          "{\"a\"",
          "{\"a\"\n{}\n"
        ]] as const
      ) {
        rmSync(path)
        writeFileSync(path, left)
        const one = left === "" ? log : new AttributionLog(path)
        one.append(["{}"])
        assert.strictEqual(readFileSync(path, "utf8"), expected)
      }
    }))

  it.scoped("leaves no file open for a line that it could not write", () =>
    Effect.gen(function*() {
      const { close, path } = pipeIn(yield* scratchFolder)
      const log = new AttributionLog(path)
      log.append(["x".repeat(1024 * 1024)])
      const before = readdirSync("/dev/fd").length
      for (let n = 0; n < 20; n++) log.append(["{}"])
      assert.isAtMost(readdirSync("/dev/fd").length, before)
      assert.strictEqual(log.state.lost, 21)
      close()
    }))
})
