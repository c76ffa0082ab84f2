import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import { spawnSync } from "node:child_process"
import {
  closeSync,
  constants,
  openSync,
  readdirSync,
  readFileSync,
  readSync,
  rmSync,
  symlinkSync,
  writeFileSync
} from "node:fs"
import { join } from "node:path"
import { AttributionLog, noteForLog, takeNoted } from "../../src/store/writer/AttributionLog.js"
import type { FinishedSpan } from "../../src/store/writer/spans.js"
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
  it.scoped("writes through no link, as a folder from somebody else may have one", () =>
    Effect.gen(function*() {
      const folder = yield* scratchFolder
      const [path, other] = [join(folder, "log.jsonl"), join(folder, "other")]
      writeFileSync(other, "precious")
      symlinkSync(other, path)
      const log = new AttributionLog(path)
      log.append(["{}"])
      assert.strictEqual(log.state.lost, 1)
      assert.strictEqual(log.state.failure, `${path}: a link stands where a file was expected`)
      assert.strictEqual(readFileSync(other, "utf8"), "precious")
    }))

  it.scoped("has whole lines again once there is room, and counts those that it lost", () =>
    Effect.gen(function*() {
      const { close, path, read } = pipeIn(yield* scratchFolder)
      const log = new AttributionLog(path)
      log.append([`{"a":"${"x".repeat(1024 * 1024)}"}`])
      assert.strictEqual(log.state.lost, 1)
      assert.strictEqual(log.state.failure, `${path}: there is no room for all of a line`)
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

  it("tells of a call what there is to tell, whatever its texts hold", () => {
    const odd = "a\"b\\c\n\u0000\u2028é日\ud800"
    const call = {
      endTimeUs: 1_795_661_447_560_821,
      startTimeUs: 1_795_661_447_060_321,
      method: "POST",
      path: `/v1/${odd}`,
      upstreamUrl: "http://127.0.0.1:1/v1",
      rolloutId: odd,
      attemptId: "r:attempt-1",
      clientSequenceId: null,
      traceId: odd,
      requestBytes: 7,
      responseBytes: 0,
      statusCode: null,
      errorCode: null,
      errorMessage: null
    }
    const line = {
      schema_version: 1,
      timestamp_unix_ms: 1_795_661_447_560,
      method: "POST",
      path: `/v1/${odd}`,
      upstream_url: "http://127.0.0.1:1/v1",
      rollout_id: odd,
      attempt_id: "r:attempt-1",
      sequence_id: null,
      trace_id: odd,
      request_bytes: 7,
      response_bytes: 0,
      duration_ms: 501
    }
    const linesOf = (more: object) => {
      noteForLog({ ...call, ...more } as unknown as FinishedSpan)
      return takeNoted()
    }
    assert.deepStrictEqual(linesOf({}), [JSON.stringify(line)])
    assert.deepStrictEqual(
      linesOf({ clientSequenceId: 3, statusCode: 200, replayOf: odd, errorCode: "upstream_cut", errorMessage: odd }),
      [JSON.stringify({
        ...line,
        sequence_id: 3,
        status_code: 200,
        replay_of: odd,
        error_code: "upstream_cut",
        error_message: odd
      })]
    )
  })
})
