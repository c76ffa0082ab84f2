import { assert, describe, it } from "@effect/vitest"
import Database from "better-sqlite3"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import { spawn } from "node:child_process"
import { once } from "node:events"
import { readFileSync } from "node:fs"
import { hostname } from "node:os"
import { join } from "node:path"
import * as Sqlite from "../../src/store/Sqlite.js"
import { scratchFolder } from "../support/store.js"
import { eventually } from "../support/upstream.js"

const open = (path: string) =>
  Effect.scoped(Effect.flatMap(
    Layer.build(Sqlite.layer({ path, kind: "test" })),
    (context) => Effect.provide(Sqlite.StoreProcess, context)
  ))

/** A process's entry with one call under way, as it stands after its process died, or while it lives. */
const leave = (
  path: string,
  process: { id: string; host: string; pid: number; started: string | null; ageMs: number; callAgeMs?: number }
) => {
  const store = new Database(path)
  const { ageMs, callAgeMs = ageMs, host, id, pid, started } = process
  const at = Date.now() - ageMs
  store.prepare(
    "INSERT INTO processes (id, host, pid, pid_started, kind, started_at_ms, heartbeat_at_ms) VALUES (?, ?, ?, ?, 'proxy', ?, ?)"
  ).run(id, host, pid, started, at, at)
  store.prepare(
    `INSERT INTO spans (span_id, trace_id, rollout_id, attempt_id, sequence_id, process_id, name, kind, state, method, path,
                        attributes, events, start_time_us)
     VALUES (?, 't', 'r', ?, 1, ?, 'x', 'http', 'open', 'POST', '/v1/x', '{}', '[]', ?)`
  ).run(id, `${id}:attempt-1`, id, (Date.now() - callAgeMs) * 1000)
  store.close()
}

const stateOf = (path: string, id: string) => {
  const store = new Database(path, { readonly: true })
  const span = store.prepare("SELECT state FROM spans WHERE span_id = ?").get(id) as { state: string }
  store.close()
  return span.state
}

const minute = 60_000

describe("What dead processes leave open", () => {
  it.scopedLive("is settled though nobody has asked yet how they died", () =>
    Effect.gen(function*() {
      const path = join(yield* scratchFolder, "store.sqlite")
      yield* open(path)
      // The shell's child ends after a program that never asks for it has taken the shell's place.
      const parent = yield* Effect.acquireRelease(
        Effect.sync(() => spawn("/bin/sh", ["-c", "sleep 0.5 & echo $!; exec sleep 60"])),
        (child) => Effect.sync(() => child.kill("SIGKILL"))
      )
      const [line] = yield* Effect.promise(() => once(parent.stdout, "data") as Promise<[Buffer]>)
      const pid = Number(line.toString())
      yield* eventually(
        "a dead child that nobody has asked for",
        Effect.sync(() => / Z /.test(readFileSync(`/proc/${pid}/stat`, "utf8")) ? true : undefined)
      )
      leave(path, { id: "unasked", host: hostname(), pid, started: null, ageMs: 0 })
      assert.strictEqual((yield* open(path)).unknownCalls, 1)
    }))

  it.scopedLive("is settled at the next start, and what living ones have under way is left alone", () =>
    Effect.gen(function*() {
      const path = join(yield* scratchFolder, "store.sqlite")
      yield* open(path)
      const here = hostname()
      const gone = 2 ** 22 - 1
      leave(path, { id: "dead", host: here, pid: gone, started: null, ageMs: 0 })
      leave(path, { id: "reused-pid", host: here, pid: process.pid, started: "1", ageMs: 0 })
      leave(path, { id: "quiet", host: here, pid: process.ppid, started: null, ageMs: 10 * minute })
      leave(path, { id: "elsewhere", host: "another-host", pid: 1, started: "1", ageMs: 0 })
      leave(path, { id: "elsewhere-silent", host: "another-host", pid: 1, started: "1", ageMs: 2 * minute })
      assert.strictEqual((yield* open(path)).unknownCalls, 3)
      assert.deepStrictEqual(
        ["dead", "reused-pid", "quiet", "elsewhere", "elsewhere-silent"].map((id) => stateOf(path, id)),
        ["unknown_after_crash", "unknown_after_crash", "open", "open", "unknown_after_crash"]
      )
    }))

  it.scopedLive("lasted until its process was last heard of, not until somebody came to settle it", () =>
    Effect.gen(function*() {
      const path = join(yield* scratchFolder, "store.sqlite")
      yield* open(path)
      const dead = { host: hostname(), pid: 2 ** 22 - 1, started: null, ageMs: 10 * minute }
      leave(path, { ...dead, id: "long", callAgeMs: 11 * minute })
      leave(path, { ...dead, id: "after-the-last-heartbeat", callAgeMs: 9 * minute })
      yield* open(path)
      const store = new Database(path, { readonly: true })
      const lasted = store.prepare(
        `SELECT span_id AS id, round((end_time_us - start_time_us) / 1e6) AS seconds FROM spans ORDER BY start_time_us`
      ).all()
      store.close()
      assert.deepStrictEqual(lasted, [
        { id: "long", seconds: 60 },
        { id: "after-the-last-heartbeat", seconds: 0 }
      ])
    }))
})
