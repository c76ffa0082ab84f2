/**
 * One-for-one supervision: a child that dies is started again, alone. A child that keeps dying takes the run with it.
 *
 * The children are loops under one scope, started in their order and stopped in reverse, so stopping the parent stops them
 * all.
 */
import * as Cause from "effect/Cause"
import * as Clock from "effect/Clock"
import * as Deferred from "effect/Deferred"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as FiberId from "effect/FiberId"
import * as Metric from "effect/Metric"
import * as Option from "effect/Option"
import * as Schema from "effect/Schema"
import { atMost } from "../process/atMost.js"
import { StoreError } from "../store/StoreError.js"
import { type ActorReport, type ActorState, Mailbox, type Message, Self, type Work } from "./Actor.js"
import { Announcer } from "./Announcer.js"
import { inOwnFiber } from "./inOwnFiber.js"

/** An actor to be kept alive. One that succeeds has finished, and is not started again. */
export interface Child<E, R> {
  readonly name: string
  readonly run: Effect.Effect<void, E, R>
  /** Neighbours of one group stop at the same time, and are told things together. */
  readonly group?: string
  /** Its own, where it differs. */
  readonly intensity?: Intensity
  /** How long it may take to stop before it is left behind. */
  readonly stopGrace?: Duration.Duration
}

/** How many restarts of one child within a window are borne. */
export interface Intensity {
  readonly restartsMax: number
  readonly within: Duration.Duration
  /** Pause before a restart. */
  readonly pause: Duration.Duration
}

const defaultIntensity: Intensity = {
  restartsMax: 10,
  within: Duration.seconds(10),
  pause: Duration.millis(50)
}

/** Longer than what stopping an agent and handing back its rollout may take. */
const defaultStopGrace = Duration.seconds(30)

/** A child died more often than its intensity allows. */
export class ChildKeepsDying extends Schema.TaggedError<ChildKeepsDying>()("ChildKeepsDying", {
  child: Schema.String,
  deaths: Schema.Int,
  withinSecs: Schema.Number,
  /** The last death's cause, in one line. */
  detail: Schema.String
}) {
  override get message() {
    const often = this.deaths === 1 ? "" : ` ${this.deaths} times within ${this.withinSecs} s, the last time of`
    return `${this.child} died${often}: ${this.detail}`
  }
}

/** Every death of a supervised child, tagged with the child's name. */
export const deathsMetric = Metric.counter("tau_actor_deaths_total", {
  description: "Deaths of supervised actors",
  incremental: true
})

/** The deaths of one child. */
export interface Deaths {
  readonly actor: string
  readonly deaths: number
  /** The cause of the last one, in one line. */
  readonly last: string
}

/** Children under one parent, before and while they run. */
export interface Supervision<R> {
  /** Runs all children until one of them keeps dying. Interruption stops them all and waits for them. */
  readonly run: Effect.Effect<never, ChildKeepsDying, R | Announcer>
  /** Tells a group to finish and waits until all of it has ended. None of it is started again. */
  readonly drain: (group: string) => Effect.Effect<void>
  readonly report: () => ReadonlyArray<ActorReport>
  /** The children that died at least once. */
  readonly deaths: () => ReadonlyArray<Deaths>
}

export const supervision = <E, R>(
  children: ReadonlyArray<Child<E, R>>,
  intensity: Intensity = defaultIntensity
): Effect.Effect<Supervision<Exclude<R, Self>>> =>
  Effect.sync(() => {
    const inGroup = (group: string) => places.filter(({ child }) => child.group === group)
    const tell = (group: string, message: Message) => {
      for (const { mailbox } of inGroup(group)) mailbox.offer(message)
    }
    const told: Told = { lostStore: false }
    const places = children.map((child) => new Place(child, child.intensity ?? intensity, tell, told))
    const groups = grouped(places)

    return {
      run: Effect.scoped(Effect.gen(function*() {
        const escalated = yield* Deferred.make<never, ChildKeepsDying>()
        for (const group of groups) {
          yield* Effect.acquireRelease(
            Effect.forEach(group, (place) => start(place, escalated)),
            (started) => Effect.forEach(started, stop, { concurrency: "unbounded", discard: true })
          )
        }
        return yield* Deferred.await(escalated)
      })),
      drain: (group) =>
        Effect.suspend(() => {
          const members = inGroup(group)
          for (const member of members) member.isDraining = true
          tell(group, "drain")
          return Effect.forEach(members, ({ ended }) => Deferred.await(ended), { discard: true })
        }),
      report: () => places.map((place) => place.report()),
      deaths: () =>
        places.flatMap(({ child, deaths, lastDeath }) =>
          lastDeath === null ? [] : [{ actor: child.name, deaths, last: lastDeath }]
        )
    }
  })

/** What was said once for all children. */
interface Told {
  /** All of them die of it, over and over, until the run ends. */
  lostStore: boolean
}

const isOfLostStore = (cause: Cause.Cause<unknown>): boolean =>
  Option.exists(Cause.failureOption(cause), (error) => error instanceof StoreError && error.reason === "gone")

/** A child's place in the tree: what outlives its fibers. */
class Place<E, R> {
  readonly mailbox = new Mailbox()
  /** The place is empty for good. */
  readonly ended = Deferred.unsafeMake<void>(FiberId.none)
  state: ActorState = "starting"
  isDraining = false
  startedAtMs: number | null = null
  restarts = 0
  deaths = 0
  lastDeath: string | null = null
  work: Work | null = null

  readonly self: Self["Type"]

  constructor(
    readonly child: Child<E, R>,
    readonly intensity: Intensity,
    tell: (group: string, message: Message) => void,
    readonly told: Told
  ) {
    this.self = {
      mailbox: this.mailbox,
      workOn: (work) =>
        Effect.sync(() => {
          this.work = work
        }),
      tell
    }
  }

  end(state: ActorState): void {
    this.state = state
    this.work = null
    Deferred.unsafeDone(this.ended, Effect.void)
  }

  report(): ActorReport {
    const { capacity, dropped, size } = this.mailbox
    return {
      name: this.child.name,
      state: this.state,
      startedAtMs: this.startedAtMs,
      restarts: this.restarts,
      lastDeath: this.lastDeath,
      mailbox: { size, capacity, dropped },
      work: this.work,
      detail: null
    }
  }
}

const grouped = <E, R>(places: ReadonlyArray<Place<E, R>>): ReadonlyArray<ReadonlyArray<Place<E, R>>> => {
  const groups: Array<Array<Place<E, R>>> = []
  for (const place of places) {
    const last = groups.at(-1)
    const { group } = place.child
    if (group !== undefined && last?.[0]?.child.group === group) last.push(place)
    else groups.push([place])
  }
  return groups
}

interface Started<E, R> {
  readonly place: Place<E, R>
  readonly fiber: Fiber.Fiber<void, ChildKeepsDying>
}

const start = <E, R>(place: Place<E, R>, escalated: Deferred.Deferred<never, ChildKeepsDying>) =>
  keepAlive(place).pipe(
    Effect.tapErrorCause((cause) => Deferred.failCause(escalated, cause)),
    Effect.interruptible,
    // Not the parent's to stop in whatever order: the scope does it, in ours.
    Effect.forkDaemon,
    Effect.map((fiber): Started<E, R> => ({ place, fiber }))
  )

/** Waits for the child, but not for ever: what cannot be interrupted must not keep the others from being stopped. */
const stop = <E, R>({ fiber, place }: Started<E, R>) =>
  Effect.gen(function*() {
    const { child, state } = place
    if (state === "finished" || state === "failed" || state === "stopped") return
    place.state = "stopping"
    const grace = child.stopGrace ?? defaultStopGrace
    yield* Fiber.interruptFork(fiber)
    const exit = yield* atMost(grace, Fiber.await(fiber))
    place.end(Option.isSome(exit) ? "stopped" : "abandoned")
    if (Option.isNone(exit)) {
      const announcer = yield* Announcer
      yield* announcer.say(`${child.name} did not stop within ${Duration.toSeconds(grace)} s and is left behind`)
    }
  })

const keepAlive = <E, R>(place: Place<E, R>): Effect.Effect<void, ChildKeepsDying, Exclude<R, Self> | Announcer> =>
  Effect.gen(function*() {
    const announcer = yield* Announcer
    const { child: { name, run }, intensity: { pause, restartsMax, within }, told } = place
    const counted = Metric.tagged(deathsMetric, "actor", name)
    let deaths: ReadonlyArray<number> = []
    while (true) {
      place.startedAtMs = yield* Clock.currentTimeMillis
      place.state = "running"
      // In a fiber of its own: a child that was interrupted by accident must not look like our own end.
      const exit = yield* Effect.exit(inOwnFiber(Effect.provideService(run, Self, place.self)))
      if (Exit.isSuccess(exit)) {
        place.end("finished")
        return
      }
      const now = Number(yield* Clock.currentTimeNanos) / 1e6
      deaths = [...deaths.filter((at) => now - at <= Duration.toMillis(within)), now]
      const detail = describeCause(exit.cause)
      place.work = null
      place.deaths += 1
      place.lastDeath = detail
      yield* Metric.increment(counted)
      if (deaths.length > restartsMax) {
        place.end("failed")
        return yield* new ChildKeepsDying({
          child: name,
          deaths: deaths.length,
          withinSecs: Duration.toSeconds(within),
          detail
        })
      }
      if (place.isDraining) {
        yield* announcer.say(`${name} died while it was to finish, and is not started again: ${detail}`)
      } else {
        place.state = "restarting"
        const isNews = !(isOfLostStore(exit.cause) && told.lostStore)
        told.lostStore ||= isOfLostStore(exit.cause)
        if (isNews) {
          yield* announcer.say(`${name} died and is started again (${deaths.length}/${restartsMax}): ${detail}`)
        }
        yield* Effect.sleep(pause)
      }
      if (place.isDraining) {
        place.end("stopped")
        return
      }
      place.restarts += 1
    }
  })

/** A cause in one line, for people. */
export const describeCause = (cause: Cause.Cause<unknown>): string => {
  if (Cause.isInterruptedOnly(cause)) return "it was interrupted"
  const [first] = Cause.prettyErrors(cause)
  return first === undefined ? "unknown" : `${first.name === "Error" ? "" : `${first.name}: `}${first.message}`
}
