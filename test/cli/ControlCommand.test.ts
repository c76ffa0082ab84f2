import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import { cpSync, existsSync, mkdirSync, readFileSync, renameSync, symlinkSync, writeFileSync } from "node:fs"
import { join } from "node:path"
import { pathToFileURL } from "node:url"
import { printed, startProcess, tau } from "../support/command.js"
import { beginCrashedRun, controlStoreIn } from "../support/control.js"
import { scratchFolder } from "../support/store.js"

const root = join(import.meta.dirname, "../..")
const dist = pathToFileURL(join(root, "dist")).href

/** The program of a process that begins a run of three rollouts in this store and then works on it for ever. */
const liveRun = (storePath: string) => `
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import { RunStore } from "${dist}/store/RunStore.js"
import * as Sqlite from "${dist}/store/Sqlite.js"
const begin = Effect.flatMap(RunStore, (runs) => runs.begin({
  configHash: "c0ffee", config: {}, configPath: "config.json", modelRef: "sim/x", resources: { system_prompt: "Be brief." },
  rollouts: [1, 2, 3].map((n) => ({ mode: "train", input: { prompt: String(n) } })), attemptsMax: 1
}))
setInterval(() => {}, 1_000)
Effect.runFork(begin.pipe(
  Effect.zipRight(Effect.sync(() => console.log("begun"))),
  Effect.zipRight(Effect.never),
  Effect.provide(Layer.provide(RunStore.layer, Sqlite.layer({ path: ${JSON.stringify(storePath)}, kind: "run" })))
))
`

/** A process that works on a run in this folder, once the run has begun. */
const startRun = Effect.fnUntraced(function*(folder: string) {
  writeFileSync(join(folder, "run.mjs"), liveRun(join(folder, ".tau/training/store.sqlite")))
  symlinkSync(join(root, "node_modules"), join(folder, "node_modules"))
  const running = yield* startProcess(folder, process.execPath, ["run.mjs"])
  yield* printed(running, /(begun)/)
  return running
})

const control = (folder: string, verb: string, ...more: ReadonlyArray<string>) =>
  tau(folder, [`--prompt-optimization-control-${verb}`, ...more])

const controlJson = (folder: string, verb: string, ...more: ReadonlyArray<string>) =>
  Effect.map(
    control(folder, verb, "--prompt-optimization-control-json", ...more),
    ({ code, stdout }): Record<string, unknown> => ({ ...JSON.parse(stdout) as object, code })
  )

describe("tau's control verbs", () => {
  it.scopedLive("ask about a store that is not there without making one", () =>
    Effect.gen(function*() {
      const folder = yield* scratchFolder
      const answer = yield* controlJson(folder, "status", "--prompt-optimization-control-principal", "ada")
      assert.deepInclude(answer, {
        code: 0,
        schema_version: 1,
        action: "status",
        principal: "ada",
        decision: "allow_team_mode_disabled",
        lifecycle_state: null,
        store_present: false,
        run: null
      })
      assert.isFalse(existsSync(join(folder, ".tau")))
    }))

  it.scopedLive("show what a path would do to the terminal instead of doing it", () =>
    Effect.gen(function*() {
      const folder = yield* scratchFolder
      const { stdout } = yield* control(folder, "status", "--prompt-optimization-control-state-dir", "x\u001B[2J")
      assert.include(stdout, "  store     x\\u{1b}[2J/store.sqlite (not there)\n")
    }))

  it.scopedLive("act on a run of another process, and on what is left of it after a kill -9", () =>
    Effect.gen(function*() {
      const folder = yield* scratchFolder
      const running = yield* startRun(folder)

      const paused = yield* controlJson(folder, "pause")
      assert.deepInclude(paused, { code: 0, lifecycle_state: "paused", idempotent: false })
      assert.deepInclude(paused.run, { state: "running", desired: "pause", live: true, total: 3, cancelled: 0 })

      running.process.kill("SIGKILL")
      yield* running.exit
      const status = yield* control(folder, "status")
      assert.match(status.stdout, /^status: crashed\n/)
      assert.include(status.stdout, "died")
      assert.include(status.stdout, "  verbs     the last one left paused\n")
      for (const line of status.stdout.split("\n")) assert.isAtMost(line.length, 80)

      const guarded = yield* control(folder, "resume")
      assert.strictEqual(guarded.code, 1)
      assert.match(guarded.stderr, /^tau: resume recovery guardrail: .+\n$/)

      // No process is left that would bring the file for outside tools up to date.
      const training = join(folder, ".tau/training/status.json")
      const [{ id }] = [paused["run"] as { id: string }]
      writeFileSync(
        training,
        JSON.stringify({ run_id: id, run_state: "running", cancelled: 0, active: 1, model_ref: "sim/x" })
      )
      const cancelled = yield* controlJson(folder, "cancel")
      assert.deepInclude(JSON.parse(readFileSync(training, "utf8")), {
        run_state: "cancelled",
        stopped_reason: "cancelled",
        total_rollouts: 3,
        cancelled: 3,
        active: 0,
        model_ref: "sim/x"
      })
      assert.deepInclude(cancelled, { lifecycle_state: "cancelled", idempotent: false })
      assert.deepInclude(cancelled.run, { state: "cancelled", total: 3, cancelled: 3 })
      assert.deepInclude(yield* controlJson(folder, "cancel"), { code: 0, idempotent: true })
    }))

  it.scopedLive("offer nothing to continue where a process died while its run was being cancelled", () =>
    Effect.gen(function*() {
      const folder = yield* scratchFolder
      const running = yield* startRun(folder)
      yield* controlJson(folder, "cancel")
      running.process.kill("SIGKILL")
      yield* running.exit

      const status = yield* control(folder, "status")
      assert.match(status.stdout, /^status: cancelled\n/)
      assert.match(status.stdout, /\n {2}run +\S+, cancelled, told to cancel\n/)
      assert.notMatch(status.stdout, /continue/)
      const [{ id }] = [(yield* controlJson(folder, "status"))["run"] as { id: string }]
      const listed = yield* tau(folder, ["runs", "--state", "cancelled"])
      assert.include(listed.stdout, id)
      assert.notInclude((yield* tau(folder, ["runs", "--state", "crashed"])).stdout, id)
      assert.deepInclude((yield* controlJson(folder, "cancel"))["run"], { state: "cancelled", cancelled: 3 })
    }))

  it.scopedLive("obey the policy: one line and exit code 1 for a denial, nothing at all under a broken policy", () =>
    Effect.gen(function*() {
      const folder = yield* scratchFolder
      const policy = join(folder, ".tau/security/rbac.json")
      mkdirSync(join(folder, ".tau/security"), { recursive: true })
      writeFileSync(policy, JSON.stringify({ schema_version: 1, team_mode: true }))
      const denied = yield* control(folder, "pause", "--prompt-optimization-control-principal", "eve")
      assert.deepStrictEqual(denied, {
        code: 1,
        stdout: "",
        stderr: "tau: pause denied to \"eve\": deny_unbound_principal\n"
      })
      assert.isFalse(existsSync(join(folder, ".tau/training/store.sqlite")))
      const audit = readFileSync(join(folder, ".tau/training/control-audit.jsonl"), "utf8")
      assert.deepInclude(JSON.parse(audit), { decision: "deny_unbound_principal", lifecycle_state: "running" })
      const missing = yield* control(folder, "status", "--prompt-optimization-control-principal", "")
      assert.include(missing.stderr, "deny_principal_missing")

      writeFileSync(
        policy,
        "{\"schema_version\":1,\"team_mode\":false,\"bindings\":[{\"principal\":\"\",\"roles\":[]}]}"
      )
      const broken = yield* control(folder, "pause")
      assert.strictEqual(broken.code, 1)
      assert.match(broken.stderr, /^tau: .*rbac\.json: \$\.bindings\[0\]\.principal: must not be empty\n$/)
      // As of a config: where it is no JSON, and what is there twice.
      writeFileSync(policy, "{")
      assert.match(
        (yield* control(folder, "pause")).stderr,
        /^tau: .*rbac\.json: line 1, column 2: expected a key in double quotes, found the end of the file\n$/
      )
      writeFileSync(policy, "{\"schema_version\":1,\"team_mode\":true,\n\"team_mode\":false}")
      assert.match(
        (yield* control(folder, "pause")).stderr,
        /rbac\.json: \$\.team_mode: expected each key once, found "team_mode" again at line 2, column 1\n$/
      )
      assert.isFalse(existsSync(join(folder, ".tau/training/store.sqlite")))
    }))

  it.scopedLive("find the store of a run that gave it a name of its own, and do not guess between two", () =>
    Effect.gen(function*() {
      const folder = yield* scratchFolder
      const state = join(folder, "state")
      mkdirSync(state)
      const { code } = yield* tau(folder, [
        "--prompt-optimization-control-pause",
        "--prompt-optimization-control-state-dir=made"
      ])
      assert.strictEqual(code, 0)
      const verb = (name: string) => controlJson(folder, name, "--prompt-optimization-control-state-dir=state")
      for (const end of ["", ".initialised"]) {
        cpSync(join(folder, `made/store.sqlite${end}`), join(state, `own.sqlite${end}`))
      }
      assert.deepInclude(yield* verb("status"), {
        store_path: "state/own.sqlite",
        store_present: true,
        lifecycle_state: "paused"
      })
      assert.deepInclude(yield* verb("resume"), { store_path: "state/own.sqlite", lifecycle_state: "running" })
      for (const end of ["", ".initialised"]) {
        cpSync(join(folder, `made/store.sqlite${end}`), join(state, `two.sqlite${end}`))
      }
      const { code: unclear, stderr } = yield* control(folder, "pause", "--prompt-optimization-control-state-dir=state")
      assert.strictEqual(unclear, 1)
      assert.match(stderr, /^tau: state has no store\.sqlite, and own\.sqlite, two\.sqlite: .*\n$/)
      assert.isFalse(existsSync(join(state, "store.sqlite")))
    }))

  it.scopedLive("tell a store that is gone from one that nobody made yet", () =>
    Effect.gen(function*() {
      const folder = yield* scratchFolder
      assert.strictEqual((yield* controlJson(folder, "status"))["detail"], "there is no store yet")
      yield* controlJson(folder, "pause")
      renameSync(join(folder, ".tau/training/store.sqlite"), join(folder, ".tau/training/elsewhere"))
      for (const args of [["--prompt-optimization-control-status"], ["audit", "verify"], ["runs"]]) {
        const { code, stderr, stdout } = yield* tau(folder, args)
        assert.deepStrictEqual([code, stdout], [1, ""], args[0])
        assert.include(stderr, "store.sqlite is empty or gone, but ")
      }
    }))

  it.scopedLive("are listed with their reasons within 80 columns", () =>
    Effect.gen(function*() {
      const folder = yield* scratchFolder
      yield* controlJson(folder, "pause")
      const intact = yield* tau(folder, ["audit", "verify"])
      assert.match(intact.stdout, /^The audit log is intact: 1 row\.\n/)
      const file = join(folder, ".tau/training/control-audit.jsonl")
      const good = readFileSync(file, "utf8")
      writeFileSync(file, good.replace("local:", "other:"))
      const altered = yield* tau(folder, ["audit", "verify"])
      assert.strictEqual(altered.code, 1)
      const [, head, store, shown] = altered.stdout.split("\n")
      assert.deepStrictEqual([head, store], intact.stdout.split("\n").slice(1, 3))
      assert.match(store!, /, 1 row good$/)
      assert.match(shown!, /control-audit\.jsonl, broken after 0 good rows$/)
      writeFileSync(file, good)
      writeFileSync(file, `${readFileSync(file, "utf8")}no row, whatever it may be\n`)
      assert.strictEqual((yield* control(folder, "resume")).code, 1)
      const { stdout } = yield* tau(folder, ["audit", "list"])
      assert.match(stdout, /line 2 is not an audit row/)
      for (const line of stdout.split("\n")) assert.isAtMost(line.length, 80)
    }))

  it.scopedLive("shows that nobody was named rather than nothing", () =>
    Effect.gen(function*() {
      const folder = yield* scratchFolder
      yield* control(folder, "pause", "--prompt-optimization-control-principal=")
      assert.include((yield* tau(folder, ["audit", "list"])).stdout, `pause by "": done`)
    }))

  it.scopedLive("are listed within 80 columns, however long the name of who asked for them", () =>
    Effect.gen(function*() {
      const folder = yield* scratchFolder
      const who = `local:${"someone.of.a.long.name.".repeat(4)}`
      yield* control(folder, "cancel", `--prompt-optimization-control-principal=${who}`)
      const { stdout } = yield* tau(folder, ["audit", "list"])
      for (const line of stdout.split("\n")) assert.isAtMost(line.length, 80)
      assert.include(stdout.replaceAll(/\n {6}(?=\S)/g, ""), who)
    }))

  it.scopedLive("say that there is no run rather than that something was done to one", () =>
    Effect.gen(function*() {
      const folder = yield* scratchFolder
      for (const verb of ["pause", "resume", "cancel"]) {
        const { stdout } = yield* control(folder, verb)
        assert.match(stdout, new RegExp(`^${verb}: no run to ${verb}\\n  detail    the store has no unfinished run\\n`))
      }
      const { stdout } = yield* control(folder, "status")
      assert.match(stdout, /^status: no run\n/)
      assert.include(stdout, "  verbs     the last one left cancelled; the next start sets it back\n")
    }))

  it.scopedLive("say what a verb changed: nothing, where it left the store, or a version", () =>
    Effect.gen(function*() {
      const folder = yield* scratchFolder
      yield* Effect.scoped(Effect.provide(beginCrashedRun(2), controlStoreIn(join(folder, ".tau/training"))))
      writeFileSync(join(folder, "c.json"), JSON.stringify({ optimize: [{ prompt: "2 + 2" }] }))
      const { code } = yield* tau(folder, ["--model=sim/arithmetic", "--prompt-optimization-config=c.json"])
      assert.strictEqual(code, 0)
      assert.notInclude((yield* control(folder, "status")).stdout, "  verbs ")
      const rollback = () => control(folder, "rollback", ".tau/training/policy-checkpoint.version-1.json")
      const first = yield* rollback()
      assert.match(first.stdout, /^rollback: rollback_requested \(nothing else changed\)\n.*is the latest already\n/)
      assert.match((yield* rollback()).stdout, /^rollback: rollback_requested \(nothing changed\)\n/)
      assert.match(
        (yield* control(folder, "cancel")).stdout,
        /^cancel: cancelled \(done\)\n {2}detail {4}no process works on run-0001-/
      )
    }))

  it.scopedLive("roll back to nothing but a checkpoint", () =>
    Effect.gen(function*() {
      const folder = yield* scratchFolder
      const { code, stderr } = yield* tau(folder, ["--prompt-optimization-control-rollback", "nowhere.json"])
      assert.strictEqual(code, 1)
      assert.match(stderr, /^tau: .*nowhere\.json: there is no such checkpoint\n$/)
      const state = join(folder, ".tau/training")
      mkdirSync(state, { recursive: true })
      writeFileSync(join(state, "policy-checkpoint.version-2.json"), "{}")
      const told = (version: string) =>
        Effect.map(tau(folder, ["--prompt-optimization-control-rollback", version]), ({ code, stderr }) => {
          assert.strictEqual(code, 1)
          return stderr
        })
      for (const version of ["2", "v2", "02"]) {
        assert.strictEqual(
          yield* told(version),
          `tau: ${version}: there is no such checkpoint; that of a version is .tau/training/policy-checkpoint.version-2.json\n`
        )
      }
      assert.strictEqual(yield* told("7"), "tau: 7: there is no such checkpoint; version 7 has none either\n")
    }))
})
