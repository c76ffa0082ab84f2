import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import { execFileSync } from "node:child_process"
import { existsSync, readFileSync, rmSync, writeFileSync } from "node:fs"
import { join } from "node:path"
import type { ControlChange } from "../../src/domain/Control.js"
import { WorkerId } from "../../src/domain/Ids.js"
import * as Control from "../../src/runtime/Control.js"
import { readAudit } from "../../src/runtime/ControlFiles.js"
import * as PolicyCheckpoint from "../../src/runtime/PolicyCheckpoint.js"
import { AuditTrail } from "../../src/store/AuditTrail.js"
import { ControlLog } from "../../src/store/ControlLog.js"
import { ResourceStore } from "../../src/store/ResourceStore.js"
import { RolloutQueue } from "../../src/store/RolloutQueue.js"
import { RunStanding } from "../../src/store/RunStanding.js"
import { beginCrashedRun, beginRun, withControl } from "../support/control.js"

const allowed = { allowed: true, reason: "allow_team_mode_disabled" } as const
const denied = { allowed: false, reason: "deny_unbound_principal" } as const

const request = (stateDir: string) => ({ stateDir, principal: "local:ada", decision: allowed })

const carryOut = (stateDir: string, verb: Exclude<ControlChange, "rollback">) =>
  Control.carryOut({ ...request(stateDir), verb })

const rollBack = (stateDir: string, checkpoint: string) =>
  Control.carryOut({ ...request(stateDir), verb: "rollback", checkpoint })

const json = (folder: string, name: string): Record<string, unknown> =>
  JSON.parse(readFileSync(join(folder, name), "utf8")) as Record<string, unknown>

const checkpoint = (step: number, runId = "run-0001-c0ffee"): PolicyCheckpoint.PolicyCheckpoint => ({
  checkpoint_version: 1,
  run_id: runId,
  policy_state: { resources_version: step },
  optimizer_state: {},
  global_step: 10 * step,
  optimizer_step: step,
  saved_at_unix_seconds: 1_700_000_000
})

const logged = Effect.map(
  Effect.flatMap(AuditTrail, (trail) => trail.last(10)),
  (entries) => entries.map(({ action, decision, detail }) => ({ action, decision, detail }))
)

describe("pause and cancel", () => {
  it.scoped("leave the state file at the verb that the store took last, whoever writes the file last", () =>
    withControl((folder) =>
      Effect.gen(function*() {
        yield* beginRun(1)
        const log = yield* ControlLog
        // Another process carries its verb out, files and all, between this one's commit and its files.
        const others = yield* Effect.context<Effect.Effect.Context<ReturnType<typeof carryOut>>>()
        const other = Effect.provide(Effect.orDie(carryOut(folder, "resume")), others)
        yield* carryOut(folder, "pause").pipe(
          Effect.provideService(ControlLog, { ...log, apply: (verb) => Effect.tap(log.apply(verb), () => other) })
        )
        assert.deepInclude(json(folder, "control-state.json"), { lifecycle_state: "running", last_action: "resume" })
      })
    ))

  it.scoped("leave the state file at what was done, whoever is denied a verb or asks at the same time", () =>
    withControl((folder) =>
      Effect.gen(function*() {
        yield* beginRun(1)
        const log = yield* ControlLog
        const others = yield* Effect.context<Effect.Effect.Context<ReturnType<typeof carryOut>>>()
        const other = { ...request(folder), principal: "local:eve" }
        const meanwhile = Effect.zipRight(
          Effect.exit(Control.carryOut({ ...other, decision: denied, verb: "cancel" })),
          Control.loggedStatus(other)
        ).pipe(Effect.provide(others), Effect.orDie)
        yield* carryOut(folder, "pause").pipe(
          Effect.provideService(ControlLog, { ...log, apply: (verb) => Effect.tap(log.apply(verb), () => meanwhile) })
        )
        assert.deepStrictEqual((yield* logged).map(({ action }) => action), ["status", "cancel", "pause"])
        assert.deepInclude(json(folder, "control-state.json"), { last_action: "pause", principal: "local:ada" })
      })
    ))

  it.scoped("leave exactly the documented fields in the state file and the audit log", () =>
    withControl((folder) =>
      Effect.gen(function*() {
        yield* beginRun(1)
        const answer = yield* carryOut(folder, "pause")
        assert.deepInclude(answer, { lifecycleState: "paused", idempotent: false })
        assert.deepInclude(answer.run, { state: "running", desired: "pause", total: 1 })
        assert.deepStrictEqual(json(folder, "control-state.json"), {
          schema_version: 1,
          updated_unix_ms: 0,
          lifecycle_state: "paused",
          last_action: "pause",
          principal: "local:ada",
          rollback_checkpoint: null
        })
        const { hash, n, ...row } = json(folder, "control-audit.jsonl")
        assert.match(`${String(n)} ${String(hash)}`, /^1 [0-9a-f]{64}$/)
        assert.deepStrictEqual(row, {
          schema_version: 1,
          timestamp_unix_ms: 0,
          principal: "local:ada",
          action: "pause",
          action_key: "control:rl:pause",
          lifecycle_state: "paused",
          idempotent: false,
          rollback_checkpoint: null,
          recovery_checkpoint_source: null
        })
      })
    ))

  it.scoped("are appended to the audit log each time, also when nothing changed", () =>
    withControl((folder) =>
      Effect.gen(function*() {
        for (const verb of ["pause", "pause", "cancel", "cancel"] as const) yield* carryOut(folder, verb)
        assert.deepStrictEqual(
          (yield* readAudit(folder)).map(({ action, idempotent }) => [action, idempotent]),
          [["pause", false], ["pause", true], ["cancel", false], ["cancel", true]]
        )
      })
    ))
})

describe("a verb that the policy denies", () => {
  it.scoped("changes nothing, and is in the store's log and the audit log", () =>
    withControl((folder) =>
      Effect.gen(function*() {
        yield* beginRun(1)
        const error = yield* Effect.flip(
          Control.carryOut({ ...request(folder), decision: denied, verb: "cancel" })
        )
        assert.strictEqual(error.message, "cancel denied to \"local:ada\": deny_unbound_principal")
        const { lifecycleState, run } = yield* Effect.flatMap(RunStanding, ({ now }) => now)
        assert.deepStrictEqual([lifecycleState, run?.desired], ["running", "run"])
        assert.isFalse(existsSync(join(folder, "control-state.json")))
        assert.deepInclude(json(folder, "control-audit.jsonl"), {
          action: "cancel",
          lifecycle_state: "running",
          decision: "deny_unbound_principal"
        })
        assert.deepInclude((yield* logged)[0], { action: "cancel", decision: "deny_unbound_principal" })
        yield* carryOut(folder, "pause")
        const { recovery } = yield* carryOut(folder, "resume")
        assert.deepStrictEqual(recovery?.replayed_actions, ["pause"])
      })
    ))
})

describe("the policy file", () => {
  it.scoped("decides when it is there, allows when it is not, and fails when it is no policy", () =>
    withControl((folder) =>
      Effect.gen(function*() {
        const file = join(folder, "rbac.json")
        assert.deepStrictEqual(yield* Control.authorize(file, "eve", "cancel"), allowed)
        writeFileSync(file, JSON.stringify({ schema_version: 1, team_mode: true }))
        assert.deepStrictEqual(yield* Control.authorize(file, "eve", "cancel"), denied)
        for (const text of ["", "{", "[]", "{\"schema_version\":1,\"team_mode\":\"no\"}"]) {
          writeFileSync(file, text)
          assert.include((yield* Effect.flip(Control.authorize(file, "eve", "cancel"))).message, file)
        }
        // Of a key that is there twice a reader takes the one and the next reader the other.
        writeFileSync(file, "{\"schema_version\":1,\"team_mode\":true,\"team_mode\":false}")
        assert.include((yield* Effect.flip(Control.authorize(file, "eve", "cancel"))).message, "$.team_mode: ")
        assert.strictEqual((yield* Effect.flip(Control.authorize(folder, "eve", "cancel")))._tag, "FileError")
      })
    ))
})

describe("resume", () => {
  it.scoped("replays the audit log and reports that there was no crash", () =>
    withControl((folder) =>
      Effect.gen(function*() {
        yield* beginRun(1)
        for (const verb of ["pause", "pause"] as const) yield* carryOut(folder, verb)
        const answer = yield* carryOut(folder, "resume")
        assert.deepInclude(answer, { lifecycleState: "running", idempotent: false })
        assert.deepStrictEqual(json(folder, "recovery-report.json"), {
          schema_version: 1,
          recovered_at_unix_ms: 0,
          principal: "local:ada",
          crash_detected: false,
          prior_lifecycle_state: "paused",
          prior_training_state: "paused",
          replayed_audit_events: 2,
          replayed_actions: ["pause", "pause"],
          checkpoint_source: null,
          checkpoint_run_id: null,
          checkpoint_global_step: null,
          checkpoint_optimizer_step: null,
          diagnostics: [],
          run: {
            run_id: "run-0001-c0ffee",
            rollouts: 1,
            finished: 0,
            resumed: 0,
            requeued: 0,
            calls_replayed: 0,
            tokens_saved: 0,
            resources_versions: [1]
          }
        })
      })
    ))

  it.scoped("counts what has finished, what was tried before, and what the dead process held", () =>
    withControl((folder) =>
      Effect.gen(function*() {
        const runId = yield* beginCrashedRun(6)
        yield* PolicyCheckpoint.save(folder, checkpoint(1))
        const queue = yield* RolloutQueue
        const worker = { runId, workerId: WorkerId.make("w1"), leaseMs: 3_000 }
        const [one, other, tired] = yield* queue.claim({ ...worker, limit: 3 })
        yield* queue.succeed(one!, { output: "4", score: 1, rewards: [], starts: true })
        yield* queue.succeed(other!, { output: "4", score: 1, rewards: [], starts: true })
        yield* queue.abandon(tired!, "broke down")
        assert.lengthOf(yield* queue.claim({ ...worker, limit: 2 }), 2)
        yield* carryOut(folder, "resume")
        assert.deepInclude(json(folder, "recovery-report.json")["run"], {
          rollouts: 6,
          finished: 2,
          resumed: 3,
          requeued: 2
        })
      })
    ))

  it.scoped("puts nothing back that a living process holds", () =>
    withControl((folder) =>
      Effect.gen(function*() {
        const runId = yield* beginRun(2)
        const queue = yield* RolloutQueue
        yield* queue.claim({ runId, workerId: WorkerId.make("w1"), leaseMs: 3_000, limit: 1 })
        yield* carryOut(folder, "resume")
        assert.deepInclude(json(folder, "recovery-report.json")["run"], { rollouts: 2, resumed: 1, requeued: 0 })
      })
    ))

  it.scoped("takes the primary checkpoint after a crash", () =>
    withControl((folder) =>
      Effect.gen(function*() {
        yield* beginCrashedRun(1)
        yield* PolicyCheckpoint.save(folder, checkpoint(1))
        const { recovery } = yield* carryOut(folder, "resume")
        assert.deepInclude(recovery, {
          crash_detected: true,
          checkpoint_source: "primary",
          checkpoint_run_id: "run-0001-c0ffee",
          checkpoint_global_step: 10,
          checkpoint_optimizer_step: 1,
          diagnostics: []
        })
        assert.strictEqual((yield* readAudit(folder))[0]?.recovery_checkpoint_source, "primary")
      })
    ))

  it.scoped("has nothing to note of a verb that a start of the run has undone since", () =>
    withControl((folder) =>
      Effect.gen(function*() {
        yield* PolicyCheckpoint.save(folder, checkpoint(1))
        yield* carryOut(folder, "pause")
        yield* beginCrashedRun(1)
        const { recovery } = yield* carryOut(folder, "resume")
        assert.deepInclude(recovery, {
          crash_detected: true,
          prior_lifecycle_state: "running",
          replayed_actions: ["pause"],
          diagnostics: []
        })
      })
    ))

  it.scoped("takes the fallback when the primary is damaged, and notes why", () =>
    withControl((folder) =>
      Effect.gen(function*() {
        yield* beginCrashedRun(1)
        for (const step of [1, 2]) yield* PolicyCheckpoint.save(folder, checkpoint(step, "run-0000-other"))
        writeFileSync(join(folder, "policy-checkpoint.json"), "{}")
        const { recovery } = yield* carryOut(folder, "resume")
        assert.deepInclude(recovery, { checkpoint_source: "fallback", checkpoint_global_step: 10 })
        assert.include(recovery?.diagnostics[0], "policy-checkpoint.json")
        assert.include(recovery?.diagnostics[1], "the checkpoint is of run-0000-other")
        assert.strictEqual((yield* readAudit(folder))[0]?.recovery_checkpoint_source, "fallback")
      })
    ))

  it.scoped("fails closed after a crash without a checkpoint, and changes nothing", () =>
    withControl((folder) =>
      Effect.gen(function*() {
        yield* beginCrashedRun(1)
        yield* carryOut(folder, "pause")
        const error = yield* Effect.flip(carryOut(folder, "resume"))
        assert.include(error.message, "resume recovery guardrail")
        assert.include(error.message, "running config.json again continues them")
        const { run } = yield* Effect.flatMap(RunStanding, ({ now }) => now)
        assert.deepInclude(run, { desired: "pause", hasCrashed: true })
        assert.isFalse(existsSync(join(folder, "recovery-report.json")))
        assert.strictEqual(json(folder, "control-state.json")["last_action"], "pause")
        assert.deepStrictEqual((yield* readAudit(folder)).map(({ outcome }) => outcome), [undefined, "failed"])
        assert.include((yield* logged)[0]?.detail, "resume recovery guardrail")
      })
    ))

  it.scoped("names the line of the audit log that is malformed, and keeps it malformed", () =>
    withControl((folder) =>
      Effect.gen(function*() {
        const file = join(folder, "control-audit.jsonl")
        yield* carryOut(folder, "pause")
        writeFileSync(file, "{\"schema\":1,", { flag: "a" })
        yield* carryOut(folder, "pause")
        const error = yield* Effect.flip(carryOut(folder, "resume"))
        assert.include(error.message, `${file}: line 2 is not an audit row`)
        assert.deepStrictEqual(readFileSync(file, "utf8").split("\n").map((line) => line.slice(0, 10)), [
          "{\"schema_v",
          "{\"schema\":",
          "{\"schema_v",
          "{\"schema_v",
          ""
        ])
        const { lifecycleState } = yield* Effect.flatMap(RunStanding, ({ now }) => now)
        assert.strictEqual(lifecycleState, "paused")
      })
    ))

  it.scoped("is refused, as is every verb, where a pipe stands in the place of the audit file", () =>
    withControl((folder) =>
      Effect.gen(function*() {
        const file = join(folder, "control-audit.jsonl")
        execFileSync("mkfifo", [file])
        const error = yield* Effect.flip(carryOut(folder, "pause"))
        assert.strictEqual(error.message, `${file}: expected a regular file`)
        assert.strictEqual((yield* Effect.flatMap(RunStanding, ({ now }) => now)).lifecycleState, "running")
      })
    ))

  it.scoped("first adds to the audit file what an earlier process did not live to write", () =>
    withControl((folder) =>
      Effect.gen(function*() {
        yield* carryOut(folder, "pause")
        const log = yield* ControlLog
        yield* log.apply({
          verb: "cancel",
          principal: "x",
          decision: allowed.reason,
          resourcesVersion: null,
          rollbackCheckpoint: null,
          checkpointSource: null
        })
        const { recovery } = yield* carryOut(folder, "resume")
        assert.deepStrictEqual(recovery?.replayed_actions, ["pause", "cancel"])
        assert.deepStrictEqual(recovery?.diagnostics, [])
        assert.deepStrictEqual((yield* readAudit(folder)).map(({ n }) => n), [1, 2, 3])
      })
    ))

  it.scoped("and every other verb is refused while the audit file is of another state of the store", () =>
    withControl((folder) =>
      Effect.gen(function*() {
        const file = join(folder, "control-audit.jsonl")
        yield* carryOut(folder, "pause")
        const before = readFileSync(file, "utf8")
        // As after a backup was restored: the file shows verbs that the store has forgotten.
        writeFileSync(file, before + before.replace("\"n\":1", "\"n\":2"))
        for (const verb of ["pause", "resume", "cancel"] as const) {
          const { message } = yield* Effect.flip(carryOut(folder, verb))
          assert.include(message, `${file}: it shows a row 2 that the store does not have`)
          // The refusals are rows of the store too, under the numbers that the file shows for others.
        }
        assert.strictEqual((yield* Effect.flatMap(RunStanding, ({ now }) => now)).lifecycleState, "paused")
        rmSync(file)
        assert.isFalse((yield* carryOut(folder, "resume")).idempotent)
        assert.deepStrictEqual((yield* readAudit(folder)).map(({ n, outcome }) => [n, outcome]), [
          [1, undefined],
          [2, "failed"],
          [3, "failed"],
          [4, "failed"],
          [5, undefined]
        ])
      })
    ))
})

describe("rollback", () => {
  const publish = Effect.flatMap(
    ResourceStore,
    (resources) => Effect.forEach(["one", "two"], (prompt) => resources.publish({ system_prompt: prompt }, "test"))
  )
  const latest = Effect.map(
    Effect.flatMap(ResourceStore, (resources) => resources.latest),
    (version) => Option.getOrThrow(version).version
  )

  it.scoped("makes the version of a checkpoint the latest", () =>
    withControl((folder) =>
      Effect.gen(function*() {
        yield* publish
        yield* PolicyCheckpoint.save(folder, checkpoint(1))
        const file = join(folder, "policy-checkpoint.json")
        const answer = yield* rollBack(folder, file)
        assert.deepInclude(answer, {
          lifecycleState: "rollback_requested",
          idempotent: false,
          rollbackCheckpoint: file,
          resourcesVersion: 1
        })
        assert.strictEqual(yield* latest, 1)
        assert.strictEqual(json(folder, "control-state.json")["rollback_checkpoint"], file)
        assert.isTrue((yield* rollBack(folder, file)).idempotent)
      })
    ))

  it.scoped("refuses a checkpoint that is missing, malformed or of a version the store does not have", () =>
    withControl((folder) =>
      Effect.gen(function*() {
        yield* publish
        const file = join(folder, "checkpoint.json")
        const message = Effect.map(Effect.flip(rollBack(folder, file)), (error) => error.message)
        assert.include(yield* message, "there is no such checkpoint")
        writeFileSync(file, "[]")
        assert.include(yield* message, file)
        writeFileSync(file, JSON.stringify({ ...checkpoint(1), policy_state: {} }))
        assert.include(yield* message, "must be a whole number greater than 0, found nothing")
        writeFileSync(file, JSON.stringify(checkpoint(3)))
        assert.include(yield* message, "resources version 3 is not in the store, which has versions 1 to 2")
        assert.strictEqual(yield* latest, 2)
        assert.isFalse(existsSync(join(folder, "control-state.json")))
        assert.strictEqual((yield* logged).length, 4)
      })
    ))
})
