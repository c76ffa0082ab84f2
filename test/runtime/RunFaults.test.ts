import { assert, describe, it } from "@effect/vitest"
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import { Leases } from "../../src/runtime/Leases.js"
import { StatusReporter } from "../../src/runtime/StatusReporter.js"
import { RunStore } from "../../src/store/RunStore.js"
import { Writer } from "../../src/store/Writer.js"
import { type FakeAgent, runIn, runtimeAt } from "../support/runtime.js"
import { scratchFolder } from "../support/store.js"
import { eventually } from "../support/upstream.js"

/** Throws at its first uses, as many as given, and then does its work. */
const faulty = (times: number, error: Error) => {
  let left = times
  return <A, E, R>(effect: Effect.Effect<A, E, R>): Effect.Effect<A, E, R> =>
    Effect.suspend(() => {
      if (left === 0) return effect
      left -= 1
      return Effect.die(error)
    })
}

/** An agent that answers once some part of the run was started again so often. */
const answersAfter = (restarts: number, said: Array<string>): FakeAgent => ({
  said,
  heartbeatIntervalMs: 200,
  execute: () =>
    Effect.as(
      eventually(
        `${restarts} restarts`,
        Effect.sync(() => said.some((line) => line.includes(`is started again (${restarts}/10)`)) ? true : undefined)
      ),
      { output: "4" }
    )
})

const answering: FakeAgent = { execute: () => Effect.succeed({ output: "4" }) }

describe("a run with faults inside", () => {
  it.scopedLive("starts a rescuer again that broke down, and says so in its summary", () =>
    Effect.gen(function*() {
      const folder = yield* scratchFolder
      const said: Array<string> = []
      const fault = faulty(2, new TypeError("no such row"))
      const broken = Layer.effect(
        Leases,
        Effect.map(Leases, (leases) => ({ ...leases, renewed: fault(leases.renewed) }))
      )
      const summary = yield* runIn(folder, 2).pipe(
        Effect.provide(Layer.provideMerge(broken, runtimeAt(folder, answersAfter(2, said))))
      )
      assert.deepInclude(summary, { runState: "completed", succeeded: 2, failed: 0 })
      assert.deepStrictEqual(summary.deaths, [{ actor: "rescuer", deaths: 2, last: "TypeError: no such row" }])
      assert.include(said, "rescuer died and is started again (2/10): TypeError: no such row")
    }))

  it.scopedLive("starts a status reporter again that broke down, and runs every rollout once all the same", () =>
    Effect.gen(function*() {
      const folder = yield* scratchFolder
      const said: Array<string> = []
      const fault = faulty(3, new RangeError("Array buffer allocation failed"))
      const broken = Layer.effect(
        StatusReporter,
        Effect.map(StatusReporter, (reporter) => ({ ...reporter, report: (run) => fault(reporter.report(run)) }))
      )
      const summary = yield* runIn(folder, 2).pipe(
        Effect.provide(Layer.provideMerge(broken, runtimeAt(folder, answersAfter(3, said))))
      )
      assert.deepInclude(summary, { runState: "completed", succeeded: 2 })
      assert.deepStrictEqual(summary.deaths, [
        { actor: "status reporter", deaths: 3, last: "RangeError: Array buffer allocation failed" }
      ])
    }))

  it.scopedLive("starts a control watcher again, whose clock of work done goes on where it stood", () =>
    Effect.gen(function*() {
      const folder = yield* scratchFolder
      // It dies after six tenths of its second.
      let begunAt: number | null = null
      let hasDied = false
      let looksAfter = 0
      const look = Effect.suspend(() => {
        begunAt ??= performance.now()
        if (hasDied) looksAfter += 1
        if (hasDied || performance.now() - begunAt < 600) return Effect.void
        hasDied = true
        return Effect.die(new Error("torn"))
      })
      const broken = Layer.effect(
        RunStore,
        Effect.map(RunStore, (runs) => ({ ...runs, outlook: (id) => Effect.zipRight(look, runs.outlook(id)) }))
      )
      const summary = yield* runIn(folder, 1, { completion_timeout_secs: 1, completion_poll_interval_ms: 10 }).pipe(
        Effect.provide(
          Layer.provideMerge(broken, runtimeAt(folder, { execute: () => Effect.never, heartbeatIntervalMs: 50 }))
        )
      )
      assert.deepInclude(summary, { runState: "failed", stoppedReason: "completion_timeout" })
      assert.deepStrictEqual(summary.deaths, [{ actor: "control watcher", deaths: 1, last: "torn" }])
      // What is left is 40 looks, fewer on a slow machine; a clock that began anew would have 100.
      assert.isBelow(looksAfter, 60)
    }))

  it.scopedLive("ends with the name of what keeps dying, and the store resumes", () =>
    Effect.gen(function*() {
      const folder = yield* scratchFolder
      const broken = Layer.effect(
        Leases,
        Effect.map(Leases, (leases) => ({ ...leases, renewed: Effect.die(new Error("no memory")) }))
      )
      const error = yield* Effect.flip(
        runIn(folder, 2).pipe(
          Effect.provide(Layer.provideMerge(
            broken,
            runtimeAt(folder, { execute: () => Effect.never, heartbeatIntervalMs: 50 })
          ))
        )
      )
      assert.strictEqual(error.message, "rescuer died 11 times within 10 s, the last time of: no memory")
      const summary = yield* runIn(folder, 2).pipe(Effect.provide(runtimeAt(folder, answering)))
      assert.deepInclude(summary, { succeeded: 2, failed: 0, start: 2 })
    }))

  it.scopedLive("ends when its writer thread dies, naming it, and the store resumes", () =>
    Effect.gen(function*() {
      const folder = yield* scratchFolder
      const started = yield* Deferred.make<void>()
      const agent: FakeAgent = { execute: () => Effect.zipRight(Deferred.succeed(started, undefined), Effect.never) }
      const error = yield* Effect.gen(function*() {
        const writer = yield* Writer
        const fiber = yield* Effect.fork(Effect.flip(runIn(folder, 2)))
        yield* Deferred.await(started)
        // What the thread takes apart before it opens its transaction, and cannot.
        writer.submit("closeSpan", null as never, { nowMs: 0, done: () => {} })
        return yield* fiber
      }).pipe(Effect.provide(runtimeAt(folder, agent)))
      assert.match(error.message, /^writer died: StoreError: .*TypeError/)
      const summary = yield* runIn(folder, 2).pipe(Effect.provide(runtimeAt(folder, answering)))
      assert.deepInclude(summary, { succeeded: 2, failed: 0, start: 2 })
    }))
})
