import { assert, describe, it } from "@effect/vitest"
import Sqlite from "better-sqlite3"
import * as Cause from "effect/Cause"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as FiberId from "effect/FiberId"
import * as Layer from "effect/Layer"
import * as Option from "effect/Option"
import * as Scope from "effect/Scope"
import * as TestClock from "effect/TestClock"
import { type RunId, WorkerId } from "../../src/domain/Ids.js"
import { Leases } from "../../src/runtime/Leases.js"
import { RolloutQueue } from "../../src/store/RolloutQueue.js"
import { RolloutStore } from "../../src/store/RolloutStore.js"
import { StoreError } from "../../src/store/StoreError.js"
import { Writer } from "../../src/store/Writer.js"
import { announcing, storePathIn } from "../support/runtime.js"
import { begin, rowsOf, scratchFolder, storeAt } from "../support/store.js"
import { eventually } from "../support/upstream.js"

const intervalMs = 1_000
const leaseMs = 3 * intervalMs
const workerId = WorkerId.make("w1")

const withLeases = <A, E, R>(
  test: (runId: RunId, storePath: string) => Effect.Effect<A, E, R>,
  rollouts = 1,
  heartbeatIntervalMs = intervalMs,
  said: Array<string> = []
) =>
  Effect.flatMap(scratchFolder, (folder) =>
    Effect.provide(
      Effect.gen(function*() {
        const { runId } = yield* begin(rollouts, { attemptsMax: 3 })
        return yield* test(runId, storePathIn(folder))
      }),
      Leases.layer({ heartbeatIntervalMs }).pipe(
        Layer.provideMerge(announcing(said)),
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

interface Row {
  readonly id: string
  readonly owner: string | null
  readonly failures: number
  readonly crashes: number
}

const rolloutsOf = (storePath: string) =>
  rowsOf<Row>(storePath, "SELECT id, owner, failures, crashes FROM rollouts ORDER BY ordinal")

describe("Leases", () => {
  it.scoped("keeps a claim for as long as heartbeats are written", () =>
    withLeases((runId) =>
      Effect.gen(function*() {
        const leases = yield* Leases
        const queue = yield* RolloutQueue
        const lease = yield* claimIn(runId, yield* Effect.scope)
        const ended = yield* Effect.fork(lease.whileHeld(Effect.never))
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
        const end = yield* Effect.flip(lease.whileHeld(Effect.never))
        assert.strictEqual(end.reason, "lost")
      })
    ))

  it.scoped("ends a lease by its own clock before the store does, when heartbeats cannot be written", () =>
    withLeases((runId, storePath) =>
      Effect.gen(function*() {
        const leases = yield* Leases
        const queue = yield* RolloutQueue
        const lease = yield* claimIn(runId, yield* Effect.scope)
        const ended = yield* Effect.fork(Effect.flip(lease.whileHeld(Effect.never)))
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

  it.scoped("ends each of its leases in its own time, whichever was claimed last", () =>
    withLeases(
      (runId) =>
        Effect.gen(function*() {
          const scope = yield* Effect.scope
          const ends = yield* Effect.forEach([1, 2, 3], () =>
            Effect.gen(function*() {
              const lease = yield* claimIn(runId, scope)
              yield* TestClock.adjust(500)
              return yield* Effect.fork(Effect.flip(lease.whileHeld(Effect.never)))
            }))
          yield* TestClock.adjust(1_000)
          for (const end of ends) {
            assert.strictEqual((yield* Fiber.join(end)).reason, "expired")
            yield* TestClock.adjust(499)
            const others = yield* Effect.forEach(ends.slice(ends.indexOf(end) + 1), Fiber.poll)
            assert.isTrue(others.every(Option.isNone))
            yield* TestClock.adjust(1)
          }
        }),
      3
    ))

  it.scoped("outlasts a commit, however short the interval that was asked for", () =>
    withLeases(
      (runId) =>
        Effect.gen(function*() {
          const lease = yield* claimIn(runId, yield* Effect.scope)
          yield* TestClock.adjust(249)
          yield* lease.confirm
          yield* TestClock.adjust(1)
          assert.strictEqual((yield* Effect.flip(lease.confirm)).reason, "expired")
        }),
      1,
      1
    ))

  it.scoped("says once that heartbeats cannot be written, and once that they can again", () => {
    const said: Array<string> = []
    let fullFor = 40
    const fullDisk = Layer.effect(
      RolloutQueue,
      Effect.map(RolloutQueue, (queue) => ({
        ...queue,
        heartbeat: (claims, leaseMs) =>
          fullFor-- > 0
            ? new StoreError({ operation: "heartbeat", reason: "full", detail: "no room" })
            : queue.heartbeat(claims, leaseMs)
      }))
    )
    return Effect.flatMap(scratchFolder, (folder) =>
      Effect.gen(function*() {
        const leases = yield* Leases
        yield* Effect.fork(leases.heartbeat)
        for (let n = 0; n < 9; n++) yield* TestClock.adjust(intervalMs)
        assert.strictEqual(fullFor, 40 - 10, "tries, one for each interval")
        for (let n = 9; n < 45; n++) yield* TestClock.adjust(intervalMs)
        yield* leases.renewed
        assert.deepStrictEqual(said, [
          "heartbeat not written: heartbeat failed: the disk is full: no room",
          "heartbeats are written again; 40 were not"
        ])
        // One alone is told of, and not that it was one.
        fullFor = 1
        for (let n = 0; n < 5; n++) yield* TestClock.adjust(intervalMs)
        yield* leases.renewed
        assert.deepStrictEqual(said.slice(2), ["heartbeat not written: heartbeat failed: the disk is full: no room"])
      }).pipe(
        Effect.provide(
          Leases.layer({ heartbeatIntervalMs: intervalMs }).pipe(
            Layer.provide([announcing(said), fullDisk.pipe(Layer.provide(storeAt(storePathIn(folder))))])
          )
        )
      ))
  })

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
        const ended = yield* Effect.fork(Effect.flip(lease.whileHeld(Effect.never)))
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

  it.scoped("hands a claim back also when a second interruption comes while the store is asked to take it", () =>
    withLeases((runId) =>
      Effect.gen(function*() {
        const fiber = yield* Effect.fork(Effect.scoped(Effect.zipRight(
          Effect.flatMap(Effect.scope, (scope) => claimIn(runId, scope)),
          Effect.never
        )))
        const status = Effect.map(onlyRollout(runId), ({ status }) => status)
        yield* eventually("the claim", Effect.map(status, (now) => now === "preparing" || undefined))
        fiber.unsafeInterruptAsFork(FiberId.none)
        yield* Effect.yieldNow()
        yield* Fiber.interrupt(fiber)
        assert.deepInclude({ ...yield* onlyRollout(runId) }, { status: "requeuing", failures: 0, crashes: 0 })
      })
    ))

  it.scoped("says what could not be handed back, but not where the store is gone, of which its runner dies", () =>
    Effect.forEach(["full", "gone"] as const, (reason) => {
      const said: Array<string> = []
      const failing = Layer.effect(
        RolloutQueue,
        Effect.map(RolloutQueue, (queue) => ({
          ...queue,
          release: () => new StoreError({ operation: "release", reason, detail: "no room" })
        }))
      )
      return Effect.flatMap(scratchFolder, (folder) =>
        Effect.gen(function*() {
          const { runId } = yield* begin(1)
          const scope = yield* Scope.make()
          const { claim } = yield* claimIn(runId, scope)
          yield* Scope.close(scope, Exit.interrupt(FiberId.none))
          const notice =
            `${claim.rolloutId} could not be handed back (release failed: the disk is full: no room); it is put back later`
          assert.deepStrictEqual(said, reason === "gone" ? [] : [notice])
        }).pipe(
          Effect.provide(
            Leases.layer({ heartbeatIntervalMs: intervalMs }).pipe(
              Layer.provide([announcing(said), failing]),
              Layer.provideMerge(storeAt(storePathIn(folder)))
            )
          )
        ))
    }))

  it.scoped("counts a worker that broke down as a crash, with its cause", () =>
    withLeases((runId) =>
      Effect.gen(function*() {
        const scope = yield* Scope.make()
        yield* claimIn(runId, scope)
        // Stopped as well, over what it did beside.
        const cause = Cause.parallel(Cause.interrupt(FiberId.none), Cause.die(new TypeError("x is undefined")))
        yield* Scope.close(scope, Exit.failCause(cause))
        assert.deepInclude({ ...yield* onlyRollout(runId) }, { status: "requeuing", failures: 0, crashes: 1 })
        const [attempt] = yield* onlyAttempts(runId)
        assert.deepInclude({ ...attempt }, {
          status: "unresponsive",
          error: "its worker broke down: TypeError: x is undefined"
        })
      })
    ))

  it.scoped("writes and says nothing for a claim that somebody else took over, which is not before three intervals", () => {
    const said: Array<string> = []
    return withLeases(
      (runId) =>
        Effect.gen(function*() {
          const queue = yield* RolloutQueue
          const scope = yield* Scope.make()
          yield* claimIn(runId, scope)
          yield* TestClock.adjust(leaseMs - 1)
          assert.deepStrictEqual(yield* queue.rescue(runId), [])
          yield* TestClock.adjust(2)
          assert.lengthOf(yield* queue.rescue(runId), 1)
          yield* TestClock.adjust("1 minute")
          yield* claimIn(runId, yield* Effect.scope)
          yield* Scope.close(scope, Exit.die("late"))
          const attempts = yield* onlyAttempts(runId)
          assert.deepStrictEqual(attempts.map(({ status }) => status), ["unresponsive", "preparing"])
          assert.deepStrictEqual(said, [])
        }),
      1,
      intervalMs,
      said
    )
  })

  it.scoped("serves workers that are idle together in one transaction, in the order in which they asked", () =>
    withLeases((runId, storePath) =>
      Effect.gen(function*() {
        const leases = yield* Leases
        const { health } = yield* Writer
        const before = health().commits
        const answers = yield* Effect.forEach(
          Array.from({ length: 5 }, (_, n) => WorkerId.make(`w${n + 1}`)),
          (worker) => leases.claim(runId, worker),
          { concurrency: "unbounded" }
        )
        assert.strictEqual(health().commits - before, 1)
        assert.deepStrictEqual(
          answers.map(Option.map(({ claim }) => claim.rolloutId.slice(-4))),
          [Option.some("0001"), Option.some("0002"), Option.some("0003"), Option.none(), Option.none()]
        )
        assert.deepStrictEqual(rolloutsOf(storePath).map(({ owner }) => owner), ["w1", "w2", "w3"])
      }), 3))

  it.scoped("serves workers of several runs that ask at the same time, each with what is of its run", () =>
    withLeases((runId) =>
      Effect.gen(function*() {
        const leases = yield* Leases
        const other = (yield* begin(1, { configHash: "another" })).runId
        const answers = yield* Effect.forEach(
          [runId, other, runId, other],
          (run, n) => leases.claim(run, WorkerId.make(`w${n}`)),
          { concurrency: "unbounded" }
        )
        assert.deepStrictEqual(
          answers.map(Option.map(({ claim }) => claim.rolloutId.slice(0, runId.length))),
          [Option.some(runId), Option.some(other), Option.some(runId), Option.none()]
        )
      }), 2))

  it.scoped("hands back what came for a worker that had been interrupted while it asked", () =>
    withLeases((runId, storePath) =>
      Effect.gen(function*() {
        const leases = yield* Leases
        const ask = (name: string) => Effect.scoped(leases.claim(runId, WorkerId.make(name)))
        const [gone, other] = yield* Effect.all([
          Effect.fork(Effect.scoped(Effect.zipRight(leases.claim(runId, WorkerId.make("gone")), Effect.never))),
          Effect.fork(Effect.scoped(Effect.zipRight(leases.claim(runId, WorkerId.make("other")), Effect.never)))
        ])
        yield* Effect.yieldNow()
        yield* Fiber.interrupt(gone)
        const rows = Effect.sync(() => rolloutsOf(storePath))
        yield* eventually(
          "the claim of the other",
          Effect.map(rows, (found) => found.some(({ owner }) => owner === "other") ? true : undefined)
        )
        const free = rolloutsOf(storePath).filter(({ owner }) => owner === null)
        assert.strictEqual(free.length, 1)
        assert.deepInclude(free[0], { failures: 0, crashes: 0 })
        // It is due at once, and goes to whoever asks next.
        const again = yield* ask("next")
        assert.strictEqual(Option.getOrThrow(again).claim.rolloutId, free[0]!.id)
        yield* Fiber.interrupt(other)
      }), 2))

  it.scoped("ends an attempt whose start the store refuses", () =>
    withLeases((runId) =>
      Effect.gen(function*() {
        const queue = yield* RolloutQueue
        const lease = yield* claimIn(runId, yield* Effect.scope)
        yield* queue.cancel(runId)
        const work = yield* Effect.fork(Effect.flip(lease.whileHeld(Effect.never)))
        yield* queue.startSoon(lease.claim, lease.lose)
        assert.strictEqual((yield* Fiber.join(work)).reason, "lost")
      })
    ))
})
