import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as TestClock from "effect/TestClock"
import { WorkerId } from "../../src/domain/Ids.js"
import { ActivityReader } from "../../src/store/ActivityReader.js"
import { RolloutQueue } from "../../src/store/RolloutQueue.js"
import { begin, withStore } from "../support/store.js"

const lease = { workerId: WorkerId.make("w1"), leaseMs: 60_000 }
const failure = { status: "failed", error: "exit code 3", brokenBy: null, stderrTail: null, permanent: true } as const

const withActivity = <A, E, R>(test: Effect.Effect<A, E, R>) => withStore(Effect.provide(test, ActivityReader.layer))

describe("ActivityReader", () => {
  it.scoped("counts no attempt into a streak of failures that was handed back or cancelled with its run", () =>
    withActivity(Effect.gen(function*() {
      const queue = yield* RolloutQueue
      const { failureStreak } = yield* ActivityReader
      const { runId } = yield* begin(6)
      const [failed, ...others] = yield* queue.claim({ runId, ...lease, limit: 4 })
      yield* queue.start(failed!)
      yield* queue.fail(failed!, failure)
      for (const claim of others) {
        yield* queue.start(claim)
        yield* queue.release(claim)
      }
      assert.strictEqual(yield* failureStreak(runId), 1)
      for (const claim of yield* queue.claim({ runId, ...lease, limit: 4 })) yield* queue.start(claim)
      yield* queue.cancel(runId)
      assert.strictEqual(yield* failureStreak(runId), 1)
    })))

  it.scoped("tells how long rollouts waited and were worked on, and each one's ending once, from a time on", () =>
    withActivity(Effect.gen(function*() {
      const queue = yield* RolloutQueue
      const { overall, since } = yield* ActivityReader
      yield* TestClock.setTime(1_000)
      const { runId } = yield* begin(2)
      yield* TestClock.setTime(2_000)
      const [first] = yield* queue.claim({ runId, ...lease, limit: 1 })
      yield* TestClock.setTime(3_000)
      yield* queue.fail(first!, { ...failure, permanent: false, pauseMs: 1_000, starts: true })
      const failedOnce = yield* since(runId, 0)
      assert.deepStrictEqual(failedOnce.waiting.filter(({ fromMs }) => fromMs === 3_000), [{
        fromMs: 3_000,
        toMs: null
      }])
      assert.deepStrictEqual([failedOnce.endings, yield* overall], [[], { runs: 1, processed: 0, audited: 0 }])
      yield* TestClock.setTime(60_000)
      const claims = yield* queue.claim({ runId, ...lease, limit: 2 })
      assert.include(claims.map(({ rolloutId }) => rolloutId), first!.rolloutId)
      yield* TestClock.setTime(61_000)
      for (const claim of claims) yield* queue.succeed(claim, { output: "4", score: 1, rewards: [], starts: true })
      const found = yield* since(runId, 0)
      assert.sameDeepMembers([...found.waiting], [
        { fromMs: 1_000, toMs: 2_000 },
        { fromMs: 3_000, toMs: 60_000 },
        { fromMs: 1_000, toMs: 60_000 }
      ])
      const again = { fromMs: 60_000, toMs: 61_000 }
      assert.sameDeepMembers([...found.attempts], [{ fromMs: 2_000, toMs: 3_000 }, again, again])
      const succeeded = { atMs: 61_000, status: "succeeded" as const }
      assert.deepStrictEqual(found.endings, [succeeded, succeeded])
      assert.deepStrictEqual((yield* since(runId, 60_500)).attempts, [again, again])
      assert.deepInclude(yield* since(runId, 61_001), { waiting: [], attempts: [], endings: [] })

      const other = (yield* begin(1, { configHash: "other", configPath: "other.json" })).runId
      yield* TestClock.setTime(62_000)
      yield* queue.cancel(other)
      assert.deepStrictEqual(yield* since(other, 0), {
        waiting: [{ fromMs: 61_000, toMs: 62_000 }],
        attempts: [],
        endings: [{ atMs: 62_000, status: "cancelled" }],
        complete: true
      })
      assert.deepStrictEqual(yield* overall, { runs: 2, processed: 3, audited: 0 })
    })))
})
