import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Option from "effect/Option"
import * as TestClock from "effect/TestClock"
import { WorkerId } from "../../src/domain/Ids.js"
import { Reward } from "../../src/domain/Reward.js"
import { ControlLog } from "../../src/store/ControlLog.js"
import { type Claim, RolloutQueue } from "../../src/store/RolloutQueue.js"
import { RolloutStore } from "../../src/store/RolloutStore.js"
import { RunStore } from "../../src/store/RunStore.js"
import { begin, withStore } from "../support/store.js"
import { eventually } from "../support/upstream.js"

const workerId = WorkerId.make("w1")
const leaseMs = 3_000

const claimOne = (runId: Effect.Effect.Success<ReturnType<typeof begin>>["runId"]) =>
  Effect.flatMap(RolloutQueue, (queue) => queue.claim({ runId, workerId, leaseMs, limit: 1 })).pipe(
    Effect.flatMap(([claim]) => claim === undefined ? Effect.dieMessage("nothing to claim") : Effect.succeed(claim))
  )

const failure = {
  status: "failed",
  error: "exit code 3",
  brokenBy: null,
  stderrTail: "boom",
  permanent: false
} as const

describe("RolloutQueue", () => {
  it.scoped("hands out rollouts in order, each once, under readable ids", () =>
    withStore(Effect.gen(function*() {
      const queue = yield* RolloutQueue
      const { runId } = yield* begin(3)
      const first = yield* queue.claim({ runId, workerId, leaseMs, limit: 2 })
      const rest = yield* queue.claim({ runId, workerId, leaseMs, limit: 2 })
      assert.deepStrictEqual([...first, ...rest].map(({ attemptId }) => attemptId as string), [
        "run-0001-c0ffee-train-0001:attempt-1",
        "run-0001-c0ffee-train-0002:attempt-1",
        "run-0001-c0ffee-train-0003:attempt-1"
      ])
      assert.deepStrictEqual(first[0]?.resources, { system_prompt: "Be brief." })
    })))

  it.scoped("ends attempt, rewards and rollout together, and only once", () =>
    withStore(Effect.gen(function*() {
      const queue = yield* RolloutQueue
      const rollouts = yield* RolloutStore
      const { runId } = yield* begin(1)
      const claim = yield* claimOne(runId)
      yield* queue.start(claim)
      const result = { output: "4", score: 1, rewards: [new Reward({ name: "exact_match", value: 1, feedback: null })] }
      yield* queue.succeed(claim, result)
      const again = yield* Effect.flip(queue.succeed(claim, result))
      assert.strictEqual(again._tag, "LeaseLost")
      const rollout = Option.getOrThrow(yield* rollouts.get(claim.rolloutId))
      assert.deepInclude({ ...rollout }, { status: "succeeded", output: "4", score: 1 })
      assert.strictEqual((yield* rollouts.rewards(claim.attemptId)).length, 1)
    })))

  it.scoped("refuses to succeed before the attempt has started, and changes nothing", () =>
    withStore(Effect.gen(function*() {
      const queue = yield* RolloutQueue
      const { runId } = yield* begin(1)
      const claim = yield* claimOne(runId)
      const error = yield* Effect.flip(queue.succeed(claim, { output: "", score: null, rewards: [] }))
      assert.strictEqual(error._tag, "IllegalMove")
      const rollout = Option.getOrThrow(yield* Effect.flatMap(RolloutStore, (store) => store.get(claim.rolloutId)))
      assert.strictEqual(rollout.status, "preparing")
    })))

  it.scoped("writes the start of an attempt that is over at once together with its end", () =>
    withStore(Effect.gen(function*() {
      const queue = yield* RolloutQueue
      const store = yield* RolloutStore
      const { runId } = yield* begin(2)
      const refused: Array<string> = []
      const startSoon = (claim: Claim) => queue.startSoon(claim, () => void refused.push(claim.rolloutId))
      const statusOf = ({ rolloutId }: Claim) =>
        Effect.map(store.get(rolloutId), (row) => Option.getOrThrow(row).status)

      const quick = yield* claimOne(runId)
      ;(yield* startSoon(quick)).withdraw()
      yield* queue.succeed(quick, { output: "4", score: 1, rewards: [], starts: true })
      assert.strictEqual(yield* statusOf(quick), "succeeded")

      const slow = yield* claimOne(runId)
      const { withdraw } = yield* startSoon(slow)
      yield* eventually("its start", Effect.map(statusOf(slow), (status) => status === "running" ? true : undefined))
      withdraw()
      yield* queue.fail(slow, { ...failure, starts: true })
      assert.strictEqual(yield* statusOf(slow), "requeuing")
      assert.deepStrictEqual(refused, [])
    })))

  it.scoped("fences off a worker whose lease ran out", () =>
    withStore(Effect.gen(function*() {
      const queue = yield* RolloutQueue
      const { runId } = yield* begin(1)
      const late = yield* claimOne(runId)
      yield* queue.start(late)
      assert.deepStrictEqual(yield* queue.rescue(runId), [])
      yield* TestClock.adjust(leaseMs + 1)
      assert.deepStrictEqual(yield* queue.rescue(runId), [late.rolloutId])
      yield* TestClock.adjust("1 minute")
      const next = yield* claimOne(runId)
      assert.strictEqual(next.attempt, 2)
      for (const write of [queue.start(late), queue.release(late), queue.fail(late, failure)]) {
        assert.strictEqual((yield* Effect.flip(write))._tag, "LeaseLost")
      }
      assert.deepStrictEqual([...yield* queue.heartbeat([late, next], leaseMs)], [next])
      const attempts = yield* Effect.flatMap(RolloutStore, (store) => store.attempts(late.rolloutId))
      assert.deepStrictEqual(attempts.map(({ status }) => status), ["unresponsive", "preparing"])
    })))

  it.scoped("a heartbeat keeps the lease", () =>
    withStore(Effect.gen(function*() {
      const queue = yield* RolloutQueue
      const { runId } = yield* begin(1)
      const claim = yield* claimOne(runId)
      for (let n = 0; n < 3; n++) {
        yield* TestClock.adjust(leaseMs - 1)
        assert.strictEqual((yield* queue.heartbeat([claim], leaseMs)).size, 1)
        assert.deepStrictEqual(yield* queue.rescue(runId), [])
      }
    })))

  it.scoped("tries a failed rollout again after a pause, until its attempts are used up", () =>
    withStore(Effect.gen(function*() {
      const queue = yield* RolloutQueue
      const { runId } = yield* begin(1)
      const first = yield* claimOne(runId)
      yield* queue.start(first)
      yield* queue.fail(first, failure)
      assert.deepStrictEqual(yield* queue.claim({ runId, workerId, leaseMs, limit: 1 }), [])
      yield* TestClock.adjust("1 minute")
      const second = yield* claimOne(runId)
      yield* queue.start(second)
      yield* queue.fail(second, failure)
      const rollout = Option.getOrThrow(yield* Effect.flatMap(RolloutStore, (store) => store.get(first.rolloutId)))
      assert.deepInclude({ ...rollout }, { status: "failed", failures: 2, error: "exit code 3" })
    })))

  it.scoped("tries a rollout no sooner than its failure says", () =>
    withStore(Effect.gen(function*() {
      const queue = yield* RolloutQueue
      const { runId } = yield* begin(1)
      yield* queue.fail(yield* claimOne(runId), { ...failure, pauseMs: 59_999.5, starts: true })
      // Nor sooner for a run that is taken up again meanwhile.
      yield* begin(1)
      yield* TestClock.adjust("59 seconds")
      assert.deepStrictEqual(yield* queue.claim({ runId, workerId, leaseMs, limit: 1 }), [])
      yield* TestClock.adjust("1 second")
      assert.strictEqual((yield* claimOne(runId)).attempt, 2)
    })))

  it.scoped("brings rollouts that failed together back apart, the same way each time", () => {
    const pauses = withStore(Effect.gen(function*() {
      const queue = yield* RolloutQueue
      const { runId } = yield* begin(12)
      for (const claim of yield* queue.claim({ runId, workerId, leaseMs, limit: 12 })) yield* queue.fail(claim, failure)
      let lastMs = 0
      const returned: Array<readonly [string, number]> = []
      for (let ms = 25; ms <= 375; ms += 25) {
        yield* TestClock.adjust(ms - lastMs)
        lastMs = ms
        for (const { rolloutId } of yield* queue.claim({ runId, workerId, leaseMs, limit: 12 })) {
          returned.push([rolloutId, ms])
        }
      }
      return returned
    }))
    return Effect.gen(function*() {
      const first = yield* pauses
      assert.strictEqual(first.length, 12)
      const times = new Set(first.map(([, ms]) => ms))
      assert.isAbove(Math.min(...times), 249)
      assert.isAtLeast(times.size, 4)
      assert.deepStrictEqual(yield* pauses, first)
    })
  })

  it.scoped("renews the caller's own claims before it puts back what ran out", () =>
    withStore(Effect.gen(function*() {
      const queue = yield* RolloutQueue
      const { runId } = yield* begin(2)
      const own = yield* claimOne(runId)
      const lost = yield* claimOne(runId)
      yield* TestClock.adjust("8 hours")
      assert.deepStrictEqual(yield* queue.rescue(runId, { claims: [own], leaseMs }), [lost.rolloutId])
      yield* TestClock.adjust(leaseMs)
      assert.deepStrictEqual(yield* queue.rescue(runId), [])
      yield* TestClock.adjust(1)
      assert.deepStrictEqual(yield* queue.rescue(runId), [own.rolloutId])
    })))

  it.scoped("does not try again what cannot succeed, and charges nothing for work handed back", () =>
    withStore(Effect.gen(function*() {
      const queue = yield* RolloutQueue
      const { runId } = yield* begin(1)
      yield* queue.release(yield* claimOne(runId))
      const claim = yield* claimOne(runId)
      yield* queue.start(claim)
      yield* queue.fail(claim, { ...failure, permanent: true })
      const rollout = Option.getOrThrow(yield* Effect.flatMap(RolloutStore, (store) => store.get(claim.rolloutId)))
      assert.deepInclude({ ...rollout }, { status: "failed", failures: 1, crashes: 0 })
    })))

  it.scoped("cancels what is unfinished and fences its workers", () =>
    withStore(Effect.gen(function*() {
      const queue = yield* RolloutQueue
      const { runId } = yield* begin(3)
      const claim = yield* claimOne(runId)
      yield* queue.start(claim)
      assert.strictEqual(yield* queue.cancel(runId), 3)
      assert.isTrue(Exit.isFailure(yield* Effect.exit(queue.succeed(claim, { output: "", score: null, rewards: [] }))))
      const progress = yield* Effect.flatMap(RunStore, (runs) => runs.progress(runId))
      assert.deepInclude({ ...progress }, { cancelled: 3, succeeded: 0, active: 0 })
    })))

  it.scoped("carries out a cancel that no process lived to carry out, instead of taking the run up again", () =>
    withStore(Effect.gen(function*() {
      const runs = yield* RunStore
      const first = yield* begin(2)
      yield* Effect.flatMap(ControlLog, (control) =>
        control.apply({
          verb: "cancel",
          principal: "test",
          decision: "allow_team_mode_disabled",
          resourcesVersion: null,
          rollbackCheckpoint: null,
          checkpointSource: null
        })).pipe(Effect.provide(ControlLog.layer))
      const second = yield* begin(2)
      assert.notStrictEqual(second.runId, first.runId)
      assert.deepInclude({ ...yield* runs.progress(first.runId) }, { state: "cancelled", cancelled: 2 })
    })))

  it.scoped("resumes the unfinished run of the same config and starts anew after a finished one", () =>
    withStore(Effect.gen(function*() {
      const queue = yield* RolloutQueue
      const runs = yield* RunStore
      const first = yield* begin(2)
      const done = yield* claimOne(first.runId)
      yield* queue.start(done)
      yield* queue.succeed(done, { output: "4", score: null, rewards: [] })
      const held = yield* claimOne(first.runId)
      const resumed = yield* begin(2)
      assert.deepInclude({ ...resumed }, { runId: first.runId, start: 2, finishedBefore: 1, requeued: 1 })
      const again = yield* claimOne(first.runId)
      assert.strictEqual(again.rolloutId, held.rolloutId)
      const other = yield* begin(1, { configHash: "0ther0" })
      assert.deepStrictEqual(other.otherUnfinished.map(({ id }) => id), [first.runId])
      yield* runs.end(first.runId, "completed", null)
      const fresh = yield* begin(2)
      assert.strictEqual(fresh.runId as string, "run-0003-c0ffee")
      assert.strictEqual(fresh.resourcesVersion, first.resourcesVersion)
    })))
})
