import { assert, describe, it, vi } from "@effect/vitest"
import Database from "better-sqlite3"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as TestClock from "effect/TestClock"
import { execFileSync } from "node:child_process"
import { randomBytes } from "node:crypto"
import {
  chownSync,
  existsSync,
  mkdirSync,
  readFileSync,
  rmSync,
  statSync,
  symlinkSync,
  utimesSync,
  writeFileSync
} from "node:fs"
import { hostname } from "node:os"
import { dirname, join } from "node:path"
import { defaultRules } from "../../src/openai/Redaction.js"
import { BegunCalls } from "../../src/store/BegunCalls.js"
import * as Sqlite from "../../src/store/Sqlite.js"
import { StoreProcess } from "../../src/store/Sqlite.js"
import { begunFilesFor, placeBytes } from "../../src/store/writer/begunNotes.js"
import type { SpanIntent } from "../../src/store/writer/spans.js"
import { rowsOf, scratchFolder } from "../support/store.js"
import { eventually } from "../support/upstream.js"

/** No process has a pid this high. */
const dead = `${hostname()}/99999999/${randomBytes(4).toString("hex")}`

/** The name of the file in memory is longer by eight characters: with this id it is too long, and no other name is. */
const besideId = `${dead}${"n".repeat(232 - encodeURIComponent(dead).length)}`

/** When it was last heard of: half a minute after its calls began. */
const heartbeatMs = 1_700_000_030_000

/** Of a process that has noted calls. */
const begunFileOf = (path: string, id: string): string => begunFilesFor(path, id).find((file) => existsSync(file)) ?? ""

const call = (spanId: string, more: Partial<SpanIntent> = {}): SpanIntent => ({
  spanId,
  traceId: "t1",
  parentId: null,
  rolloutId: "r1",
  attemptId: "r1:attempt-1",
  clientSequenceId: null,
  processId: dead,
  method: "POST",
  path: "/v1/chat/completions?key=hidden",
  startTimeUs: 1_700_000_000_000_000,
  caller: null,
  ...more
})

/** A store whose process died over these notes, opened again: how many calls that found, their rows, and what is left. */
const afterDeath = (write: (notes: BegunCalls, path: string) => void, rules = defaultRules, id = dead) =>
  Effect.gen(function*() {
    const path = join(yield* scratchFolder, "store.sqlite")
    const opened = Effect.provide(
      Effect.map(StoreProcess, ({ unknownCalls }) => unknownCalls),
      Sqlite.layer({ path, kind: "test" })
    )
    yield* opened
    const store = new Database(path)
    store.prepare(
      "INSERT INTO processes (id, host, pid, kind, started_at_ms, heartbeat_at_ms) VALUES (?, ?, 99999999, 'proxy', 1, ?)"
    ).run(id, hostname(), heartbeatMs)
    store.close()
    write(new BegunCalls(path, id, rules), path)
    const count = yield* opened
    // Nothing is left that a second start could find.
    assert.strictEqual(yield* opened, 0)
    const rows = rowsOf<Record<string, unknown>>(
      path,
      `SELECT span_id, state, kind, method, path, rollout_id, attempt_id, sequence_id, start_time_us FROM spans ORDER BY span_id`
    )
    return { count, rows, left: begunFileOf(path, id) }
  })

const row = (spanId: string, more: object = {}) => ({
  span_id: spanId,
  state: "unknown_after_crash",
  kind: "llm",
  method: "POST",
  path: "/v1/chat/completions",
  rollout_id: "r1",
  attempt_id: "r1:attempt-1",
  sequence_id: 1,
  start_time_us: 1_700_000_000_000_000,
  ...more
})

describe("Notes of calls that have begun", () => {
  it.scopedLive("give the calls of a process that was killed a row, those that ended none", () =>
    Effect.gen(function*() {
      const { count, left, rows } = yield* afterDeath((notes, path) => {
        const first = notes.begin(call("aa"))
        notes.begin(call("bb", { clientSequenceId: 7 }))
        notes.end(first)
        notes.begin(call("cc", { method: "GET", path: "/v1/models", startTimeUs: 1_700_000_000_000_001 }))
        // Its intent could not be committed then, and it is under way still.
        notes.begin(call("dd", { startTimeUs: (heartbeatMs - 3_600_000) * 1_000 }))
        const file = begunFileOf(path, dead)
        assert.strictEqual(statSync(file).mode & 0o777, 0o600)
        // A place is used again.
        assert.isBelow(statSync(file).size, 3 * placeBytes)
      })
      assert.strictEqual(count, 3)
      assert.strictEqual(left, "")
      assert.deepStrictEqual(rows, [
        row("bb", { sequence_id: 7 }),
        row("cc", {
          method: "GET",
          path: "/v1/models",
          kind: "http",
          sequence_id: 8,
          start_time_us: 1_700_000_000_000_001
        }),
        row("dd", { start_time_us: (heartbeatMs - 3_600_000) * 1_000 })
      ])
    }))

  it.scopedLive("number the calls of an attempt as they began, whatever places their notes had", () =>
    Effect.gen(function*() {
      const { rows } = yield* afterDeath((notes) => {
        const first = notes.begin(call("aa"))
        notes.begin(call("bb", { startTimeUs: 1_700_000_001_000_000 }))
        notes.end(first)
        notes.begin(call("cc", { startTimeUs: 1_700_000_002_000_000 }))
      })
      assert.deepStrictEqual(rows.map(({ sequence_id: n, span_id: id }) => [id, n]), [["bb", 1], ["cc", 2]])
    }))

  it.scoped("are gone some seconds after the end of a call, whose row may be deleted", () =>
    Effect.gen(function*() {
      const path = join(yield* scratchFolder, "store.sqlite")
      const { begun, id } = yield* Effect.map(
        Layer.build(Sqlite.layer({ path, kind: "test" })),
        Context.get(StoreProcess)
      )
      const places = ["aa", "bb", "cc"].map((spanId) => begun.begin(call(spanId)))
      places.slice(1).forEach((place) => begun.end(place))
      const beginnings = () => {
        const bytes = readFileSync(begunFileOf(path, id))
        return places.map((place) => String.fromCharCode(bytes[place * placeBytes]!)).join("")
      }
      assert.strictEqual(beginnings(), "abc")
      yield* TestClock.adjust("10 seconds")
      assert.strictEqual(beginnings(), "a\n\n")
      begun.begin(call("dd"))
      assert.strictEqual(beginnings(), "a\nd")
      // No two calls share a place.
      for (const spanId of ["ee", "ff"]) begun.begin(call(spanId))
      assert.strictEqual(beginnings(), "aed")
    }))

  it.scopedLive("stay where their process lives, or is not known yet, whoever else opens the store", () =>
    Effect.gen(function*() {
      const path = join(yield* scratchFolder, "store.sqlite")
      const { begun, id } = yield* Effect.map(
        Layer.build(Sqlite.layer({ path, kind: "test" })),
        Context.get(StoreProcess)
      )
      begun.begin(call("aa", { processId: id }))
      new BegunCalls(path, dead, defaultRules).begin(call("bb"))
      const files = [id, dead].map((one) => begunFileOf(path, one))
      yield* Effect.addFinalizer(() => Effect.sync(() => files.forEach((file) => rmSync(file, { force: true }))))
      yield* Effect.provide(StoreProcess, Sqlite.layer({ path, kind: "test" }))
      assert.deepStrictEqual(files.map((file) => existsSync(file)), [true, true])
    }))

  it.scopedLive("are found where the store was moved after the death", () =>
    Effect.gen(function*() {
      const elsewhere = join(yield* scratchFolder, "store.sqlite")
      yield* Effect.addFinalizer(() => Effect.sync(() => rmSync(begunFileOf(elsewhere, dead))))
      const { rows } = yield* afterDeath(() => void new BegunCalls(elsewhere, dead, defaultRules).begin(call("aa")))
      assert.deepStrictEqual(rows, [row("aa")])
      // Of the store that is still there, say, and this one a copy.
      assert.isTrue(existsSync(begunFileOf(elsewhere, dead)))
    }))

  it.scopedLive("hold nothing that may be a secret, and no query", () =>
    Effect.gen(function*() {
      const key = `sk-proj-${"a1B2".repeat(12)}`
      const { rows } = yield* afterDeath((notes, path) => {
        notes.begin(call("aa", { rolloutId: key }))
        notes.begin(call("bb", { path: `/v1/${key}` }))
        notes.begin(call("cc", { path: `/v1/%73k-proj-${"a1B2".repeat(12)}` }))
        notes.begin(call("dd", { attemptId: "the client's own", secrets: ["client's own"] }))
        notes.begin(call("ee", { traceId: key }))
        const text = readFileSync(begunFileOf(path, dead), "latin1")
        for (const secret of ["sk-proj", "client's own", "hidden", "%73"]) assert.notInclude(text, secret)
      })
      assert.deepStrictEqual(rows.map(({ attempt_id: id, path, rollout_id: rollout }) => [rollout, id, path]), [
        ["[REDACTED]", "r1:attempt-1", "/v1/chat/completions"],
        ["r1", "r1:attempt-1", "/v1/[REDACTED]"],
        ["r1", "r1:attempt-1", "/[REDACTED]"],
        ["r1", "the [REDACTED]", "/v1/chat/completions"],
        ["r1", "r1:attempt-1", "/v1/chat/completions"]
      ])
    }))

  it.scopedLive("say whose a call was where its names only resemble a secret, have escapes or are long", () =>
    Effect.gen(function*() {
      const long = "x".repeat(200)
      const { rows } = yield* afterDeath((notes) => {
        notes.begin(call("aa", { rolloutId: "task-12", attemptId: "task-12:1" }))
        notes.begin(call("bb", { path: "/v1/my%20model/chat/completions" }))
        notes.begin(call("cc", { path: `/${"long/".repeat(1_000)}` }))
        notes.begin(call("dd", { traceId: long, rolloutId: long, attemptId: long, parentId: "p".repeat(16) }))
        notes.begin(call("ee", { attemptId: "日".repeat(400) }))
      })
      const expected = [
        row("aa", { rollout_id: "task-12", attempt_id: "task-12:1" }),
        row("bb", { path: "/v1/my%20model/chat/completions" }),
        row("cc", { path: "/[REDACTED]", kind: "http", sequence_id: 2 }),
        row("dd", { rollout_id: long, attempt_id: long }),
        row("ee", { rollout_id: "[REDACTED]", attempt_id: "[REDACTED]", path: "/[REDACTED]", kind: "http" })
      ]
      assert.deepStrictEqual(rows, expected)
    }))

  it.scopedLive("say whose a call was, with its path or without, just where that no longer fits", () =>
    Effect.gen(function*() {
      const paths = Array.from({ length: 200 }, (_, n) => `/${"long/".repeat(300)}`.slice(0, 850 + n))
      const { rows } = yield* afterDeath((notes) => {
        paths.forEach((path, n) => notes.begin(call(`${n}`.padStart(3, "0"), { path })))
      })
      const fitting = rows.findIndex(({ path }) => path === "/[REDACTED]")
      assert.isAbove(fitting, 0)
      assert.deepStrictEqual(
        rows.map(({ path, rollout_id: id }) => [path, id]),
        paths.map((path, n) => [n < fitting ? path : "/[REDACTED]", "r1"])
      )
    }))

  it.scopedLive("say nothing of who called where patterns of one's own are looked for", () =>
    Effect.gen(function*() {
      const rules = { ...defaultRules, patterns: [{ source: "r\\d", flags: "" }] }
      const { rows } = yield* afterDeath((notes) => void notes.begin(call("aa")), rules)
      assert.deepStrictEqual(rows.map(({ path, rollout_id: id }) => [path, id]), [["/[REDACTED]", "[REDACTED]"]])
    }))

  it.scopedLive("may be damaged: the store opens all the same, with what is left of them", () =>
    Effect.gen(function*() {
      const { rows } = yield* afterDeath((notes, path) => {
        notes.begin(call("aa"))
        const whole = readFileSync(begunFileOf(path, dead))
        const place = (text: string) => Buffer.from(`${text}\n`.padEnd(placeBytes, " "))
        writeFileSync(
          begunFileOf(path, dead),
          Buffer.concat([
            place("[1, 2"),
            place(["bb", "now", "POST", "http", "t", "", "r", "a", "", "/"].join("\t")),
            place(["cc", "17", "POST", "http", "t", "", "", "a", "", "/"].join("\t")),
            place(["dd", "17", "POST", "http", "t", "", "r", "a\tb", "", "/"].join("\t")),
            Buffer.alloc(placeBytes, 0xff),
            whole
          ])
        )
      })
      assert.deepStrictEqual(rows.map(({ span_id: id }) => id), ["aa"])
    }))

  it.scopedLive("may be a pipe, a link, or as large as one likes, and hold no start up", () =>
    Effect.gen(function*() {
      const { rows } = yield* afterDeath((notes, path) => {
        notes.begin(call("aa"))
        const file = begunFileOf(path, dead)
        const whole = readFileSync(file)
        // Nothing in it ends: each place would be read to the end of the file.
        writeFileSync(file, Buffer.concat([Buffer.alloc(16 * 1024 * 1024), whole]))
        const end = `${encodeURIComponent(dead)}.begun`
        execFileSync("mkfifo", [join(dirname(path), `store.sqlite.${end}`)])
        writeFileSync(`${path}.bb`, whole.toString().replace("aa", "bb"))
        symlinkSync(`${path}.bb`, join(dirname(path), `linked.${end}`))
      })
      assert.deepStrictEqual(rows.map(({ span_id: id }) => id), ["aa"])
    }))

  // Only root can give a file away.
  const asRoot = it.scopedLive.skipIf(process.getuid?.() !== 0)
  asRoot("are not believed where another user wrote them, and left to that user", () =>
    Effect.gen(function*() {
      const { count, left, rows } = yield* afterDeath((notes, path) => {
        notes.begin(call("aa"))
        chownSync(begunFileOf(path, dead), 65_534, 65_534)
      })
      assert.deepStrictEqual([count, rows], [0, []])
      assert.isTrue(existsSync(left))
      rmSync(left)
    }))

  asRoot(
    "are believed of whoever opens the store, and of its owner where that is another",
    () =>
      Effect.gen(function*() {
        for (const isOwners of [false, true]) {
          const { rows } = yield* afterDeath((notes, path) => {
            notes.begin(call("aa"))
            for (const file of isOwners ? [path, begunFileOf(path, dead)] : [path]) chownSync(file, 65_534, 65_534)
          })
          assert.deepStrictEqual(rows, [row("aa")])
        }
      })
  )

  it.scopedLive("are read by the next who can, where whoever found the process dead could not", () =>
    Effect.gen(function*() {
      const { count, rows } = yield* afterDeath((notes, path) => {
        notes.begin(call("aa"))
        const store = new Database(path)
        store.prepare("UPDATE processes SET ended_at_ms = 1 WHERE id = ?").run(dead)
        store.close()
      })
      assert.deepStrictEqual([count, rows], [1, [row("aa")]])
    }))

  // Elsewhere the file is beside its store, and goes with it.
  it.scopedLive.skipIf(!existsSync("/dev/shm"))(
    "are taken away a month after the death of a process whose store nobody opens, and not within a week",
    () =>
      Effect.gen(function*() {
        const folder = yield* scratchFolder
        const kept = [dead, `${hostname()}/${process.pid}/cafecafe`].map((id) => {
          const notes = new BegunCalls(join(folder, `other-${id.length}`), id, defaultRules)
          notes.begin(call("aa"))
          return begunFileOf(join(folder, `other-${id.length}`), id)
        })
        const [forgotten = "", live = ""] = kept
        yield* Effect.addFinalizer(() => Effect.sync(() => kept.forEach((file) => rmSync(file, { force: true }))))
        const open = Effect.provide(StoreProcess, Sqlite.layer({ path: join(folder, "store.sqlite"), kind: "test" }))
        const age = (days: number) => {
          const then = Date.now() / 1_000 - days * 86_400
          for (const file of kept) utimesSync(file, then, then)
        }
        age(7)
        yield* open
        assert.isTrue(existsSync(forgotten))
        age(31)
        yield* open
        yield* eventually("no file", Effect.sync(() => existsSync(forgotten) ? undefined : true))
        assert.isTrue(existsSync(live))
      })
  )

  it.scopedLive("are beside the store where they do not go into memory", () =>
    Effect.gen(function*() {
      const { rows } = yield* afterDeath(
        (notes, path) => {
          notes.begin(call("aa"))
          assert.strictEqual(dirname(begunFileOf(path, besideId)), dirname(path))
        },
        defaultRules,
        besideId
      )
      assert.deepStrictEqual(rows, [row("aa")])
    }))

  it.scopedLive("are tried again ten seconds after they could not be written, from the first place on", () =>
    Effect.gen(function*() {
      const folder = join(yield* scratchFolder, "later")
      const notes = new BegunCalls(join(folder, "store.sqlite"), besideId, defaultRules)
      const clock = yield* Effect.acquireRelease(
        Effect.sync(() => vi.spyOn(performance, "now").mockReturnValue(1)),
        (spy) => Effect.sync(() => spy.mockRestore())
      )
      const begin = (spanId: string) => {
        const place = notes.begin(call(spanId))
        notes.end(place)
        return place
      }
      assert.strictEqual(begin("aa"), -1)
      mkdirSync(folder)
      assert.strictEqual(begin("bb"), -1)
      clock.mockReturnValue(10_001)
      assert.strictEqual(begin("cc"), 0)
      notes.close()
    }))

  it.scopedLive("are given up where they cannot be written, and leave nothing after a clean end", () =>
    Effect.gen(function*() {
      const folder = yield* scratchFolder
      const nowhere = new BegunCalls(join(folder, "store.sqlite"), "n".repeat(300), defaultRules)
      assert.strictEqual(nowhere.begin(call("aa")), -1)
      assert.strictEqual(nowhere.begin(call("bb")), -1)
      nowhere.end(-1)
      nowhere.close()
      const notes = new BegunCalls(join(folder, "store.sqlite"), dead, defaultRules)
      const place = notes.begin(call("aa"))
      notes.close()
      notes.end(place)
      notes.tidy()
      assert.strictEqual(notes.begin(call("bb")), -1)
      assert.strictEqual(begunFileOf(join(folder, "store.sqlite"), dead), "")
    }))
})
