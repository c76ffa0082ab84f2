import { assert, describe, it } from "@effect/vitest"
import Sqlite from "better-sqlite3"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as Layer from "effect/Layer"
import * as Option from "effect/Option"
import * as Scope from "effect/Scope"
import * as TestClock from "effect/TestClock"
import { type RunId, WorkerId } from "../../src/domain/Ids.js"
import { Leases } from "../../src/runtime/Leases.js"
import { RolloutQueue } from "../../src/store/RolloutQueue.js"
import { RolloutStore } from "../../src/store/RolloutStore.js"
import { RunStore } from "../../src/store/RunStore.js"
import { announcing, storePathIn } from "../support/runtime.js"
import { scratchFolder, storeAt } from "../support/store.js"
import { eventually } from "../support/upstream.js"

const intervalMs = 1_000
const leaseMs = 3 * intervalMs
const workerId = WorkerId.make("w1")

const withLeases = <A, E, R>(test: (runId: RunId, storePath: string) => Effect.Effect<A, E, R>) =>
  Effect.flatMap(scratchFolder, (folder) =>
    Effect.provide(
      Effect.gen(function*() {
        const runs = yield* RunStore
        const { runId } = yield* runs.begin({
          configHash: "c0ffee",
          config: {},
          configPath: "config.json",
          modelRef: "fake/model",
          resources: null,
          rollouts: [{ mode: "train", input: {} }],
          attemptsMax: 3
        })
        return yield* test(runId, storePathIn(folder))
      }),
      Leases.layer({ heartbeatIntervalMs: intervalMs }).pipe(
        Layer.provideMerge(announcing([])),
        Layer.provideMerge(storeAt(storePathIn(folder)))
      )
    ))

const claimIn = (runId: RunId, scope: Scope.Scope) =>
  Effect.flatMap(Leases, (leases) => leases.claim(runId, workerId)).pipe(
    Effect.map(Option.getOrThrow),
    Scope.extend(scope)
  )

const onlyRollout = (runId: RunId) =>
  Effect.flatMap(RolloutStore, (rollouts) => rollouts.page(runId, -1, 1)).pipe(Effect.map(([rollout]) => rollout!))

const onlyAttempts = (runId: RunId) =>
  Effect.flatMap(onlyRollout(runId), ({ id }) => Effect.flatMap(RolloutStore, (rollouts) => rollouts.attempts(id)))

describe("Leases", () => {
  it.scoped("keeps a claim for as long as heartbeats are written", () =>
    withLeases((runId) =>
      Effect.gen(function*() {
        const leases = yield* Leases
        const queue = yield* RolloutQueue
        const lease = yield* claimIn(runId, yield* Effect.scope)
        const ended = yield* Effect.fork(lease.ended)
        yield* Effect.fork(leases.heartbeat)
        yield* leases.renewed
        for (let n = 0; n < 8; n++) {
          yield* TestClock.adjust(intervalMs)
          yield* leases.renewed
          assert.deepStrictEqual(yield* queue.rescue(runId), [])
        }
        yield* lease.confirm
        assert.isTrue(Option.isNone(yield* Fiber.poll(ended)))
      })
    ))

  it.scoped("ends a lease at the first heartbeat after somebody else decided over the rollout", () =>
    withLeases((runId) =>
      Effect.gen(function*() {
        const leases = yield* Leases
        const lease = yield* claimIn(runId, yield* Effect.scope)
        yield* Effect.flatMap(RolloutQueue, (queue) => queue.cancel(runId))
        yield* Effect.fork(leases.heartbeat)
        const end = yield* Effect.flip(lease.ended)
        assert.strictEqual(end.reason, "lost")
      })
    ))

  it.scoped("ends a lease by its own clock before the store does, when heartbeats cannot be written", () =>
    withLeases((runId, storePath) =>
      Effect.gen(function*() {
        const leases = yield* Leases
        const queue = yield* RolloutQueue
        const lease = yield* claimIn(runId, yield* Effect.scope)
        const ended = yield* Effect.fork(Effect.flip(lease.ended))
        const intruder = new Sqlite(storePath)
        intruder.exec("BEGIN IMMEDIATE")
        yield* Effect.fork(leases.heartbeat)
        yield* TestClock.adjust(2.5 * intervalMs - 1)
        assert.isTrue(Option.isNone(yield* Fiber.poll(ended)))
        yield* lease.confirm
        yield* TestClock.adjust(1)
        assert.strictEqual((yield* Fiber.join(ended)).reason, "expired")
        assert.strictEqual((yield* Effect.flip(lease.confirm)).reason, "expired")
        intruder.close()
        // The store still counts the lease as live: the attempt stopped first.
        assert.deepStrictEqual(yield* queue.rescue(runId), [])
        yield* TestClock.adjust(leaseMs)
      })
    ))

  it.scoped("keeps its claims through a sleep of the machine, from which it wakes in the middle of anything", () =>
    withLeases((runId) =>
      Effect.gen(function*() {
        const leases = yield* Leases
        const lease = yield* claimIn(runId, yield* Effect.scope)
        // The sweep comes before any renewal.
        yield* TestClock.adjust("8 hours")
        assert.deepStrictEqual(yield* leases.rescue(runId), [])
        yield* Effect.flatMap(RolloutQueue, (queue) => queue.start(lease.claim))
        assert.strictEqual((yield* onlyRollout(runId)).status, "running")
      })
    ))

  it.scopedLive("ends a lease by its own clock when the event loop was starved beyond it", () =>
    withLeases((runId) =>
      Effect.gen(function*() {
        const lease = yield* claimIn(runId, yield* Effect.scope)
        const ended = yield* Effect.fork(Effect.flip(lease.ended))
        yield* Effect.yieldNow()
        const until = performance.now() + 2.5 * intervalMs
        while (performance.now() < until) Math.hypot(3, 4)
        assert.strictEqual((yield* Effect.flip(lease.confirm)).reason, "expired")
        assert.strictEqual((yield* Fiber.join(ended)).reason, "expired")
      })
    ))

  it.scoped("hands a claim back uncharged when its scope is interrupted", () =>
    withLeases((runId) =>
      Effect.gen(function*() {
        const fiber = yield* Effect.fork(Effect.scoped(Effect.zipRight(
          Effect.flatMap(Effect.scope, (scope) => claimIn(runId, scope)),
          Effect.never
        )))
        yield* eventually(
          "the claim",
          Effect.map(onlyRollout(runId), ({ status }) => status === "preparing" ? true : undefined)
        )
        yield* Fiber.interrupt(fiber)
        assert.deepInclude({ ...yield* onlyRollout(runId) }, { status: "requeuing", failures: 0, crashes: 0 })
      })
    ))

  it.scoped("counts a worker that broke down as a crash, with its cause", () =>
    withLeases((runId) =>
      Effect.gen(function*() {
        const scope = yield* Scope.make()
        yield* claimIn(runId, scope)
        yield* Scope.close(scope, Exit.die(new TypeError("x is undefined")))
        assert.deepInclude({ ...yield* onlyRollout(runId) }, { status: "requeuing", failures: 0, crashes: 1 })
        const [attempt] = yield* onlyAttempts(runId)
        assert.deepInclude({ ...attempt }, {
          status: "unresponsive",
          error: "its worker broke down: TypeError: x is undefined"
        })
      })
    ))

  it.scoped("writes nothing for a claim that somebody else took over", () =>
    withLeases((runId) =>
      Effect.gen(function*() {
        const queue = yield* RolloutQueue
        const scope = yield* Scope.make()
        yield* claimIn(runId, scope)
        yield* TestClock.adjust(leaseMs + 1)
        yield* queue.rescue(runId)
        yield* TestClock.adjust("1 minute")
        yield* claimIn(runId, yield* Effect.scope)
        yield* Scope.close(scope, Exit.die("late"))
        assert.deepStrictEqual((yield* onlyAttempts(runId)).map(({ status }) => status), ["unresponsive", "preparing"])
      })
    ))
})
