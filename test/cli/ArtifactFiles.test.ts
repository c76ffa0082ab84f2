import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import { execFile, execFileSync, spawnSync } from "node:child_process"
import {
  linkSync,
  lstatSync,
  readdirSync,
  readFileSync,
  statSync,
  symlinkSync,
  utimesSync,
  writeFileSync
} from "node:fs"
import { join } from "node:path"
import { promisify } from "node:util"
import { writeArtifact, writeText } from "../../src/cli/ArtifactFiles.js"
import { scratchFolder } from "../support/store.js"

describe("a file that a command makes", () => {
  it.scoped("takes the old one's place as a whole, with what killed writers of it left", () =>
    Effect.gen(function*() {
      const folder = yield* scratchFolder
      const { pid: dead } = spawnSync(process.execPath, ["--version"])
      const file = join(folder, "search.svg")
      writeFileSync(file, "before")
      linkSync(file, join(folder, "old"))
      // By this process, and by one before that had its pid.
      const [young, old, foreign] = [
        `search.svg.${process.pid}.0123abcd.tmp`,
        `search.svg.${process.pid}.4567abcd.tmp`,
        `search.svg.x.svg.${dead}.0123abcd.tmp`
      ]
      for (const left of [young, old, foreign, `search.svg.${dead}.0123abcd.tmp`]) {
        writeFileSync(join(folder, left), "<svg")
      }
      const longAgo = new Date(performance.timeOrigin - 1_000)
      utimesSync(join(folder, old), longAgo, longAgo)
      yield* writeText(file, "after", 0o666)
      assert.strictEqual(readFileSync(join(folder, "old"), "utf8"), "before")
      assert.strictEqual(readFileSync(file, "utf8"), "after")
      assert.strictEqual(statSync(file).mode & 0o600, 0o600)
      assert.deepStrictEqual(readdirSync(folder).toSorted(), ["old", "search.svg", young, foreign].toSorted())
    }))

  it.scopedLive("takes the place of a link, not of what it leads to, and is written into a pipe", () =>
    Effect.gen(function*() {
      const folder = yield* scratchFolder
      const [link, target, pipe] = [join(folder, "link"), join(folder, "target"), join(folder, "pipe")]
      writeFileSync(target, "before")
      symlinkSync(target, link)
      yield* writeArtifact(link, 1)
      assert.isTrue(lstatSync(link).isFile())
      assert.deepStrictEqual([link, target].map((file) => readFileSync(file, "utf8")), ["1\n", "before"])
      execFileSync("mkfifo", [pipe])
      const read = promisify(execFile)("cat", [pipe], { timeout: 20_000 })
      yield* writeArtifact(pipe, 2)
      assert.strictEqual((yield* Effect.promise(() => read)).stdout, "2\n")
      assert.isTrue(lstatSync(pipe).isFIFO())
    }))
})
