import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import { type RunId, WorkerId } from "../../../src/domain/Ids.js"
import { Reflector } from "../../../src/optimizer/run/Reflector.js"
import { SearchRun } from "../../../src/optimizer/run/SearchRun.js"
import { Spending } from "../../../src/optimizer/run/Spending.js"
import { evaluate, reflect, type SearchStopped } from "../../../src/optimizer/Search.js"
import { RolloutQueue } from "../../../src/store/RolloutQueue.js"
import { RunStore } from "../../../src/store/RunStore.js"
import { SearchStore } from "../../../src/store/SearchStore.js"
import { StoreError } from "../../../src/store/StoreError.js"
import { setWallClock } from "../../support/clock.js"
import { begin, withStore } from "../../support/store.js"
import { eventually } from "../../support/upstream.js"

const limits = { rolloutsMax: 10, reflectionsMax: 10, stallMax: 10, cached: true }

const seed = { system_prompt: "Answer." }

const searchOf = (
  runId: RunId,
  examples: ReadonlyArray<{ readonly id: string; readonly input: string }>,
  spending: Spending
) =>
  new SearchRun({
    runId,
    resources: seed,
    seed,
    examples: new Map(examples.map(({ id, input }) => [id, { prompt: input }])),
    optimizer: "rgepa@1",
    attemptsMax: 1,
    spending,
    onProgress: () => {},
    onEvent: () => {},
    onEnqueued: () => {}
  })

describe("SearchRun", () => {
  it.scopedLive("waits for as long as a step or a reflection cannot be written because the disk is full", () =>
    withStore(Effect.gen(function*() {
      const store = yield* SearchStore
      const { runId } = yield* begin(1)
      const refusals = { step: 2, reflection: 2 }
      const onceThereIsRoom = <A>(of: keyof typeof refusals, written: Effect.Effect<A, StoreError>) =>
        Effect.suspend(() =>
          refusals[of]-- > 0 ? new StoreError({ operation: of, reason: "full", detail: "SQLITE_FULL" }) : written
        )
      const run = searchOf(
        runId,
        [],
        new Spending({ tokensMax: Infinity, usdMax: Infinity, secondsMax: Infinity }, undefined)
      )
      const found = yield* run.run(reflect("iter/1", "What is wrong?"), limits).pipe(
        Effect.provideService(SearchStore, { ...store, take: (step) => onceThereIsRoom("step", store.take(step)) }),
        Effect.provideService(Reflector, {
          reflect: () => onceThereIsRoom("reflection", Effect.succeed({ text: "Nothing." }))
        })
      )
      assert.deepStrictEqual(found, { text: "Nothing." })
      assert.deepStrictEqual(run.spent, { steps: 1, rollouts: 0, reflections: 1 })
    })))

  it.scopedLive("takes its pace from the rollouts that it waited for, not from those that an earlier start had ended", () =>
    withStore(Effect.gen(function*() {
      const queue = yield* RolloutQueue
      const { runId } = yield* begin(0)
      const examples = [0, 1, 2, 3].map((n) => ({ id: `train-${n}`, input: `${n}`, expected: null }))
      const runs = yield* RunStore
      let looks = 0
      const outlook = (id: RunId) => Effect.tap(runs.outlook(id), () => looks += 1)
      const waits: Array<number> = []
      class Watched extends Spending {
        override addWait(rollouts: number, secs: number) {
          waits.push(rollouts)
          super.addWait(rollouts, secs)
        }
      }
      const started = Effect.suspend(() =>
        searchOf(runId, examples, new Watched({ tokensMax: Infinity, usdMax: Infinity, secondsMax: 3_600 }, undefined))
          .run(searching(), limits)
      ).pipe(
        Effect.provideService(Reflector, { reflect: () => Effect.succeed({ text: "" }) }),
        Effect.provideService(RunStore, { ...runs, outlook }),
        Effect.fork
      )
      function* searching() {
        yield* evaluate(seed, "train", examples.slice(0, 2))
        return (yield* evaluate(seed, "train", examples.slice(2))).length
      }
      const claimed = (limit: number) =>
        eventually(
          "rollouts to claim",
          Effect.map(
            queue.claim({ runId, workerId: WorkerId.make("w"), leaseMs: 60_000, limit }),
            (claims) => claims.length === limit ? claims : undefined
          )
        )
      const end = (limit: number) =>
        Effect.flatMap(
          claimed(limit),
          (claims) =>
            Effect.forEach(claims, (claim) =>
              Effect.zipRight(queue.start(claim), queue.succeed(claim, { output: "", score: 1, rewards: [] })))
        )

      const first = yield* started
      yield* end(2)
      yield* end(1)
      const [left] = yield* claimed(1)
      yield* Fiber.interrupt(first)
      assert.deepStrictEqual(waits, [2])
      // Its first step, whose rollouts have ended, waits for the one of the second.
      looks = 0
      const second = yield* started
      yield* eventually("a wait", Effect.sync(() => looks > 1 ? true : undefined))
      yield* queue.start(left!)
      yield* queue.succeed(left!, { output: "", score: 1, rewards: [] })
      assert.strictEqual(yield* Fiber.join(second), 2)
      assert.deepStrictEqual(waits, [2, 1])
    })))

  it.scopedLive("gives a search no more seconds where the clock is set back during its first step", () =>
    withStore(Effect.gen(function*() {
      const queue = yield* RolloutQueue
      const { runId } = yield* begin(0)
      const examples = [0, 1].map((n) => ({ id: `train-${n}`, input: `${n}`, expected: null }))
      class Paceless extends Spending {
        override addWait() {}
      }
      function* searching() {
        yield* evaluate(seed, "train", examples.slice(0, 1))
        try {
          return (yield* evaluate(seed, "train", examples.slice(1))).length
        } catch (stopped) {
          return (stopped as SearchStopped).reason
        }
      }
      const run = searchOf(
        runId,
        examples,
        new Paceless({ tokensMax: Infinity, usdMax: Infinity, secondsMax: 0.05 }, undefined)
      )
      const search = yield* run.run(searching(), limits).pipe(
        Effect.provideService(Reflector, { reflect: () => Effect.succeed({ text: "" }) }),
        Effect.fork
      )
      const claimed = eventually(
        "a rollout",
        Effect.map(
          queue.claim({ runId, workerId: WorkerId.make("w"), leaseMs: 60_000, limit: 1 }),
          ([claim]) => claim
        )
      )
      const claim = yield* claimed
      yield* setWallClock(-3_600_000)
      // The rollout takes longer than the search may.
      yield* Effect.sleep(60)
      yield* queue.start(claim)
      yield* queue.succeed(claim, { output: "", score: 1, rewards: [] })
      assert.strictEqual(yield* Effect.raceFirst(Fiber.join(search), Effect.as(claimed, "another rollout")), "seconds")
    })))
})
