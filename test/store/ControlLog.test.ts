import { assert, describe, it } from "@effect/vitest"
import Sqlite from "better-sqlite3"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import * as TestClock from "effect/TestClock"
import { join } from "node:path"
import { WorkerId } from "../../src/domain/Ids.js"
import { AuditTrail } from "../../src/store/AuditTrail.js"
import { ControlLog } from "../../src/store/ControlLog.js"
import { ResourceStore } from "../../src/store/ResourceStore.js"
import { RolloutQueue } from "../../src/store/RolloutQueue.js"
import { RunStanding } from "../../src/store/RunStanding.js"
import { RunStore } from "../../src/store/RunStore.js"
import { beginCrashedRun, beginRun, controlStoreIn, withControl } from "../support/control.js"
import { rowsOf } from "../support/store.js"

const apply = (verb: "pause" | "resume" | "cancel" | "rollback", resourcesVersion: number | null = null) =>
  Effect.flatMap(
    ControlLog,
    (log) =>
      log.apply({
        verb,
        principal: "local:ada",
        decision: "allow_team_mode_disabled",
        resourcesVersion,
        rollbackCheckpoint: null,
        checkpointSource: null
      })
  )

const standing = Effect.flatMap(RunStanding, ({ now }) => now)
const entries = Effect.flatMap(AuditTrail, (trail) => trail.last(100))

describe("ControlLog", () => {
  it.scoped("pauses the live run so that nothing new is claimed, and lets it go on", () =>
    withControl(() =>
      Effect.gen(function*() {
        const queue = yield* RolloutQueue
        const runId = yield* beginRun(2)
        const claim = queue.claim({ runId, workerId: WorkerId.make("w1"), leaseMs: 1_000, limit: 1 })
        assert.deepInclude(yield* apply("pause"), { lifecycleState: "paused", idempotent: false })
        assert.deepStrictEqual(yield* claim, [])
        assert.deepInclude((yield* standing).run, { desired: "pause", isLive: true, hasCrashed: false })
        assert.deepInclude(yield* apply("resume"), { lifecycleState: "running", idempotent: false })
        assert.strictEqual((yield* claim).length, 1)
      })
    ))

  it.scoped("says when a verb had nothing to change", () =>
    withControl(() =>
      Effect.gen(function*() {
        yield* beginRun(1)
        assert.isTrue((yield* apply("resume")).idempotent)
        for (const verb of ["pause", "cancel"] as const) {
          assert.isFalse((yield* apply(verb)).idempotent)
          assert.isTrue((yield* apply(verb)).idempotent)
        }
        assert.deepStrictEqual((yield* entries).map(({ action, idempotent }) => `${action} ${idempotent}`), [
          "cancel 1",
          "cancel 0",
          "pause 1",
          "pause 0",
          "resume 1"
        ])
      })
    ))

  it.scoped("says what follows from a verb: for a process that works, for one that is silent, and where none does", () =>
    Effect.gen(function*() {
      const detailOf = (verb: "pause" | "resume" | "cancel") => Effect.map(apply(verb), ({ detail }) => detail)
      yield* withControl((folder) =>
        Effect.gen(function*() {
          const heardMsAgo = (ms: number) => {
            const file = new Sqlite(join(folder, "store.sqlite"))
            file.prepare("UPDATE processes SET heartbeat_at_ms = -?").run(ms)
            file.close()
          }
          const runId = yield* beginRun(2)
          const pausing = `${runId} starts no new attempts and lets running ones finish`
          assert.strictEqual(yield* detailOf("resume"), `${runId} continues`)
          heardMsAgo(15_000)
          assert.strictEqual(yield* detailOf("pause"), pausing)
          assert.strictEqual(yield* detailOf("pause"), `${runId} was told to pause before`)
          heardMsAgo(20_000)
          const silent = `, as soon as it moves again: process ${process.pid} has not been heard of for 20 s`
          assert.strictEqual(yield* detailOf("resume"), `${runId} continues${silent}`)
          assert.strictEqual(
            yield* detailOf("cancel"),
            `${runId} interrupts its attempts; its 2 unfinished rollouts are cancelled${silent}`
          )
          assert.strictEqual(yield* detailOf("cancel"), `${runId} was told to cancel before`)
        })
      )
      yield* withControl(() =>
        Effect.gen(function*() {
          const nobody = `no process works on ${yield* beginCrashedRun(1)}`
          assert.strictEqual(yield* detailOf("pause"), `${nobody}; it is marked paused`)
          assert.strictEqual(yield* detailOf("resume"), nobody)
          assert.strictEqual(yield* detailOf("cancel"), `${nobody}; its 1 unfinished rollout is cancelled`)
        })
      )
    }))

  it.scoped("cancels a live run that has nothing queued just now, as a search between two steps", () =>
    withControl(() =>
      Effect.gen(function*() {
        yield* beginRun(0)
        assert.deepInclude(yield* apply("cancel"), { changed: true, lifecycleState: "cancelled" })
        assert.deepInclude((yield* standing).run, { desired: "cancel" })
      })
    ))

  it.scoped("closes the start that crashed with the run that is cancelled, and leaves earlier starts as they ended", () =>
    withControl((folder) =>
      Effect.gen(function*() {
        const runId = yield* beginRun(1)
        yield* Effect.flatMap(RunStore, (runs) => runs.end(runId, "running", "signal"))
        yield* TestClock.adjust("1 second")
        yield* beginCrashedRun(1)
        yield* apply("cancel")
        assert.deepStrictEqual(
          rowsOf(join(folder, "store.sqlite"), "SELECT ended_at_ms, end_reason FROM run_starts ORDER BY n"),
          [
            { ended_at_ms: 0, end_reason: "signal" },
            { ended_at_ms: 1000, end_reason: "cancelled" },
            { ended_at_ms: 1000, end_reason: "cancelled" }
          ]
        )
      })
    ))

  it.scoped("cancels at once, fences the attempts, leaves it to the live process to close the run, and undoes nothing", () =>
    withControl(() =>
      Effect.gen(function*() {
        const queue = yield* RolloutQueue
        const runId = yield* beginRun(2)
        const [claim] = yield* queue.claim({ runId, workerId: WorkerId.make("w1"), leaseMs: 1_000, limit: 1 })
        assert.deepInclude(yield* apply("cancel"), { lifecycleState: "cancelled", idempotent: false })
        assert.deepInclude((yield* standing).run, { state: "running", desired: "cancel", cancelled: 2, isLive: true })
        assert.strictEqual((yield* queue.heartbeat([claim!], 1_000)).size, 0)
        const late = yield* Effect.flip(queue.succeed(claim!, { output: "late", score: 1, rewards: [] }))
        assert.strictEqual(late._tag, "LeaseLost")
        for (const verb of ["pause", "resume"] as const) {
          const refusal = yield* apply(verb)
          assert.deepInclude(refusal, { refused: true, idempotent: true, lifecycleState: "cancelled" })
          assert.include(refusal.detail, "cannot be undone")
        }
        assert.deepInclude((yield* standing).run, { desired: "cancel" })
        assert.strictEqual((yield* entries).length, 3)
      })
    ))

  it.scoped("cancels a run at once when its process is dead", () =>
    withControl(() =>
      Effect.gen(function*() {
        const runId = yield* beginCrashedRun(3)
        assert.deepInclude((yield* standing).run, { hasCrashed: true, isLive: false })
        assert.deepInclude(yield* apply("cancel"), { lifecycleState: "cancelled", idempotent: false })
        assert.deepInclude(yield* standing, { lifecycleState: "cancelled" })
        assert.deepInclude((yield* standing).run, { id: runId, state: "cancelled", cancelled: 3, hasCrashed: false })
        assert.isTrue((yield* apply("cancel")).idempotent)
        assert.notStrictEqual(yield* beginRun(3), runId)
      })
    ))

  it.scoped("cancels a run at once when its process ended cleanly before the run did", () =>
    withControl((folder) =>
      Effect.gen(function*() {
        const store = controlStoreIn(folder)
        const elsewhere = join(folder, "stopped")
        yield* Effect.flatMap(beginRun(2), (runId) =>
          Effect.flatMap(RunStore, (runs) => runs.end(runId, "running", "signal"))).pipe(
            Effect.provide(controlStoreIn(elsewhere))
          )
        yield* Effect.gen(function*() {
          assert.deepInclude((yield* standing).run, { isLive: false, hasCrashed: false })
          yield* apply("cancel")
          assert.deepInclude((yield* standing).run, { state: "cancelled", cancelled: 2 })
        }).pipe(Effect.provide(controlStoreIn(elsewhere)))
        assert.isNull((yield* Effect.provide(standing, store)).run)
      })
    ))

  it.scoped("finishes a cancel that the run's process did not live to carry out", () =>
    withControl(() =>
      Effect.gen(function*() {
        const runId = yield* beginRun(2)
        yield* apply("cancel")
        yield* Effect.flatMap(RunStore, (runs) => runs.end(runId, "running", "error"))
        assert.isFalse((yield* apply("cancel")).idempotent)
        assert.deepInclude((yield* standing).run, { state: "cancelled", cancelled: 2 })
      })
    ))

  it.scoped("acts on the unfinished run that was started last", () =>
    withControl(() =>
      Effect.gen(function*() {
        const first = yield* beginRun(1, "aaaaaa")
        yield* TestClock.adjust("1 second")
        yield* beginRun(1, "bbbbbb")
        yield* TestClock.adjust("1 second")
        yield* beginRun(1, "aaaaaa")
        assert.strictEqual((yield* standing).run?.id, first)
        yield* apply("pause")
        yield* Effect.flatMap(RunStore, (runs) => runs.end(first, "completed", null))
        assert.deepInclude((yield* standing).run, { desired: "run" })
      })
    ))

  it.scoped("a run that is started again is running, whatever the last verb was", () =>
    withControl(() =>
      Effect.gen(function*() {
        yield* beginRun(1)
        yield* apply("pause")
        yield* TestClock.adjust("1 second")
        yield* beginRun(1)
        assert.strictEqual((yield* standing).lifecycleState, "running")
        assert.isFalse((yield* apply("pause")).idempotent)
        yield* apply("rollback", 1)
        assert.strictEqual((yield* standing).lifecycleState, "rollback_requested")
        yield* TestClock.adjust("1 second")
        yield* beginRun(1)
        assert.strictEqual((yield* standing).lifecycleState, "running")
      })
    ))

  it.scoped("works where there is no run", () =>
    withControl(() =>
      Effect.gen(function*() {
        assert.deepStrictEqual(yield* standing, { lifecycleState: "running", run: null })
        const paused = yield* apply("pause")
        assert.deepInclude(paused, { lifecycleState: "paused", changed: false, idempotent: false, refused: false })
        assert.include(paused.detail, "no unfinished run")
        assert.isTrue((yield* apply("pause")).idempotent)
        assert.isFalse((yield* apply("resume")).idempotent)
        const refusalOf = Effect.map(apply("rollback", 2), ({ detail }) => detail)
        assert.strictEqual(yield* refusalOf, "resources version 2 is not in the store, which has no versions")
        yield* Effect.flatMap(ResourceStore, (resources) => resources.publish({ system_prompt: "one" }, "test"))
        assert.strictEqual(yield* refusalOf, "resources version 2 is not in the store, which has only version 1")
      })
    ))

  it.scoped("rolls back by moving the mark of the latest version, and changes no version", () =>
    withControl(() =>
      Effect.gen(function*() {
        const resources = yield* ResourceStore
        for (const prompt of ["one", "two", "three"]) yield* resources.publish({ system_prompt: prompt }, "test")
        const before = yield* resources.list
        assert.deepInclude(yield* apply("rollback", 2), { lifecycleState: "rollback_requested", idempotent: false })
        assert.strictEqual(Option.getOrThrow(yield* resources.latest).version, 2)
        assert.deepStrictEqual(
          (yield* resources.list).map((each) => ({ ...each, isLatest: false })),
          before.map((each) => ({ ...each, isLatest: false }))
        )
        assert.isTrue((yield* apply("rollback", 2)).idempotent)
        // The lifecycle is another after it, though no version is.
        yield* apply("pause")
        const again = yield* apply("rollback", 2)
        assert.deepInclude(again, { changed: false, idempotent: false, lifecycleState: "rollback_requested" })
        const refusal = yield* apply("rollback", 9)
        assert.deepInclude(refusal, { refused: true, lifecycleState: "rollback_requested" })
        assert.include(refusal.detail, "resources version 9 is not in the store, which has versions 1 to 3")
        assert.strictEqual(Option.getOrThrow(yield* resources.latest).version, 2)
        assert.strictEqual(yield* resources.publish({ system_prompt: "four" }, "test"), 4)
        assert.strictEqual(Option.getOrThrow(yield* resources.latest).parentVersion, 2)
      })
    ))

  it.scoped("keeps denied verbs, and no line can be changed, replaced or removed", () =>
    withControl((folder) =>
      Effect.gen(function*() {
        const log = yield* ControlLog
        yield* log.record({
          verb: "cancel",
          principal: "eve",
          decision: "deny_unbound_principal",
          detail: "no",
          outcome: "denied"
        })
        yield* apply("pause")
        const kept = yield* entries
        const file = new Sqlite(join(folder, "store.sqlite"))
        for (
          const sql of [
            "UPDATE control_log SET principal = 'ada'",
            "DELETE FROM control_log",
            `INSERT OR REPLACE INTO control_log (n, at_ms, principal, action, action_key, lifecycle_state, idempotent, decision, detail, prev_hash, hash)
             SELECT 1, 0, 'x', 'pause', 'x', 'paused', 0, 'x', 'x', hash, hash FROM control_log WHERE n = 2`
          ]
        ) assert.throws(() => file.exec(sql), /append-only/)
        file.close()
        assert.deepStrictEqual(yield* entries, kept)
        assert.deepInclude({ ...kept[1] }, {
          n: 1,
          action: "cancel",
          actionKey: "control:rl:cancel",
          decision: "deny_unbound_principal",
          lifecycleState: "running",
          idempotent: 1
        })
      })
    ))
})
