import { assert, describe, it } from "@effect/vitest"
import Database from "better-sqlite3"
import * as Effect from "effect/Effect"
import { spawnSync } from "node:child_process"
import {
  chmodSync,
  closeSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  openSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  writeFileSync,
  writeSync
} from "node:fs"
import { tmpdir } from "node:os"
import { dirname, join } from "node:path"
import { request } from "undici"
import { Proxy } from "../../src/proxy/Proxy.js"
import { open } from "../../src/store/writer/Database.js"
import { printed, startTau } from "../support/command.js"
import { proxyAt } from "../support/proxy.js"
import { eventually, upstream } from "../support/upstream.js"

const main = join(import.meta.dirname, "../../dist/cli/main.js")

/** A folder that also a user without rights may look into. */
const folder = Effect.acquireRelease(
  Effect.sync(() => {
    const path = mkdtempSync(join(tmpdir(), "tau-trouble-"))
    chmodSync(path, 0o755)
    return path
  }),
  (path) =>
    Effect.sync(() => {
      for (const place of [path, join(path, ".tau"), join(path, ".tau/training")]) {
        if (existsSync(place)) chmodSync(place, 0o755)
      }
      rmSync(path, { recursive: true, force: true })
    })
)

/** Root may write what is read-only: the command then runs as nobody in particular. */
const plainUser = process.getuid?.() === 0 ? { uid: 65_534, gid: 65_534 } : {}

const tauIn = (cwd: string, args: ReadonlyArray<string>, user: object = {}) => {
  const { status, stderr, stdout } = spawnSync(process.execPath, [main, ...args], {
    cwd,
    encoding: "utf8",
    env: { PATH: process.env["PATH"] },
    timeout: 120_000,
    ...user
  })
  return { status, stdout, stderr }
}

const runArgs = ["--model", "sim/arithmetic", "--prompt-optimization-config", "config.json"]

/** Where commands look for it. */
const storeIn = (home: string) => {
  const state = join(home, ".tau/training")
  mkdirSync(state, { recursive: true })
  return join(state, "store.sqlite")
}

const withConfig = (path: string) =>
  writeFileSync(
    join(path, "config.json"),
    JSON.stringify({ optimize: [{ prompt: "What is 2 + 2?", expected: "4" }], resources: { system_prompt: "Answer." } })
  )

/** A store with an unfinished run, at rest. */
const makeStore = (path: string) => {
  const { connection } = open(path)
  connection.exec(`
    INSERT INTO resources VALUES (1, 'resources-1', '{"system_prompt":"Answer."}', 'a', NULL, 'config', 1, 1);
    INSERT INTO processes VALUES ('p', 'elsewhere', 1, '1', 'run', 1, 1, 1);
    INSERT INTO runs (id, ordinal, state, config_hash, config, config_path, model_ref, resources_version, created_at_ms)
      VALUES ('run-0001-c0ffee', 1, 'paused', 'c0ffee', '{}', 'config.json', 'sim/arithmetic', 1, 1);
    INSERT INTO run_starts (run_id, n, process_id, started_at_ms, ended_at_ms, finished_before, requeued, unknown_calls)
      VALUES ('run-0001-c0ffee', 1, 'p', 1, 2, 0, 0, 0);
    INSERT INTO rollouts (id, run_id, mode, ordinal, status, input, input_sha256, resources_version, run_at_ms, attempts_max,
      created_at_ms) VALUES ('run-0001-c0ffee-train-0001', 'run-0001-c0ffee', 'train', 0, 'queuing', '{"prompt":"?"}', 's', 1, 1, 3, 1);`)
  connection.pragma("wal_checkpoint(TRUNCATE)")
  connection.pragma("journal_mode = DELETE")
  connection.close()
}

/** Overwrites the first page of a table. */
const damage = (path: string, table: string) => {
  const store = new Database(path)
  const { rootpage } = store.prepare("SELECT rootpage FROM sqlite_schema WHERE name = ?").get(table) as {
    rootpage: number
  }
  const bytes = store.pragma("page_size", { simple: true }) as number
  store.close()
  const file = openSync(path, "r+")
  writeSync(file, Buffer.alloc(bytes, 0x5a), 0, bytes, (rootpage - 1) * bytes)
  closeSync(file)
}

describe("a store with a damaged page", () => {
  it.scopedLive(
    "is named as damaged by whoever needs the page, and the rest of it is read all the same",
    () =>
      Effect.gen(function*() {
        const home = yield* folder
        const store = storeIn(home)
        withConfig(home)
        makeStore(store)
        damage(store, "rollouts")
        const damaged = /the store is damaged: database disk image is malformed \(SQLITE_CORRUPT\)/
        const run = tauIn(home, runArgs)
        assert.match(run.stderr, damaged)
        assert.strictEqual(run.status, 1)
        const rollouts = tauIn(home, ["rollouts"])
        assert.match(rollouts.stderr, damaged)
        assert.strictEqual(rollouts.status, 1)
        const cancel = tauIn(home, ["--prompt-optimization-control-cancel"])
        assert.match(cancel.stderr, damaged)
        assert.strictEqual(cancel.status, 1)
        const runs = tauIn(home, ["runs"])
        assert.match(runs.stdout, /run-0001-c0ffee/)
        const status = tauIn(home, ["--prompt-optimization-control-status"])
        assert.strictEqual(status.status, 0, status.stderr)
        // The cancel that could not be carried out left nothing half done.
        assert.match(status.stdout, /1: 0 succeeded, 0 failed, 0 cancelled/)
      }),
    300_000
  )

  for (const recordPolicy of ["required", "best-effort"] as const) {
    it.scopedLive(
      `under a proxy whose recording is ${recordPolicy}, is told by its health`,
      () =>
        Effect.gen(function*() {
          let forwarded = 0
          const url = yield* upstream((req, res) => {
            forwarded += 1
            req.resume().on("end", () => res.end("ok"))
          })
          const store = storeIn(yield* folder)
          makeStore(store)
          damage(store, "spans")
          yield* Effect.gen(function*() {
            const { origin } = yield* Proxy
            const send = Effect.promise(async () => {
              try {
                const answer = await request(`${origin}/v1/x`, { method: "POST", body: "{}" })
                return `${answer.statusCode} ${await answer.body.text()}`
              } catch {
                return "broken off"
              }
            })
            const first = yield* send
            if (recordPolicy === "best-effort") assert.strictEqual(first, "200 ok")
            else assert.notStrictEqual(first, "200 ok", "an answer that is shown whole is in the store")
            const health = Effect.promise(async () => {
              const answer = await request(`${origin}/training/proxy/health`)
              return await answer.body.json() as { readonly status: string; readonly spans_lost: number }
            })
            const seen = yield* eventually(
              "store_corrupt",
              Effect.map(health, (now) => now.status === "store_corrupt" && now.spans_lost > 0 ? now : undefined)
            )
            assert.strictEqual(seen.spans_lost, 1)
            assert.isAtLeast(forwarded, recordPolicy === "best-effort" ? 1 : 0)
          }).pipe(Effect.provide(proxyAt(store, url, { recordPolicy })))
        }),
      60_000
    )
  }
})

describe("a store that is moved away from a run", () => {
  it.scopedLive(
    "ends it within seconds, in words, and the same command goes on once it is back",
    () =>
      Effect.gen(function*() {
        const home = yield* folder
        const server = yield* startTau(home, ["simulate", "--bind=127.0.0.1:0", "--latency-ms=200"])
        writeFileSync(
          join(home, "config.json"),
          JSON.stringify({
            optimize: Array.from({ length: 40 }, (_, n) => ({ prompt: `What is ${n} + 1?`, expected: `${n + 1}` })),
            resources: { system_prompt: "Answer with the final number only." },
            upstream_url: yield* printed(server, /listening on (\S+)/),
            completion_timeout_secs: 300
          })
        )
        const store = storeIn(home)
        const running = yield* startTau(home, runArgs)
        yield* eventually(
          "a rollout that succeeded",
          Effect.sync(() => {
            const status = join(dirname(store), "status.json")
            const succeeded = existsSync(status) &&
              (JSON.parse(readFileSync(status, "utf8")) as { succeeded: number }).succeeded > 0
            return succeeded ? true : undefined
          })
        )
        renameSync(store, `${store}.away`)
        assert.strictEqual(yield* Effect.timeout(running.exit, "60 seconds"), 1, running.stderr())
        assert.match(running.stderr(), /tau: runner \d died 11 times .*the store is gone/)
        // Each of two runners dies eleven times: that is told once, and at the end.
        assert.lengthOf(running.stderr().match(/^runner \d died and is started again/gm) ?? [], 1, running.stderr())
        assert.notInclude(running.stderr(), "could not be handed back")
        renameSync(`${store}.away`, store)
        const again = yield* startTau(home, runArgs)
        assert.strictEqual(yield* Effect.timeout(again.exit, "60 seconds"), 0, again.stderr())
        assert.match(again.stderr(), /^resuming run /m)
      }),
    180_000
  )
})

describe("a store that may only be read", () => {
  it.scopedLive("is read, and says what cannot be done with it", () =>
    Effect.gen(function*() {
      const home = yield* folder
      const store = storeIn(home)
      withConfig(home)
      makeStore(store)
      chmodSync(store, 0o444)
      chmodSync(join(home, "config.json"), 0o444)
      for (const place of [dirname(store), join(home, ".tau"), home]) chmodSync(place, 0o555)
      const before = readFileSync(store)
      const unwritable = /the store cannot be written: |EACCES|SQLITE_READONLY/
      for (
        const args of [
          runArgs,
          ["--prompt-optimization-control-pause"],
          [
            "--prompt-optimization-proxy-server",
            "--prompt-optimization-proxy-upstream-url",
            "http://127.0.0.1:1/v1"
          ]
        ]
      ) {
        const refused = tauIn(home, args, plainUser)
        assert.match(refused.stderr, unwritable, args[0])
        assert.notInclude(refused.stderr, "this is a bug")
        assert.strictEqual(refused.status, 1, refused.stderr)
      }
      const runs = tauIn(home, ["runs"], plainUser)
      assert.match(runs.stdout, /run-0001-c0ffee/, runs.stderr)
      assert.isTrue(before.equals(readFileSync(store)))
    }), 300_000)
})

describe("a store of another user", () => {
  it.scopedLive(
    "is told to be theirs by whoever asks, in a folder of theirs too, and is copied nowhere",
    () =>
      Effect.gen(function*() {
        const home = yield* folder
        const store = storeIn(home)
        const scratch = join(home, "tmp")
        mkdirSync(scratch)
        chmodSync(scratch, 0o777)
        makeStore(store)
        const askedBy = { ...plainUser, env: { PATH: process.env["PATH"], TMPDIR: scratch } }
        for (const [place, mode] of [[store, 0], [join(home, ".tau/training"), 0o600]] as const) {
          chmodSync(place, mode)
          for (const args of [["runs"], ["audit", "verify"], ["--prompt-optimization-control-status"]]) {
            const { status, stderr } = tauIn(home, args, askedBy)
            assert.deepStrictEqual([status, stderr], [
              1,
              "tau: opening the store failed: .tau/training/store.sqlite cannot be read: permission denied\n"
            ])
          }
        }
        assert.deepStrictEqual(readdirSync(scratch), [])
      }),
    60_000
  )
})
