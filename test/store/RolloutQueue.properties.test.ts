import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as FastCheck from "effect/FastCheck"
import * as TestClock from "effect/TestClock"
import * as TestContext from "effect/TestContext"
import { WorkerId } from "../../src/domain/Ids.js"
import { type Claim, RolloutQueue } from "../../src/store/RolloutQueue.js"
import { RolloutStore } from "../../src/store/RolloutStore.js"
import { begin, withStore } from "../support/store.js"

const leaseMs = 1_000
const attemptsMax = 2

/** What workers, the rescuer and time may do, in any order. A claim is named by its place in the list of claims so far. */
const step = FastCheck.oneof(
  {
    weight: 3,
    arbitrary: FastCheck.record({
      kind: FastCheck.constant("claim" as const),
      worker: FastCheck.integer({ min: 1, max: 3 })
    })
  },
  {
    weight: 6,
    arbitrary: FastCheck.record({
      kind: FastCheck.constantFrom(
        "start" as const,
        "succeed" as const,
        "fail" as const,
        "release" as const,
        "heartbeat" as const
      ),
      claim: FastCheck.nat({ max: 5 })
    })
  },
  {
    weight: 2,
    arbitrary: FastCheck.record({
      kind: FastCheck.constant("pass" as const),
      ms: FastCheck.constantFrom(200, 999, 1_001, 60_000)
    })
  },
  { weight: 1, arbitrary: FastCheck.constant({ kind: "rescue" as const }) },
  { weight: 1, arbitrary: FastCheck.constant({ kind: "restart" as const }) }
)

type Step = typeof step extends FastCheck.Arbitrary<infer Value> ? Value : never

describe("RolloutQueue, whatever happens in whatever order", () => {
  it.scoped(
    "keeps one owner per rollout, fences every stale write and never loses or repeats a success",
    () =>
      Effect.promise(() =>
        FastCheck.assert(
          FastCheck.asyncProperty(FastCheck.array(step, { maxLength: 60, size: "max" }), (steps) =>
            Effect.runPromise(
              Effect.scoped(withStore(follow(steps))).pipe(Effect.provide(TestContext.TestContext))
            )),
          { numRuns: 60 }
        )
      ),
    120_000
  )
})

const follow = Effect.fnUntraced(function*(steps: ReadonlyArray<Step>) {
  const queue = yield* RolloutQueue
  const { runId } = yield* begin(3, { attemptsMax })
  const claims: Array<Claim> = []
  const current = new Map<string, Claim>()
  const started = new Set<Claim>()
  const succeeded = new Map<string, number>()

  for (const action of steps) {
    if (action.kind === "pass") yield* TestClock.adjust(action.ms)
    else if (action.kind === "restart") {
      yield* begin(3, { attemptsMax })
      current.clear()
    } else if (action.kind === "rescue") {
      for (const id of yield* queue.rescue(runId)) current.delete(id)
    } else if (action.kind === "claim") {
      const taken = yield* queue.claim({ runId, workerId: WorkerId.make(`w${action.worker}`), leaseMs, limit: 1 })
      for (const claim of taken) {
        assert.isFalse(current.has(claim.rolloutId), "a rollout with a live owner was handed out again")
        assert.isFalse(succeeded.has(claim.rolloutId), "a finished rollout was handed out again")
        claims.push(claim)
        current.set(claim.rolloutId, claim)
      }
    } else if (claims.length > 0) {
      const claim = claims[action.claim % claims.length]!
      const isCurrent = current.get(claim.rolloutId) === claim
      if (action.kind === "heartbeat") {
        const held = yield* queue.heartbeat([claim], leaseMs)
        assert.strictEqual(held.has(claim), isCurrent)
        continue
      }
      const outcome = yield* Effect.either(
        {
          start: queue.start(claim),
          succeed: queue.succeed(claim, { output: "", score: 1, rewards: [] }),
          fail: queue.fail(claim, { status: "failed", error: "e", brokenBy: null, stderrTail: null, permanent: false }),
          release: queue.release(claim)
        }[action.kind]
      )
      const legal = isCurrent && (action.kind !== "succeed" || started.has(claim))
      assert.strictEqual(
        outcome._tag,
        legal ? "Right" : "Left",
        `${action.kind} of a ${isCurrent ? "live" : "stale"} claim`
      )
      if (!legal) continue
      if (action.kind === "start") started.add(claim)
      else current.delete(claim.rolloutId)
      if (action.kind === "succeed") succeeded.set(claim.rolloutId, (succeeded.get(claim.rolloutId) ?? 0) + 1)
    }
  }

  const store = yield* RolloutStore
  for (const rollout of yield* store.page(runId, -1, 10)) {
    const attempts = yield* store.attempts(rollout.id)
    const won = attempts.filter(({ status }) => status === "succeeded")
    assert.strictEqual(won.length, succeeded.get(rollout.id) ?? 0)
    assert.strictEqual(rollout.status === "succeeded", won.length === 1)
    assert.isAtMost(attempts.filter(({ status }) => status === "preparing" || status === "running").length, 1)
    assert.isAtMost(rollout.failures, attemptsMax)
    assert.deepStrictEqual(attempts.map(({ n }) => n), attempts.map((_, index) => index + 1))
    assert.strictEqual(rollout.epoch, attempts.length)
  }
})
