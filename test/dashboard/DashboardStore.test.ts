import { assert, describe, it } from "@effect/vitest"
import Sqlite from "better-sqlite3"
import * as Effect from "effect/Effect"
import { copyFileSync, mkdirSync, renameSync, rmSync } from "node:fs"
import { join } from "node:path"
import { type Body, dashboardAt, listening } from "../support/dashboard.js"
import { runIn, runtimeAt } from "../support/runtime.js"
import { scratchFolder } from "../support/store.js"
import { eventually } from "../support/upstream.js"

/** A run that is over, in the store of a folder. */
const finishedRun = (folder: string) =>
  runIn(folder, 1).pipe(Effect.provide(runtimeAt(folder, { execute: () => Effect.succeed({ output: "4" }) })))

describe("the store that the dashboard tells of", { timeout: 120_000 }, () => {
  it.scopedLive("is read anew where it can only be copied", () =>
    Effect.gen(function*() {
      const [folder, sealed] = [yield* scratchFolder, yield* scratchFolder]
      const [written, path] = [join(folder, "store.sqlite"), join(sealed, "store.sqlite")]
      yield* finishedRun(folder)
      copyFileSync(written, path)
      // SQLite cannot open its log under this name, as on a file system that is mounted read-only.
      mkdirSync(`${path}-wal`)
      const { ask } = yield* dashboardAt(path)
      const processed = Effect.map(ask("/dashboard/health"), ({ json }) => json.processed_case_count)
      assert.strictEqual(yield* processed, 1)
      yield* finishedRun(folder)
      copyFileSync(written, path)
      yield* eventually("the second run is seen", Effect.map(processed, (count) => count === 2 ? true : undefined))
    }))

  it.scopedLive("is told to be lost when it held data, whatever the status file beside it says", () =>
    Effect.gen(function*() {
      const folder = yield* scratchFolder
      yield* finishedRun(folder)
      const path = join(folder, "store.sqlite")
      const { ask } = yield* dashboardAt(path)
      assert.strictEqual((yield* ask("/dashboard/health")).json.health_state, "healthy")
      rmSync(path)
      for (const page of ["alerts", "api/runs", "queue-timeline"]) {
        const { json, status } = yield* eventually(
          "what was asked before is forgotten",
          Effect.map(ask(`/dashboard/${page}`), (answer) => answer.status === 200 ? undefined : answer)
        )
        assert.deepStrictEqual([status, json.error.code], [503, "dashboard_store_unavailable"], page)
        assert.include(json.error.message, "store.sqlite is empty or gone", page)
      }
    }))

  it.scopedLive("is told to be locked without a long wait, and is read once it is free", () =>
    Effect.gen(function*() {
      const folder = yield* scratchFolder
      yield* finishedRun(folder)
      const path = join(folder, "store.sqlite")
      const holder = new Sqlite(path)
      yield* Effect.addFinalizer(() => Effect.sync(() => holder.close()))
      holder.pragma("locking_mode = EXCLUSIVE")
      holder.exec("BEGIN EXCLUSIVE; UPDATE runs SET ordinal = ordinal; COMMIT")
      const { ask } = yield* dashboardAt(path)
      for (const page of ["api/runs", "health", "alerts"]) {
        const beganMs = performance.now()
        const { json, status } = yield* ask(`/dashboard/${page}`)
        assert.isBelow(performance.now() - beganMs, 3_000, page)
        assert.deepStrictEqual([status, json.error?.code], [503, "dashboard_store_unavailable"], page)
        assert.include(json.error.message, "locked", page)
      }
      holder.close()
      yield* eventually(
        "the store is read again",
        Effect.map(ask("/dashboard/health"), ({ status }) => status === 200 ? true : undefined)
      )
    }))

  it.scopedLive("is told to listeners to be unreadable, and once it can be read again, how it stands", () =>
    Effect.gen(function*() {
      const folder = yield* scratchFolder
      yield* finishedRun(folder)
      const path = join(folder, "store.sqlite")
      const listener = yield* listening((yield* dashboardAt(path)).origin)
      const told = (event: string, from: number) =>
        eventually(event, Effect.sync(() => listener.events().slice(from).find((one) => one.event === event)))
      yield* told("dashboard.snapshot", 0)
      const newer = join(folder, "newer.sqlite")
      copyFileSync(path, newer)
      const database = new Sqlite(newer)
      database.exec("INSERT INTO migrations SELECT max(n) + 1, name, sha256 FROM migrations").close()
      const kept = join(folder, "kept.sqlite")
      copyFileSync(path, kept)
      renameSync(newer, path)
      const { data }: { readonly data: Body } = yield* told("dashboard.unavailable", 0)
      assert.strictEqual(data.error.code, "dashboard_store_unavailable")
      assert.include(data.error.message, "was written by a newer version of tau")
      const before = listener.events().length
      renameSync(kept, path)
      const { data: snapshot }: { readonly data: Body } = yield* told("dashboard.snapshot", before)
      assert.strictEqual(snapshot.health.health_state, "healthy")
    }))
})
