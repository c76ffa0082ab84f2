import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
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
})
