import { assert, describe, it } from "@effect/vitest"
import Database from "better-sqlite3"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import { execFileSync } from "node:child_process"
import { createHash } from "node:crypto"
import {
  existsSync,
  lstatSync,
  mkdirSync,
  readFileSync,
  renameSync,
  statSync,
  symlinkSync,
  truncateSync,
  unlinkSync,
  writeFileSync
} from "node:fs"
import { hostname } from "node:os"
import { dirname, join } from "node:path"
import * as OwnerLock from "../../src/store/OwnerLock.js"
import * as ReadOnlyStore from "../../src/store/ReadOnlyStore.js"
import { ResourceStore } from "../../src/store/ResourceStore.js"
import * as Sqlite from "../../src/store/Sqlite.js"
import type { StoreError } from "../../src/store/StoreError.js"
import { Writer } from "../../src/store/Writer.js"
import { applicationId } from "../../src/store/writer/Database.js"
import { migrations } from "../../src/store/writer/migrations.js"
import { scratchFolder, storeAt } from "../support/store.js"

const open = (path: string) => Effect.scoped(Layer.build(Sqlite.layer({ path, kind: "test" })))
const refusal = (path: string) => Effect.map(Effect.flip(open(path)), ({ message, reason }) => ({ message, reason }))

const inScratch = <A, E>(test: (path: string) => Effect.Effect<A, E>) =>
  Effect.flatMap(scratchFolder, (folder) => test(join(folder, "state", "store.sqlite")))

describe("Sqlite", () => {
  it.scopedLive("makes a private, durable file and opens it again", () =>
    inScratch((path) =>
      Effect.gen(function*() {
        yield* open(path)
        yield* open(path)
        assert.strictEqual(statSync(path).mode & 0o777, 0o600)
        assert.strictEqual(statSync(join(path, "..")).mode & 0o777, 0o700)
      })
    ))

  it.effect("says where no folder can be made, and does not look for one for ever", () =>
    Effect.gen(function*() {
      // Linux lets nobody make a folder there, and calls it missing; elsewhere the folder above is missing as well.
      const { message } = yield* refusal("/proc/tau-is-no-process/training/store.sqlite")
      assert.include(message, "/proc/tau-is-no-process")
    }), 20_000)

  it.scopedLive("refuses what is not a tau store, and leaves it as it was", () =>
    inScratch((path) =>
      Effect.gen(function*() {
        mkdirSync(join(path, ".."))
        writeFileSync(path, "this is no database, and long enough to have a header of a hundred bytes. ".repeat(9))
        const before = readFileSync(path)
        assert.include((yield* refusal(path)).message, "not a tau store: ")
        assert.isTrue(before.equals(readFileSync(path)))

        const other = `${path}.other`
        const database = new Database(other)
        database.exec("CREATE TABLE theirs (a)")
        database.close()
        assert.strictEqual((yield* refusal(other)).reason, "foreign")
        assert.strictEqual((yield* refusal(join(path, ".."))).reason, "foreign")
      })
    ))

  it.scopedLive("refuses a store of a newer version, one whose migrations were changed, and one emptied by accident", () =>
    inScratch((path) =>
      Effect.gen(function*() {
        yield* open(path)
        const change = (sql: string) => {
          const database = new Database(path)
          database.exec(sql)
          database.close()
        }
        change("INSERT INTO migrations VALUES (99, '0099_future', 'x')")
        assert.include((yield* refusal(path)).message, "newer version of tau")
        change("DELETE FROM migrations WHERE n = 99; UPDATE migrations SET sha256 = 'x' WHERE n = 1")
        assert.include((yield* refusal(path)).message, "0001_initial differs")
        truncateSync(path)
        assert.strictEqual((yield* refusal(path)).reason, "corrupt")
      })
    ))

  it.scopedLive("refuses a store that lost its write-ahead log before anything of it was in the file", () =>
    inScratch((path) =>
      Effect.gen(function*() {
        yield* open(path)
        // What a young store is beside its log, which is not copied into the file before it is some megabytes long.
        unlinkSync(path)
        const database = new Database(path)
        database.pragma("journal_mode = WAL")
        database.close()
        const lost = `${path} holds nothing, but ${path}.initialised says it held data`
        assert.include((yield* refusal(path)).message, lost)
        const reading = yield* Effect.flip(Effect.scoped(Layer.build(ReadOnlyStore.layer(path))))
        assert.include(reading.message, lost)
        unlinkSync(`${path}.initialised`)
        yield* open(path)
      })
    ))

  it.scopedLive("brings a store of an older version up to date only when no process of that version works on it", () =>
    inScratch((path) =>
      Effect.gen(function*() {
        mkdirSync(join(path, ".."))
        const database = new Database(path)
        database.pragma(`application_id = ${applicationId}`)
        database.function("sha256", () => "")
        database.exec(
          "CREATE TABLE migrations (n INTEGER PRIMARY KEY, name TEXT NOT NULL, sha256 TEXT NOT NULL) STRICT"
        )
        for (const [index, { name, sql }] of migrations.slice(0, 3).entries()) {
          database.exec(sql)
          const sha256 = createHash("sha256").update(sql).digest("hex")
          database.prepare("INSERT INTO migrations VALUES (?, ?, ?)").run(index + 1, name, sha256)
        }
        const insert = database.prepare(
          "INSERT INTO processes (id, host, pid, kind, started_at_ms, heartbeat_at_ms) VALUES (?, ?, ?, 'proxy', 1, ?)"
        )
        insert.run("here", hostname(), process.pid, 1)
        const steps = () => database.prepare("SELECT count(*) FROM migrations").pluck().get()
        const { message } = yield* refusal(path)
        assert.include(
          message,
          `has an older schema, and a process of that version works on it (proxy, pid ${process.pid} `
        )
        assert.include(message, "): stop it first")
        assert.strictEqual(steps(), 3)

        // It ended; another one on another machine was heard of lately, then not for long.
        database.exec("UPDATE processes SET ended_at_ms = 1")
        insert.run("there", "elsewhere", 1, Date.now())
        assert.include((yield* refusal(path)).message, "(proxy, pid 1 on elsewhere): stop it first")
        database.exec("UPDATE processes SET heartbeat_at_ms = 1 WHERE id = 'there'")
        yield* open(path)
        assert.strictEqual(steps(), migrations.length)
        database.close()
      })
    ))

  it.scopedLive("says what stands in the way where no store can be made", () =>
    inScratch((path) =>
      Effect.gen(function*() {
        mkdirSync(path, { recursive: true })
        assert.include((yield* refusal(path)).message, `not a tau store: ${path} is a folder`)
        writeFileSync(`${path}/file`, "")
        const { message } = yield* refusal(`${path}/file/below/store.sqlite`)
        assert.include(message, `the store cannot be written: its folder ${path}/file/below cannot be made there`)
        assert.notMatch(message, /ENOENT|ENOTDIR|mkdir/)
      })
    ))

  it.scopedLive("notices that its file was moved away instead of writing into the void", () =>
    inScratch((path) =>
      Effect.gen(function*() {
        const store = yield* ResourceStore
        yield* store.publish({ system_prompt: "a" }, "test")
        renameSync(path, `${path}.moved`)
        const write = (n: number) => store.publish({ system_prompt: `b${n}` }, "test")
        let failure: StoreError | undefined
        for (let n = 0; failure === undefined && n < 300; n++) {
          failure = yield* Effect.match(write(n), { onFailure: (error) => error, onSuccess: () => undefined })
          yield* Effect.sleep("10 millis")
        }
        assert.strictEqual(failure?.reason, "gone")
      }).pipe(Effect.provide(storeAt(path)))
    ))

  it.scopedLive("lets two processes' writers take turns on one file, losing nothing", () =>
    inScratch((path) =>
      Effect.gen(function*() {
        const publish = (name: string) =>
          Effect.gen(function*() {
            const store = yield* ResourceStore
            for (let n = 0; n < 100; n++) yield* store.publish({ [name]: n }, name)
          }).pipe(Effect.provide(storeAt(path)))
        yield* open(path)
        yield* Effect.all([publish("a"), publish("b")], { concurrency: 2 })
        const all = yield* Effect.flatMap(ResourceStore, (store) => store.list).pipe(Effect.provide(storeAt(path)))
        assert.strictEqual(all.length, 200)
        assert.deepStrictEqual(all.map(({ version }) => version), all.map((_, index) => index + 1))
        assert.strictEqual(all.filter(({ isLatest }) => isLatest).length, 1)
      })
    ))

  it.scopedLive("waits for a lock held elsewhere without blocking the event loop", () =>
    inScratch((path) =>
      Effect.gen(function*() {
        const store = yield* ResourceStore
        const other = new Database(path)
        other.exec("BEGIN IMMEDIATE")
        let turns = 0
        const ticking = setInterval(() => turns += 1, 5)
        setTimeout(() => other.exec("COMMIT"), 300)
        assert.strictEqual(yield* store.publish({ system_prompt: "late" }, "test"), 1)
        clearInterval(ticking)
        other.close()
        // A busy machine gives it few.
        assert.isAbove(turns, 2)
      }).pipe(Effect.provide(storeAt(path)))
    ))

  it.scopedLive("says of what it could not do only that the store was not opened", () =>
    Effect.gen(function*() {
      const path = join(yield* scratchFolder, "store.sqlite")
      yield* Effect.scoped(Layer.build(Sqlite.layer({ path, kind: "test" })))
      const other = new Database(path)
      other.exec("BEGIN IMMEDIATE")
      const { message } = yield* Effect.flip(Layer.build(Sqlite.layer({ path, kind: "test" })))
      other.close()
      assert.match(message, /^opening the store failed: the store is locked by another process: /)
    }), 30_000)

  it.scopedLive("fails one request of a group without failing the others", () =>
    inScratch((path) =>
      Effect.gen(function*() {
        const writer = yield* Writer
        const store = yield* ResourceStore
        const bad = writer.run("startWorker", { workerId: "w", processId: "nobody", runId: "none" })
        const results = yield* Effect.all([
          Effect.either(store.publish({ a: 1 }, "test")),
          Effect.either(bad),
          Effect.either(store.publish({ a: 2 }, "test"))
        ], { concurrency: "unbounded" })
        assert.deepStrictEqual(results.map(({ _tag }) => _tag), ["Right", "Left", "Right"])
      }).pipe(Effect.provide(storeAt(path)))
    ))

  it.scopedLive("tells resources versions apart by content and never changes one", () =>
    inScratch((path) =>
      Effect.gen(function*() {
        const store = yield* ResourceStore
        const first = yield* store.publish({ system_prompt: "a", tools: [1] }, "test")
        assert.strictEqual(yield* store.publish({ tools: [1], system_prompt: "a" }, "test"), first)
        assert.strictEqual(yield* store.publish({ system_prompt: "b" }, "test"), first + 1)
        const database = new Database(path)
        assert.throws(() => database.exec("UPDATE resources SET resources = '{}'"), /immutable/)
        assert.throws(() => database.exec("DELETE FROM resources"), /immutable/)
        database.close()
      }).pipe(Effect.provide(storeAt(path)))
    ))

  it.scopedLive("gives the run lock to one holder at a time, and names it to the others", () =>
    inScratch((path) =>
      Effect.gen(function*() {
        yield* open(path)
        yield* Effect.scoped(Effect.gen(function*() {
          yield* OwnerLock.hold(path, "run 1, pid 7")
          const error = yield* Effect.flip(Effect.scoped(OwnerLock.hold(path, "run 2")))
          assert.include(error.message, "run 1, pid 7")
        }))
        yield* Effect.scoped(OwnerLock.hold(path, "run 2"))
      })
    ))

  it.scopedLive("gives a run lock once, by whatever links the store is reached", () =>
    inScratch((path) =>
      Effect.gen(function*() {
        yield* open(path)
        const link = join(dirname(path), "elsewhere.sqlite")
        symlinkSync(path, link)
        yield* Effect.scoped(Effect.gen(function*() {
          yield* OwnerLock.hold(link, "run 1, pid 7")
          const error = yield* Effect.flip(Effect.scoped(OwnerLock.hold(path, "run 2")))
          assert.include(error.message, "run 1, pid 7")
        }))
      })
    ))

  it.scopedLive("says that the log of a store is gone that is reached over a link", () =>
    inScratch((path) =>
      Effect.gen(function*() {
        yield* open(path)
        const link = join(dirname(path), "elsewhere.sqlite")
        symlinkSync(path, link)
        const error = yield* Effect.gen(function*() {
          const { publish } = yield* ResourceStore
          yield* publish({ system_prompt: "Add." }, "test")
          unlinkSync(`${path}-wal`)
          return yield* Effect.flip(publish({ system_prompt: "Sum up." }, "test"))
        }).pipe(Effect.provide(storeAt(link)))
        assert.include(error.message, `${path}-wal was moved or deleted while in use`)
      })
    ))

  it.scoped("gives nobody a run lock whose note cannot be written, and does not wait for a reader of it", () =>
    inScratch((path) =>
      Effect.gen(function*() {
        mkdirSync(dirname(path))
        execFileSync("mkfifo", [`${path}.run-lock.holder`])
        const error = yield* Effect.flip(Effect.scoped(OwnerLock.hold(path, "run 1")))
        assert.include(error.message, `taking the run lock failed: ${path}.run-lock.holder: ENXIO`)
      })
    ))

  it.scoped("calls a file that is no lock by its name, not the store damaged", () =>
    inScratch((path) =>
      Effect.gen(function*() {
        mkdirSync(dirname(path))
        writeFileSync(`${path}.run-lock`, "x".repeat(1_000))
        const error = yield* Effect.flip(Effect.scoped(OwnerLock.hold(path, "run 1")))
        assert.strictEqual(error.message, `taking the run lock failed: ${path}.run-lock: file is not a database`)
      })
    ))

  it.scopedLive("leaves its marker to its owner alone, and through no link", () =>
    inScratch((path) =>
      Effect.gen(function*() {
        mkdirSync(dirname(path))
        const other = join(dirname(path), "other")
        symlinkSync(other, `${path}.initialised`)
        yield* open(path)
        assert.isFalse(existsSync(other))
        const marker = lstatSync(`${path}.initialised`)
        assert.deepStrictEqual([marker.isFile(), marker.mode & 0o777], [true, 0o600])
      })
    ))

  it.scoped("writes the note of the run lock through no link, as a folder from somebody else may have one", () =>
    inScratch((path) =>
      Effect.gen(function*() {
        mkdirSync(dirname(path))
        const other = join(dirname(path), "other")
        writeFileSync(other, "precious")
        symlinkSync(other, `${path}.run-lock.holder`)
        yield* Effect.scoped(OwnerLock.hold(path, "run 1"))
        assert.strictEqual(readFileSync(other, "utf8"), "precious")
        assert.strictEqual(readFileSync(`${path}.run-lock.holder`, "utf8"), "run 1")
      })
    ))

  it.scopedLive("makes no store and takes no lock through a link, which may lead to any folder", () =>
    inScratch((path) =>
      Effect.gen(function*() {
        mkdirSync(dirname(path))
        const other = join(dirname(path), "other")
        const link = (name: string) => `${name}: a link stands where a file was expected`
        symlinkSync(other, `${path}.run-lock`)
        const lock = yield* Effect.flip(Effect.scoped(OwnerLock.hold(path, "run 1")))
        assert.strictEqual(lock.message, `taking the run lock failed: ${link(`${path}.run-lock`)}`)
        symlinkSync(other, path)
        assert.strictEqual((yield* refusal(path)).message, `opening the store failed: ${link(path)}`)
        assert.isFalse(existsSync(other))
        // A store that its owner keeps elsewhere.
        yield* open(other)
        yield* open(path)
      })
    ))
})
