import { assert, describe, it } from "@effect/vitest"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as Metric from "effect/Metric"
import * as TestClock from "effect/TestClock"
import { Self } from "../../src/runtime/Actor.js"
import { type Child, deathsMetric, type Intensity, supervision } from "../../src/runtime/Supervisor.js"
import { StoreError } from "../../src/store/StoreError.js"
import { announcing } from "../support/runtime.js"

const intensity = { restartsMax: 2, within: Duration.seconds(10), pause: Duration.seconds(1) }

/** Children that nobody needs to ask or tell anything. */
const supervise = <E, R>(children: ReadonlyArray<Child<E, R>>, limits: Intensity) =>
  Effect.flatMap(supervision(children, limits), ({ run }) => run)

describe("Supervisor", () => {
  it.effect("starts a dead child again, alone, and says what it died of", () => {
    const said: Array<string> = []
    const starts = { weak: 0, steady: 0 }
    return Effect.gen(function*() {
      const fiber = yield* Effect.fork(supervise([
        {
          name: "weak",
          run: Effect.suspend(() => ++starts.weak === 1 ? Effect.die(new RangeError("off by one")) : Effect.never)
        },
        { name: "steady", run: Effect.suspend(() => (starts.steady += 1, Effect.never)) }
      ], intensity))
      yield* TestClock.adjust("1 minute")
      assert.deepStrictEqual(starts, { weak: 2, steady: 1 })
      assert.deepStrictEqual(said, ["weak died and is started again (1/2): RangeError: off by one"])
      yield* Fiber.interrupt(fiber)
    }).pipe(Effect.provide(announcing(said)))
  })

  it.effect("says once for all of them that they die of a store that is gone", () => {
    const said: Array<string> = []
    return Effect.gen(function*() {
      const gone = () => new StoreError({ operation: "claim", reason: "gone", detail: "moved away" })
      const fiber = yield* Effect.fork(supervise([
        { name: "runner 1", run: Effect.suspend(gone) },
        { name: "runner 2", run: Effect.suspend(gone) }
      ], intensity))
      yield* TestClock.adjust("1 minute")
      assert.strictEqual((yield* Effect.flip(Fiber.join(fiber))).deaths, 3)
      assert.deepStrictEqual(said, [
        `runner 1 died and is started again (1/2): StoreError: ${gone().message}`
      ])
    }).pipe(Effect.provide(announcing(said)))
  })

  it.effect("gives up on a child that keeps dying, naming the child, the count and the last cause", () => {
    let starts = 0
    return Effect.gen(function*() {
      const child = Effect.suspend(() => Effect.die(new Error(`death ${++starts}`)))
      const fiber = yield* Effect.fork(supervise([{ name: "runner 3", run: child }], intensity))
      yield* TestClock.adjust("1 minute")
      const error = yield* Effect.flip(Fiber.join(fiber))
      assert.strictEqual(error.message, "runner 3 died 3 times within 10 s, the last time of: death 3")
    }).pipe(Effect.provide(announcing([])))
  })

  it.effect("gives up on a child by its own limits, where it has some", () => {
    return Effect.gen(function*() {
      const never = { ...intensity, restartsMax: 0 }
      const fiber = yield* Effect.fork(supervise([
        { name: "writer", run: Effect.zipRight(Effect.sleep("3 seconds"), Effect.fail("lost")), intensity: never },
        { name: "other", run: Effect.never }
      ], intensity))
      yield* TestClock.adjust("1 minute")
      assert.strictEqual((yield* Effect.flip(Fiber.join(fiber))).message, "writer died: lost")
    }).pipe(Effect.provide(announcing([])))
  })

  it.effect("bears any number of deaths that are far enough apart", () => {
    let starts = 0
    return Effect.gen(function*() {
      const child = Effect.suspend(() => {
        starts += 1
        return Effect.zipRight(Effect.sleep("6 seconds"), Effect.fail("tired"))
      })
      const fiber = yield* Effect.fork(supervise([{ name: "napper", run: child }], intensity))
      yield* TestClock.adjust("1 minute")
      assert.strictEqual(starts, 9)
      yield* Fiber.interrupt(fiber)
    }).pipe(Effect.provide(announcing([])))
  })

  it.effect("starts a child again that was interrupted by accident, and stops them all when it is stopped itself", () => {
    const events: Array<string> = []
    return Effect.gen(function*() {
      const child = Effect.suspend(() => events.push("start") === 1 ? Effect.interrupt : Effect.never).pipe(
        Effect.onInterrupt(() => Effect.sync(() => events.push("stop")))
      )
      const fiber = yield* Effect.fork(supervise([{ name: "child", run: child }], intensity))
      yield* TestClock.adjust("1 minute")
      const exit = yield* Fiber.interrupt(fiber)
      assert.isTrue(Exit.isInterrupted(exit))
      assert.deepStrictEqual(events, ["start", "stop", "start", "stop"])
    }).pipe(Effect.provide(announcing([])))
  })

  it.effect("tells a child that has finished from one that died, and does not start it again", () => {
    const said: Array<string> = []
    let starts = 0
    return Effect.gen(function*() {
      const tree = yield* supervision([{ name: "brief", run: Effect.sync(() => void (starts += 1)) }], intensity)
      const fiber = yield* Effect.fork(tree.run)
      yield* TestClock.adjust("1 minute")
      assert.strictEqual(starts, 1)
      assert.deepStrictEqual(said, [])
      assert.deepInclude(tree.report()[0], { state: "finished", restarts: 0, lastDeath: null })
      assert.deepStrictEqual(tree.deaths(), [])
      yield* Fiber.interrupt(fiber)
    }).pipe(Effect.provide(announcing(said)))
  })

  it.effect("forgets a death at the very end of the window, and not before", () => {
    const within = Duration.seconds(10)
    const diesEvery = (seconds: number) =>
      Effect.gen(function*() {
        const child = Effect.zipRight(Effect.sleep(Duration.seconds(seconds)), Effect.fail("tired"))
        const fiber = yield* Effect.fork(
          supervise([{ name: "napper", run: child }], { restartsMax: 1, within, pause: Duration.zero })
        )
        yield* TestClock.adjust("1 minute")
        const exit = yield* Fiber.poll(fiber)
        yield* Fiber.interrupt(fiber)
        return exit._tag === "None" ? "lives" : "escalated"
      })
    return Effect.gen(function*() {
      assert.strictEqual(yield* diesEvery(10), "escalated")
      assert.strictEqual(yield* diesEvery(11), "lives")
    }).pipe(Effect.provide(announcing([])))
  })

  it.effect("makes private state anew at a restart, keeps what waits in the mailbox, and loses what was taken out", () => {
    const seen: Array<ReadonlyArray<unknown>> = []
    return Effect.gen(function*() {
      const child = Effect.gen(function*() {
        const { mailbox } = yield* Self
        let n = 0
        while (true) {
          yield* mailbox.arrived
          for (const message of mailbox.takeAll()) {
            n += 1
            seen.push([n, message])
            if (message === "resume") {
              mailbox.offer("drain")
              return yield* Effect.die(new Error("poison"))
            }
          }
        }
      })
      const teller = Effect.flatMap(
        Self,
        ({ tell }) => Effect.zipRight(Effect.sync(() => tell("told", "pause")), Effect.never)
      )
      const poisoner = Effect.flatMap(
        Self,
        ({ tell }) => Effect.sleep("1 second").pipe(Effect.map(() => tell("told", "resume")))
      )
      const tree = yield* supervision([
        { name: "child", run: child, group: "told" },
        { name: "teller", run: teller },
        { name: "poisoner", run: poisoner }
      ], intensity)
      const fiber = yield* Effect.fork(tree.run)
      yield* TestClock.adjust("1 minute")
      assert.deepStrictEqual(seen, [[1, "pause"], [2, "resume"], [1, "drain"]])
      assert.deepInclude(tree.report()[0], { state: "running", restarts: 1, lastDeath: "poison" })
      yield* Fiber.interrupt(fiber)
    }).pipe(Effect.provide(announcing([])))
  })

  it.effect("shows whether a child works, waits for its restart, or was given up, and counts its deaths", () => {
    let starts = 0
    return Effect.gen(function*() {
      const child = Effect.gen(function*() {
        const { workOn } = yield* Self
        starts += 1
        yield* workOn({ rolloutId: "r", attempt: starts, sinceMs: 0 })
        yield* Effect.sleep("1 second")
        return yield* Effect.fail("no luck")
      })
      const tree = yield* supervision([{ name: "worker", run: child }], intensity)
      const before = yield* Metric.value(Metric.tagged(deathsMetric, "actor", "worker"))
      const stateOf = () => [tree.report()[0]!.state, tree.report()[0]!.work?.attempt ?? null]
      assert.deepStrictEqual(stateOf(), ["starting", null])
      const fiber = yield* Effect.fork(tree.run)
      yield* TestClock.adjust("500 millis")
      assert.deepStrictEqual(stateOf(), ["running", 1])
      yield* TestClock.adjust("1 second")
      assert.deepStrictEqual(stateOf(), ["restarting", null])
      yield* TestClock.adjust("1 minute")
      assert.deepStrictEqual(stateOf(), ["failed", null])
      assert.deepStrictEqual(tree.deaths(), [{ actor: "worker", deaths: 3, last: "no luck" }])
      const after = yield* Metric.value(Metric.tagged(deathsMetric, "actor", "worker"))
      assert.strictEqual(after.count - before.count, 3)
      yield* Effect.flip(Fiber.join(fiber))
    }).pipe(Effect.provide(announcing([])))
  })

  it.effect("stops children in reverse order, those of a group together", () => {
    const events: Array<string> = []
    const child = (name: string, group?: string) => ({
      name,
      run: Effect.onInterrupt(Effect.never, () =>
        Effect.sync(() => events.push(`${name} stops`)).pipe(
          Effect.zipRight(Effect.sleep("1 second")),
          Effect.zipRight(Effect.sync(() => events.push(`${name} has stopped`)))
        )),
      ...(group !== undefined && { group })
    })
    return Effect.gen(function*() {
      const fiber = yield* Effect.fork(supervise([child("first"), child("a", "pair"), child("b", "pair")], intensity))
      yield* TestClock.adjust("1 second")
      const stopping = yield* Effect.fork(Fiber.interrupt(fiber))
      yield* TestClock.adjust("1 minute")
      yield* Fiber.join(stopping)
      assert.deepStrictEqual(events.slice(0, 2).toSorted(), ["a stops", "b stops"])
      assert.deepStrictEqual(events.slice(2, 4).toSorted(), ["a has stopped", "b has stopped"])
      assert.deepStrictEqual(events.slice(4), ["first stops", "first has stopped"])
    }).pipe(Effect.provide(announcing([])))
  })

  it.effect("leaves a child behind that cannot be stopped within its grace, and says so", () => {
    const said: Array<string> = []
    let stopped = false
    return Effect.gen(function*() {
      const tree = yield* supervision([
        { name: "polite", run: Effect.onInterrupt(Effect.never, () => Effect.sync(() => void (stopped = true))) },
        { name: "deaf", run: Effect.uninterruptible(Effect.sleep("1 hour")), stopGrace: Duration.seconds(5) }
      ], intensity)
      const fiber = yield* Effect.fork(tree.run)
      yield* TestClock.adjust("1 second")
      const stopping = yield* Effect.fork(Fiber.interrupt(fiber))
      yield* TestClock.adjust("4 seconds")
      assert.isFalse(stopped)
      yield* TestClock.adjust("2 seconds")
      yield* Fiber.join(stopping)
      assert.isTrue(stopped)
      assert.deepStrictEqual(said, ["deaf did not stop within 5 s and is left behind"])
      assert.deepStrictEqual(tree.report().map(({ state }) => state), ["stopped", "abandoned"])
    }).pipe(Effect.provide(announcing(said)))
  })

  it.effect("drains a group: waits for those that finish, and starts none again that dies meanwhile", () => {
    const said: Array<string> = []
    let starts = 0
    return Effect.gen(function*() {
      const worker = Effect.gen(function*() {
        const { mailbox } = yield* Self
        starts += 1
        yield* mailbox.arrived
        yield* Effect.sleep("3 seconds")
      })
      const tree = yield* supervision([
        { name: "good", run: worker, group: "workers" },
        { name: "bad", run: Effect.zipRight(worker, Effect.fail("too late")), group: "workers" },
        { name: "other", run: Effect.never }
      ], intensity)
      const fiber = yield* Effect.fork(tree.run)
      yield* TestClock.adjust("1 second")
      const drained = yield* Effect.fork(tree.drain("workers"))
      yield* TestClock.adjust("2 seconds")
      assert.strictEqual((yield* Fiber.poll(drained))._tag, "None")
      yield* TestClock.adjust("2 seconds")
      yield* Fiber.join(drained)
      assert.strictEqual(starts, 2)
      assert.deepStrictEqual(tree.report().map(({ state }) => state), ["finished", "stopped", "running"])
      assert.deepStrictEqual(said, ["bad died while it was to finish, and is not started again: too late"])
      yield* Fiber.interrupt(fiber)
    }).pipe(Effect.provide(announcing(said)))
  })
})
