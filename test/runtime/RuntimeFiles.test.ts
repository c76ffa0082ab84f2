import { assert, describe, it } from "@effect/vitest"
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as Option from "effect/Option"
import { existsSync, mkdirSync, readFileSync, rmSync, utimesSync, writeFileSync } from "node:fs"
import { join } from "node:path"
import type { ControlChange } from "../../src/domain/Control.js"
import * as Control from "../../src/runtime/Control.js"
import * as PolicyCheckpoint from "../../src/runtime/PolicyCheckpoint.js"
import { follow, runtimeFolderOf } from "../../src/runtime/RuntimeFiles.js"
import { ControlLog } from "../../src/store/ControlLog.js"
import { ResourceStore } from "../../src/store/ResourceStore.js"
import { beginCrashedRun, beginRun, controlStoreIn, withControl } from "../support/control.js"
import { type FakeAgent, runIn, runtimeAt, storePathIn } from "../support/runtime.js"
import { scratchFolder } from "../support/store.js"
import { eventually } from "../support/upstream.js"

const json = (...path: ReadonlyArray<string>): Record<string, unknown> =>
  JSON.parse(readFileSync(join(...path), "utf8")) as Record<string, unknown>

const eventsIn = (folder: string) =>
  readFileSync(join(folder, "runtime/events.jsonl"), "utf8").trim().split("\n").map((line) =>
    JSON.parse(line) as Record<string, unknown>
  )
const codesIn = (folder: string) => eventsIn(folder).map((event) => event["reason_code"])

const execute = (folder: string, agent: FakeAgent, count: number, config?: Parameters<typeof runIn>[2]) =>
  Effect.provide(runIn(folder, count, config), runtimeAt(folder, { heartbeatIntervalMs: 5_000, ...agent }))

const apply = (verb: Exclude<ControlChange, "rollback">) =>
  Effect.flatMap(ControlLog, (log) =>
    log.apply({
      verb,
      principal: "test",
      decision: "allow_team_mode_disabled",
      resourcesVersion: null,
      rollbackCheckpoint: null,
      checkpointSource: null
    }))

describe("the runtime files", () => {
  it("are in the state root, of which the default store's folder is a part", () => {
    assert.strictEqual(runtimeFolderOf(".tau/training/store.sqlite"), join(".tau", "runtime"))
    assert.strictEqual(runtimeFolderOf("/data/my.sqlite"), "/data/runtime")
  })

  it.scopedLive("are rid of what killed processes left half written, by the next run", () =>
    Effect.gen(function*() {
      const folder = yield* scratchFolder
      mkdirSync(join(folder, "runtime/jobs"), { recursive: true })
      const names = [
        ".status.json.7.tmp",
        "policy-checkpoint.json.7.0123abcd.tmp",
        "runtime/jobs/run-1.json.7.0123abcd.tmp"
      ]
      const [others, underWay] = [["notes.tmp", "config.json"], "runtime/state.json.7.0123abcd.tmp"]
      for (const name of [...names, ...others, underWay]) {
        writeFileSync(join(folder, name), "{")
        if (name !== underWay) utimesSync(join(folder, name), 0, 0)
      }
      yield* execute(folder, { execute: () => Effect.succeed({ output: "4" }) }, 1)
      assert.deepStrictEqual(names.filter((name) => existsSync(join(folder, name))), [])
      assert.deepStrictEqual([...others, underWay].filter((name) => !existsSync(join(folder, name))), [])
    }))

  it.scopedLive("tell of a run from its queue to its end, in documented fields", () =>
    Effect.gen(function*() {
      const folder = yield* scratchFolder
      yield* execute(folder, { execute: () => Effect.succeed({ output: "4" }) }, 2)
      assert.deepStrictEqual(codesIn(folder), ["job_queued", "job_started", "job_succeeded"])
      assert.deepStrictEqual(Object.keys(eventsIn(folder)[0]!), [
        "schema_version",
        "n",
        "timestamp_unix_ms",
        "run_id",
        "start",
        "reason_code"
      ])
      const manifest = json(folder, "runtime/jobs/run-0001-c0ffee.json")
      assert.deepInclude(manifest, {
        schema_version: 1,
        run_id: "run-0001-c0ffee",
        state: "completed",
        pid: process.pid,
        start: 1,
        config_path: "config.json",
        config_hash: "c0ffee2",
        store_path: storePathIn(folder),
        restart_command: null,
        resume: {
          finished_before: 0,
          requeued: 0,
          unknown_calls: 0,
          calls_replayed: 0,
          tokens_saved: 0,
          resources_versions: [1]
        }
      })
      assert.match(String(manifest["started_at"]), /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/)
      assert.deepInclude(json(folder, "runtime/state.json"), {
        schema_version: 1,
        counters: { job_queued: 1, job_started: 1, job_succeeded: 1 },
        queue_depth: 0,
        running_runs: [],
        recent_reason_codes: ["job_queued", "job_started", "job_succeeded"],
        diagnostics: []
      })
    }))

  it.scopedLive("name a timeout, and say what an operator should look at", () =>
    Effect.gen(function*() {
      const folder = yield* scratchFolder
      yield* execute(folder, { execute: () => Effect.never }, 2, { completion_timeout_secs: 1 })
      assert.strictEqual(codesIn(folder).at(-1), "job_timeout")
      assert.deepInclude(json(folder, "runtime/state.json"), {
        queue_depth: 2,
        diagnostics: ["run-0001-c0ffee stopped before its end: completion_timeout"]
      })
    }))

  it.scoped("tell a run that was cancelled before anything of it started from one that was cancelled later", () =>
    withControl((folder) =>
      Effect.gen(function*() {
        yield* beginCrashedRun(2)
        yield* apply("cancel")
        yield* follow(storePathIn(folder))
        assert.deepStrictEqual(codesIn(folder), [
          "job_queued",
          "job_started",
          "job_recovered_after_restart",
          "job_cancelled_before_start"
        ])
        assert.strictEqual(json(folder, "runtime/jobs/run-0001-c0ffee.json")["state"], "cancelled")
      })
    ))

  it.scoped("are made again from the store when they are lost, each event once", () =>
    withControl((folder) =>
      Effect.gen(function*() {
        yield* beginRun(1)
        yield* follow(storePathIn(folder))
        const before = readFileSync(join(folder, "runtime/events.jsonl"), "utf8")
        rmSync(join(folder, "runtime"), { recursive: true })
        for (let n = 0; n < 3; n++) yield* follow(storePathIn(folder))
        assert.strictEqual(readFileSync(join(folder, "runtime/events.jsonl"), "utf8"), before)
        assert.isTrue(existsSync(join(folder, "runtime/jobs/run-0001-c0ffee.json")))
      })
    ))

  it.scoped("are not carried on where a backup was put back whose last event has the number of another", () =>
    withControl((folder) =>
      Effect.gen(function*() {
        yield* beginRun(1)
        yield* follow(storePathIn(folder))
        const file = join(folder, "runtime/events.jsonl")
        const [first, last] = eventsIn(folder)
        const shown = [first, { ...last, timestamp_unix_ms: Number(last!["timestamp_unix_ms"]) + 7 }]
        const lines = shown.map((event) => `${JSON.stringify(event)}\n`).join("")
        writeFileSync(file, lines)
        yield* apply("cancel")
        const { message } = yield* Effect.flip(follow(storePathIn(folder)))
        assert.include(message, "events.jsonl: it shows a row 2 that the store does not have")
        assert.strictEqual(readFileSync(file, "utf8"), lines)
      })
    ))
})

describe("the checkpoints of a run", () => {
  it.scopedLive("follow every version that is promoted, and stand for the last one at the end", () =>
    Effect.gen(function*() {
      const folder = yield* scratchFolder
      const gate = yield* Deferred.make<void>()
      const started = yield* Deferred.make<void>()
      const agent: FakeAgent = {
        execute: () =>
          Deferred.succeed(started, undefined).pipe(
            Effect.zipRight(Deferred.await(gate)),
            Effect.as({ output: "4" })
          )
      }
      yield* Effect.gen(function*() {
        const resources = yield* ResourceStore
        const fiber = yield* Effect.fork(runIn(folder, 1, { resources: { system_prompt: "one" } }))
        yield* Deferred.await(started)
        const version = (file: string) =>
          Effect.map(
            Effect.option(PolicyCheckpoint.read(join(folder, file))),
            (found) => found._tag === "Some" ? found.value.policy_state["resources_version"] : undefined
          )
        assert.strictEqual(yield* version("policy-checkpoint.json"), 1)
        for (const [index, text] of ["two", "three"].entries()) {
          yield* resources.publish({ system_prompt: text }, "search")
          yield* eventually(
            `a checkpoint of version ${index + 2}`,
            Effect.map(version("policy-checkpoint.json"), (found) => found === index + 2 ? true : undefined)
          )
          assert.strictEqual(yield* version("policy-checkpoint.rollback.json"), index + 1)
        }
        yield* Deferred.succeed(gate, undefined)
        const summary = yield* Fiber.join(fiber)
        // What was enqueued under the first version stays under it.
        assert.deepStrictEqual(summary.resume.resourcesVersions, [1])
        assert.deepInclude(yield* PolicyCheckpoint.read(join(folder, "policy-checkpoint.json")), {
          policy_state: { resources_version: 3 },
          optimizer_step: 2,
          global_step: 1
        })
        // The end has saved the third version once more: only its own file names the version before.
        assert.strictEqual(yield* version("policy-checkpoint.rollback.json"), 3)
        for (const n of [1, 2, 3]) assert.strictEqual(yield* version(`policy-checkpoint.version-${n}.json`), n)
        const checkpoint = join(folder, "policy-checkpoint.version-2.json")
        const decision = { allowed: true, reason: "allow_team_mode_disabled" } as const
        yield* Control.carryOut({ stateDir: folder, principal: "ada", decision, verb: "rollback", checkpoint }).pipe(
          Effect.provide(controlStoreIn(folder))
        )
        assert.strictEqual(Option.getOrThrow(yield* resources.latest).version, 2)
      }).pipe(Effect.provide(runtimeAt(folder, { ...agent, heartbeatIntervalMs: 5_000 })))
    }))
})
