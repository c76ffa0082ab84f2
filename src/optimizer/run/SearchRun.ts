/**
 * Carries a search out over the store. Each batch of asks is a row before it is an action; what was answered before is read,
 * not asked again. So a search that is begun anew after a crash goes through its old steps at once, and on from there.
 */
import type * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import { SearchFailed } from "../../domain/SearchFailed.js"
import { RunStore } from "../../store/RunStore.js"
import { SearchStore } from "../../store/SearchStore.js"
import type { StoreError } from "../../store/StoreError.js"
import { whenWritable } from "../../store/whenWritable.js"
import type { TakenStep } from "../../store/writer/search.js"
import { StoreClock } from "../../store/writer/StoreClock.js"
import { Conductor, type ConductorOptions, type Turn, type Work } from "../Conductor.js"
import { type Reflection, type SearchEvent, SearchStopped, type Steps, type Texts } from "../Search.js"
import { FailureWatch } from "./FailureWatch.js"
import { outcomeOf } from "./outcomeOf.js"
import { reflectionId, Reflector } from "./Reflector.js"
import { type PlannedStep, SearchLedger, type SearchLedgerOptions } from "./SearchLedger.js"
import type { Spending } from "./Spending.js"
import { traceText } from "./traceText.js"

export interface SearchRunOptions extends SearchLedgerOptions {
  readonly spending: Spending
  /** Told when something has come of the search: whoever waits for it need not give up. */
  readonly onProgress: () => void
  /** Told of what the search notes, as it goes. */
  readonly onEvent: (event: SearchEvent) => void
  /** Wakes the runners. */
  readonly onEnqueued: () => void
}

/** Reflections that are asked for at the same time. */
const reflectionsAtOnce = 8
const pollMinMs = 3
const pollMaxMs = 50
const heldPollMs = 100
const tickMs = 1_000

/** A search in progress: several programs may follow each other, and share its numbers and its spending. */
export class SearchRun {
  private readonly ledger: SearchLedger
  private readonly failures = new FailureWatch()
  /** When the first step was taken, and the time since, which a clock that was set back gives no more of; null before. */
  private begun: { readonly atMs: number; readonly time: StoreClock } | null = null

  constructor(private readonly options: SearchRunOptions) {
    this.ledger = new SearchLedger(options)
  }

  get spent() {
    return this.ledger.spent
  }

  /** Number of a candidate that the search has seen. */
  numberOf(texts: Texts): number {
    return this.ledger.numberOf(texts)
  }

  /** Whether so many rollouts may be begun now. */
  affords(rollouts: number): Effect.Effect<boolean, StoreError, SearchStore> {
    return Effect.map(
      this.elapsedSecs(),
      (elapsed) => this.options.spending.refusal({ rollouts, reflections: 0 }, elapsed) === null
    )
  }

  private elapsedSecs() {
    return Effect.gen(this, function*() {
      const clock = yield* Effect.clock
      if (this.begun === null) {
        const steps = yield* Effect.flatMap(SearchStore, (store) => store.stepsAt(this.options.runId))
        if (steps === null) return 0
        this.begun = { atMs: steps.firstMs, time: new StoreClock(() => monotonicMs(clock)) }
        // It may have been set back since the latest step, too.
        this.begun.time.at(steps.latestMs)
      }
      return (this.begun.time.at(clock.unsafeCurrentTimeMillis()) - this.begun.atMs) / 1_000
    })
  }

  /** Runs a program to its end. `reserved` rollouts are kept back for what follows it. */
  run<A>(
    steps: Steps<A>,
    limits: Omit<ConductorOptions, "from">,
    reserved = 0
  ): Effect.Effect<A, SearchFailed | StoreError, SearchStore | RunStore | Reflector> {
    return Effect.gen(this, function*() {
      const conductor = new Conductor(steps, { ...limits, from: this.spent.steps })
      let turn: Turn<A> = conductor.begin()
      while (!turn.done) turn = yield* this.step(conductor, turn.work, reserved)
      return turn.value
    })
  }

  private step<A>(conductor: Conductor<A>, work: Work, reserved: number) {
    return Effect.gen(this, function*() {
      const store = yield* SearchStore
      const planned = this.ledger.plan(work, yield* this.refusal(work, reserved))
      const taken = yield* takenWhenFree(store.take(planned.row))
      if (taken._tag === "changed") {
        return yield* new SearchFailed({
          reason: "changed",
          detail:
            `step ${work.n} of the search differs from the one on record: the optimizer changed since this run began; ` +
            "cancel the run, and its command starts a new one; the version that began it goes on with it where it still reads the store"
        })
      }
      this.ledger.follow(planned)
      // Time counts from the first step: what its rollouts take does too, where the clock is set back meanwhile.
      if (this.begun === null) yield* this.elapsedSecs()
      if (taken.stop !== null) {
        return conductor.stop(new SearchStopped(taken.stop.reason as SearchStopped["reason"], taken.stop.detail))
      }
      this.ledger.settle(planned)
      return conductor.resume(yield* this.carriedOut(work, planned))
    })
  }

  /** Why a batch must not be begun; null when it may. One that costs nothing always may. */
  private refusal({ reflections, rest, rollouts }: Work, reserved: number) {
    return Effect.map(this.elapsedSecs(), (elapsedSecs) => {
      const more = { rollouts: rollouts.length, reflections: reflections.length }
      return more.rollouts + more.reflections === 0
        ? null
        : this.options.spending.refusal(more, elapsedSecs, { rest, reserved })
    })
  }

  /** Waits for all that a step has started. */
  private carriedOut(work: Work, { row }: PlannedStep) {
    return Effect.gen(this, function*() {
      const store = yield* SearchStore
      for (const ask of work.asks) if (ask._tag === "Note") this.options.onEvent(ask.event)
      const ids = row.rollouts.map(({ id }) => id)
      if (ids.length > 0) this.options.onEnqueued()
      const [outcomes, reflections] = yield* Effect.all([
        this.outcomes(ids),
        Effect.forEach(row.reflections, ({ n }, index) => this.reflect(n, work.reflections[index]!), {
          concurrency: reflectionsAtOnce
        })
      ], { concurrency: "unbounded" })
      this.options.onProgress()
      const failed = this.failures.see(outcomes, this.spent.rollouts) ?? this.failures.hear(reflections)
      if (failed !== null) return yield* failed
      const byId = new Map(outcomes.map((outcome) => [outcome.id, outcome]))
      const traces = yield* Effect.forEach(
        work.traces,
        (key) => Effect.map(store.conversations(this.ledger.idOf(key)), (talks) => [key, traceText(talks)] as const)
      )
      return {
        outcomes: new Map(work.rollouts.map((fresh, index) => [fresh.key, outcomeOf(fresh, byId.get(ids[index]!)!)])),
        reflections,
        traces: new Map(traces)
      }
    })
  }

  /** Waits until all rollouts have ended: whatever else the run has enqueued has ended before. */
  private outcomes(ids: ReadonlyArray<string>) {
    const { onProgress, runId, spending } = this.options
    return Effect.gen(function*() {
      if (ids.length === 0) return []
      const runs = yield* RunStore
      const store = yield* SearchStore
      const clock = yield* Effect.clock
      let pauseMs = pollMinMs
      let finished = 0
      let waited: number | null = null
      let waitedMs = 0
      for (let lastMs = monotonicMs(clock);;) {
        const { desired, isFinished } = yield* runs.outlook(runId)
        const nowMs = monotonicMs(clock)
        if (desired !== "pause") waitedMs += nowMs - lastMs
        lastMs = nowMs
        if (isFinished) break
        // What an earlier start has ended is not waited for, and what it left of later steps is.
        waited ??= yield* Effect.map(runs.progress(runId), ({ finished, total }) => total - finished)
        yield* Effect.sleep(pauseMs)
        pauseMs = Math.min(pollMaxMs, pauseMs * 1.5)
        const progress = pauseMs < pollMaxMs ? null : yield* runs.progress(runId)
        if (progress === null || progress.finished === finished) continue
        finished = progress.finished
        onProgress()
      }
      if (waited !== null) spending.addWait(waited, waitedMs / 1_000)
      const outcomes = yield* store.outcomes(ids)
      for (const { usage } of outcomes) spending.addRollout(usage)
      return outcomes
    })
  }

  private reflect(
    n: number,
    ask: Work["reflections"][number]
  ): Effect.Effect<Reflection, StoreError, Reflector | SearchStore> {
    const { onProgress, runId, spending } = this.options
    return Effect.gen(function*() {
      // It has limits of its own for each try.
      const ticking = Effect.forever(Effect.delay(Effect.sync(onProgress), tickMs))
      // Asked again, it is not made again where its answer is on record.
      const reflection = yield* whenWritable(Effect.raceFirst(
        Effect.flatMap(Reflector, (reflector) => reflector.reflect(runId, n, ask)),
        ticking
      ))
      spending.addReflection(yield* Effect.flatMap(SearchStore, (store) => store.usage(reflectionId(runId, n))))
      return reflection
    })
  }
}

/** The clock that nobody can set. */
const monotonicMs = (clock: Clock.Clock) => Number(clock.unsafeCurrentTimeNanos() / 1_000n) / 1_000

/** A paused run takes no step, and a cancelled one never will: whoever cancels it also ends this wait. */
const takenWhenFree = (take: Effect.Effect<TakenStep, StoreError>) =>
  Effect.gen(function*() {
    while (true) {
      const taken = yield* whenWritable(take)
      if (taken._tag !== "held") return taken
      yield* Effect.sleep(heldPollMs)
    }
  })
