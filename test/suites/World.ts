/**
 * A deterministic simulation of processes that share a store: the real runners, leases, rescuer, supervision and ending,
 * under a clock and a scheduler of our own, with faults drawn from a seed. Equal seeds make equal histories.
 */
import * as Clock from "effect/Clock"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import type * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import type * as Scheduler from "effect/Scheduler"

interface Timer {
  readonly atMs: number
  readonly n: number
  readonly owner: Machine | null
  run: (() => void) | null
}

/** One computer process of the simulation. What a frozen one waits for happens to it when it thaws. */
export interface Machine {
  readonly name: string
  isFrozen: boolean
  /** Killed: nothing that it asks for reaches the store any more. */
  isDead: boolean
  readonly held: Array<() => void>
}

/** Time, its order of events, and the tasks of all fibers. */
export class World {
  monotonicMs = 0
  wallOffsetMs = 1_000_000_000_000
  private tasks: Array<() => void> = []
  private timers: Array<Timer> = []
  private count = 0

  get wallMs() {
    return this.wallOffsetMs + this.monotonicMs
  }

  readonly scheduler: Scheduler.Scheduler = {
    shouldYield: () => false,
    scheduleTask: (task) => void this.tasks.push(task)
  }

  /** Runs what can run now. */
  settle() {
    for (let steps = 0; this.tasks.length > 0; steps++) {
      if (steps > 100_000) throw new Error("the fibers never come to rest")
      const tasks = this.tasks
      this.tasks = []
      for (const task of tasks) task()
    }
  }

  /** Does something later, on a machine or outside all of them. Answers how to call it off. */
  after(ms: number, owner: Machine | null, run: () => void): () => void {
    const timer: Timer = { atMs: this.monotonicMs + Math.max(0, ms), n: this.count++, owner, run }
    const place = this.timers.findIndex((other) => other.atMs > timer.atMs)
    if (place === -1) this.timers.push(timer)
    else this.timers.splice(place, 0, timer)
    return () => {
      timer.run = null
    }
  }

  /** Goes on to the next event. False when nothing is left to happen. */
  advance(): boolean {
    this.settle()
    const timer = this.timers.shift()
    if (timer === undefined) return false
    this.monotonicMs = Math.max(this.monotonicMs, timer.atMs)
    if (timer.run !== null) this.happen(timer.owner, timer.run)
    this.settle()
    return true
  }

  thaw(machine: Machine) {
    machine.isFrozen = false
    for (const run of machine.held.splice(0)) run()
  }

  private happen(owner: Machine | null, run: () => void) {
    if (owner?.isFrozen === true) owner.held.push(run)
    else run()
  }

  clockOf(machine: Machine): Clock.Clock {
    const unsafeCurrentTimeMillis = () => this.wallMs
    const unsafeCurrentTimeNanos = () => BigInt(Math.round(this.monotonicMs * 1e6))
    return {
      ...Clock.make(),
      unsafeCurrentTimeMillis,
      unsafeCurrentTimeNanos,
      currentTimeMillis: Effect.sync(unsafeCurrentTimeMillis),
      currentTimeNanos: Effect.sync(unsafeCurrentTimeNanos),
      sleep: (duration) =>
        Effect.async<void>((resume) => {
          const cancel = this.after(Duration.toMillis(duration), machine, () => resume(Effect.void))
          return Effect.sync(cancel)
        })
    }
  }

  /** Starts an effect on a machine. `ended` is told how it ended, whatever the cause. */
  fork<A, E>(machine: Machine, effect: Effect.Effect<A, E>, ended: (exit: Exit.Exit<A, E>) => void) {
    const fiber = Effect.runFork(Effect.withClock(effect, this.clockOf(machine)), { scheduler: this.scheduler })
    fiber.addObserver(ended)
    return () => void Effect.runFork(Fiber.interruptFork(fiber), { scheduler: this.scheduler })
  }
}
