import { assert, describe, it } from "@effect/vitest"
import Sqlite from "better-sqlite3"
import * as Effect from "effect/Effect"
import { existsSync, mkdirSync, readFileSync, rmdirSync, rmSync, writeFileSync } from "node:fs"
import { join } from "node:path"
import { request } from "undici"
import { printed, startProcess, startTau, tau } from "../support/command.js"
import { scratchFolder } from "../support/store.js"
import { eventually } from "../support/upstream.js"
import { root } from "./tau.js"

const p = "--prompt-optimization-proxy"
const proxyFlags = [`${p}-server`, "--model", "sim/arithmetic"]
const get = (url: string, headers: Record<string, string>) =>
  Effect.promise(async () => {
    const answer = await request(url, { headers })
    await answer.body.dump()
    return answer.statusCode
  })

describe("tau keys", () => {
  it.scopedLive("makes the key without which a proxy does not open to other machines", () =>
    Effect.gen(function*() {
      const cwd = yield* scratchFolder
      const open = [...proxyFlags, `${p}-bind`, "0.0.0.0:0"]
      const refused = yield* tau(cwd, open)
      assert.strictEqual(refused.code, 2)
      assert.match(refused.stderr, /^tau: 0\.0\.0\.0 can be reached from other machines.*tau keys create/)
      const created = yield* tau(cwd, ["keys", "create", "--name", "lap\u202Etop", "--json"])
      const { id, key } = JSON.parse(created.stdout) as { id: string; key: string }
      const listed = yield* tau(cwd, ["keys", "list"])
      assert.include(listed.stdout, `${id}  capture  good`)
      assert.notInclude(created.stdout + listed.stdout, "\u202E")
      const proxy = yield* startTau(cwd, open)
      const port = new URL(yield* printed(proxy, /listening on (\S+)\/v1/)).port
      assert.include(proxy.stdout(), `export OPENAI_BASE_URL=http://127.0.0.1:${port}/v1\n`)
      assert.include(proxy.stdout(), "From another machine, with an address of this one in its place.\n")
      assert.match(proxy.stdout(), /^With a key of tau, .*\n {2}export OPENAI_API_KEY=tau_\.\.\.$/m)
      assert.match(proxy.stdout(), /^ {2}dashboard {2}answers nobody: .*TAU_DASHBOARD_TOKEN is not set$/m)
      const url = `http://127.0.0.1:${port}/v1/models`
      assert.strictEqual(yield* get(url, {}), 401)
      assert.strictEqual(yield* get(url, { authorization: `Bearer ${key}` }), 200)
      // While the proxy still runs.
      yield* eventually(
        "a key that was used",
        Effect.map(tau(cwd, ["keys", "list"]), ({ stdout }) => stdout.includes("used 20") ? true : undefined)
      )
      assert.strictEqual((yield* tau(cwd, ["keys", "revoke", id])).code, 0)
      proxy.process.kill("SIGTERM")
      assert.strictEqual(yield* proxy.exit, 0)
      assert.strictEqual((yield* tau(cwd, open)).code, 2)
      assert.strictEqual((yield* tau(cwd, ["keys", "revoke", "nobody"])).code, 1)
      const store = readFileSync(join(cwd, ".tau/training/store.sqlite"), "latin1")
      assert.notInclude(store + listed.stdout + proxy.stdout() + proxy.stderr(), key.slice(-30))
    }), 60_000)

  it.scopedLive.skipIf(process.platform !== "linux")(
    "leaves no key good that nobody has seen",
    () =>
      Effect.gen(function*() {
        const cwd = yield* scratchFolder
        const command = `"${process.execPath}" "${root}dist/cli/main.js" keys create`
        const onFullDisk = yield* startProcess(cwd, "sh", ["-c", `${command} >/dev/full`])
        const closed = yield* startProcess(cwd, "sh", ["-c", `${command} >&-`])
        const withoutReader = yield* startTau(cwd, ["keys", "create"])
        withoutReader.process.stdout!.destroy()
        for (const created of [onFullDisk, closed, withoutReader]) {
          assert.strictEqual(yield* created.exit, 1, created.stderr())
          assert.match(created.stderr(), /^tau: the key could not be shown and is revoked: /m)
        }
        const { keys } = JSON.parse((yield* tau(cwd, ["keys", "list", "--json"])).stdout) as {
          keys: ReadonlyArray<{ readonly revoked_at_ms: number | null }>
        }
        assert.deepStrictEqual(keys.map((key) => key.revoked_at_ms !== null), [true, true, true])
      }),
    60_000
  )

  it.scopedLive("are not what is told to be missing where the store is lost, or none", () =>
    Effect.gen(function*() {
      const cwd = yield* scratchFolder
      const store = join(cwd, ".tau/training/store.sqlite")
      const refusal = Effect.map(tau(cwd, [...proxyFlags, `${p}-require-key`, `${p}-bind`, "127.0.0.1:0"]), (told) => {
        assert.strictEqual(told.code, 1)
        return told.stderr
      })
      mkdirSync(store, { recursive: true })
      assert.match(yield* refusal, /^tau: opening the store failed: .* is a folder/)
      rmdirSync(store)
      writeFileSync(store, "not SQLite ".repeat(1_000))
      assert.match(yield* refusal, /^tau: opening the store failed: not a tau store/)
      rmSync(store)
      writeFileSync(`${store}.initialised`, "")
      assert.match(yield* refusal, /^tau: opening the store failed: .* is empty or gone/)
    }), 60_000)

  it.scopedLive(
    "lists without writing: a store of an older schema stays as it is, and a hint names the store",
    () =>
      Effect.gen(function*() {
        const cwd = yield* scratchFolder
        const store = join(cwd, "own.sqlite")
        assert.strictEqual((yield* tau(cwd, ["keys", "create", "--store", store])).code, 0)
        const missing = yield* tau(cwd, ["rollouts", "--run=none", "--store", store])
        assert.strictEqual(
          missing.stderr,
          `tau: there is no run none in ${store}; tau runs --store ${store} lists them\n`
        )
        const old = new Sqlite(store)
        old.exec("DELETE FROM migrations WHERE n = (SELECT max(n) FROM migrations)")
        old.close()
        const bytes = readFileSync(store)
        const refused = yield* tau(cwd, ["keys", "list", "--store", store])
        assert.deepStrictEqual([refused.code, /has an older schema/.test(refused.stderr)], [1, true])
        assert.isTrue(readFileSync(store).equals(bytes))
      }),
    60_000
  )

  it.scopedLive(
    "lists what became of each key, and makes no store for a key that cannot be there",
    () =>
      Effect.gen(function*() {
        const cwd = yield* scratchFolder
        const store = join(cwd, "keys.sqlite")
        const keys = (...args: ReadonlyArray<string>) => tau(cwd, ["keys", ...args, "--store", store])
        const absent = yield* keys("revoke", "nobody")
        assert.deepStrictEqual([absent.code, existsSync(store)], [1, false])
        yield* keys("create")
        const { code, stderr } = yield* keys("revoke", "nobody")
        assert.deepStrictEqual(
          [code, stderr],
          [1, `tau: there is no key nobody in ${store}; tau keys list --store ${store} lists them\n`]
        )
        const inDays = (days: number) => Date.now() + days * 86_400_000
        const ids = yield* Effect.forEach(["lost", "old", "new"], (name) =>
          Effect.gen(function*() {
            const from = inDays(30)
            const { stdout } = yield* keys("create", "--name", name, "--expires-days=30", "--json")
            const { expires_at_ms: expires, id } = JSON.parse(stdout) as { readonly expires_at_ms: number; id: string }
            assert.isTrue(expires >= from && expires <= inDays(30))
            return id
          }))
        assert.strictEqual((yield* keys("revoke", ids[0]!)).stdout, `${ids[0]} is revoked\n`)
        const database = new Sqlite(store)
        database.prepare("UPDATE client_keys SET expires_at_ms = 0 WHERE id = ?").run(ids[1])
        const { stdout } = yield* keys("list")
        assert.match(stdout, new RegExp(`^${ids[0]}  capture  revoked 20.*,\\n {12}never used  "lost"$`, "m"))
        assert.match(stdout, new RegExp(`^${ids[1]}  capture  expired 1970-01-01 00:00, made 20.*,\\n.*"old"$`, "m"))
        assert.match(stdout, new RegExp(`^${ids[2]}  capture  good until 20.*,\\n.*"new"$`, "m"))
        yield* keys("create", "--name", "n".repeat(100))
        for (const line of (yield* keys("list")).stdout.split("\n")) assert.isAtMost(line.length, 80)
        database.prepare("UPDATE client_keys SET last_used_at_ms = 7 WHERE id = ?").run(ids[0])
        const listed = JSON.parse((yield* keys("list", "--json")).stdout) as {
          readonly keys: ReadonlyArray<Record<string, unknown>>
        }
        const [lost, old] = [0, 1].map((at) => listed.keys.find(({ id }) => id === ids[at])!)
        assert.deepInclude(old!, { name: "old", scope: "capture", expires_at_ms: 0, revoked_at_ms: null })
        assert.deepInclude(lost!, { last_used_at_ms: 7 })
        assert.isNumber(lost!["revoked_at_ms"])
        database.exec("DELETE FROM client_keys")
        database.close()
        assert.strictEqual((yield* keys("list")).stdout, "There are no keys.\n")
      }),
    60_000
  )

  it.scopedLive("is told apart from mistakes", () =>
    Effect.gen(function*() {
      const cwd = yield* scratchFolder
      for (
        const args of [["keys"], ["keys", "creat"], ["keys", "revoke"], ["keys", "list", "--name=x"], [
          "keys",
          "create",
          "--scope=x"
        ]]
      ) {
        assert.strictEqual((yield* tau(cwd, args)).code, 2, args.join(" "))
      }
      writeFileSync(
        join(cwd, "rules.json"),
        JSON.stringify({ patterns: [{ pattern: "(a+)+$" }], json_paths: ["user"], other: 1 })
      )
      const unknown = yield* tau(cwd, [...proxyFlags, `${p}-redact`, "rules.json"])
      assert.deepInclude(unknown, { code: 2, stdout: "" })
      assert.match(unknown.stderr, /^tau: rules\.json: \$\.other: /)
      writeFileSync(
        join(cwd, "rules.json"),
        JSON.stringify({ patterns: [{ pattern: "(a+)+$" }], json_paths: ["user"], headers: ["x account"] })
      )
      const wrong = yield* tau(cwd, [...proxyFlags, `${p}-redact=rules.json`])
      assert.match(wrong.stderr, /^tau: rules\.json: \$\.patterns\[0\]\.pattern: .*backtracks/)
      assert.include(wrong.stderr, "tau: rules.json: $.json_paths[0]: expected a path that begins with $")
      assert.include(wrong.stderr, "tau: rules.json: $.headers[0]: expected the name of a header")
    }), 60_000)
})
