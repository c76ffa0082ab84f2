import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import { appendFileSync, readFileSync, writeFileSync } from "node:fs"
import { join } from "node:path"
import { follow, lastIn, type Line } from "../../src/runtime/JsonLines.js"
import { lock } from "../../src/store/OwnerLock.js"
import { scratchFolder } from "../support/store.js"

const lineOf = (n: number): Line => ({ n, text: JSON.stringify({ schema_version: 1, n, code: `row ${n}` }) })

/** A store of `count` rows. */
const rowsTo = (count: number) => (n: number, limit: number) =>
  Effect.succeed(
    Array.from({ length: Math.min(limit, Math.max(0, count - n)) }, (_, index) => lineOf(n + index + 1))
  )

const linesIn = (file: string) => readFileSync(file, "utf8").split("\n")
const whole = (count: number) => [...Array.from({ length: count }, (_, index) => lineOf(index + 1).text), ""]

describe("a JSONL file that follows rows", () => {
  it.scopedLive("gets each row once, whatever was left out before, also more than one page of them", () =>
    Effect.gen(function*() {
      const file = join(yield* scratchFolder, "new", "events.jsonl")
      assert.strictEqual(yield* follow(file, rowsTo(2)), 2)
      assert.strictEqual(yield* follow(file, rowsTo(2)), 2)
      assert.strictEqual(yield* follow(file, rowsTo(1_203)), 1_203)
      assert.deepStrictEqual(linesIn(file), whole(1_203))
    }))

  it.scopedLive("gets each row once from writers that come at the same time", () =>
    Effect.gen(function*() {
      const file = join(yield* scratchFolder, "events.jsonl")
      let rows = 0
      const grows = (count: number) => {
        rows = Math.max(rows, count)
        return follow(file, (n, limit) => rowsTo(rows)(n, limit))
      }
      yield* Effect.forEach([5, 9, 20, 3, 12], grows, { concurrency: "unbounded" })
      assert.deepStrictEqual(linesIn(file), whole(20))
    }))

  it.scopedLive("mends the line that a power cut tore, at every place it can be torn", () =>
    Effect.gen(function*() {
      const file = join(yield* scratchFolder, "events.jsonl")
      const { text } = lineOf(2)
      for (const length of [1, 10, text.length - 1, text.length]) {
        writeFileSync(file, `${lineOf(1).text}\n${text.slice(0, length)}`)
        yield* follow(file, rowsTo(3))
        assert.deepStrictEqual(linesIn(file), whole(3), `torn after ${length} characters`)
      }
      // What is appended since is not torn, though every line begins like it.
      writeFileSync(file, `${lineOf(1).text}\n${text.slice(0, 10)}`)
      yield* follow(file, rowsTo(1_203))
      assert.deepStrictEqual(linesIn(file), whole(1_203))
    }))

  it.scopedLive("keeps what somebody else wrote, and goes on below it", () =>
    Effect.gen(function*() {
      const file = join(yield* scratchFolder, "events.jsonl")
      writeFileSync(file, `${lineOf(1).text}\nnot ours`)
      yield* follow(file, rowsTo(2))
      assert.deepStrictEqual(linesIn(file), [lineOf(1).text, "not ours", lineOf(2).text, ""])
      const foreign = ["{\"n\":1}", "{\"n\":2.5}", "{\"n\":\"3\"}", "null"]
      appendFileSync(file, `${foreign.join("\n")}\n`)
      assert.strictEqual(yield* lastIn(file), 2)
      yield* follow(file, rowsTo(3))
      assert.deepStrictEqual(linesIn(file), [
        lineOf(1).text,
        "not ours",
        lineOf(2).text,
        ...foreign,
        lineOf(3).text,
        ""
      ])
    }))

  it.scopedLive("is left as it is when it shows what the store does not have: it would miss rows unseen", () =>
    Effect.gen(function*() {
      const file = join(yield* scratchFolder, "events.jsonl")
      yield* follow(file, rowsTo(4))
      const behind = yield* Effect.flip(follow(file, rowsTo(2)))
      assert.match(
        behind.message,
        /events\.jsonl: it shows a row 4 that the store does not have: .* another store in this folder/
      )
      const other = (n: number, limit: number) =>
        Effect.map(rowsTo(6)(n, limit), (lines) => lines.map((line) => ({ ...line, mark: `other ${line.n}` })))
      assert.match((yield* Effect.flip(follow(file, other))).message, /a row 4/)
      assert.deepStrictEqual(linesIn(file), whole(4))
    }))

  it.scopedLive("gives up in bounded time on a file that another process keeps locked", () =>
    Effect.gen(function*() {
      const file = join(yield* scratchFolder, "events.jsonl")
      yield* lock(`${file}.lock`, "test")
      const error = yield* Effect.flip(follow(file, rowsTo(1)))
      assert.include(error.message, "another process keeps it locked")
    }))
})
