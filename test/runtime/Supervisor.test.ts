import { assert, describe, it } from "@effect/vitest"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as TestClock from "effect/TestClock"
import { supervise } from "../../src/runtime/Supervisor.js"
import { announcing } from "../support/runtime.js"

const intensity = { restartsMax: 2, within: Duration.seconds(10), pause: Duration.seconds(1) }

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
})
