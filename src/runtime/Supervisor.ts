/**
 * One-for-one supervision: a child that dies is started again, alone. A child that keeps dying takes the run with it.
 *
 * The children are loops under one parent, so stopping the parent stops them all, and nothing has to keep track of fibers.
 */
import * as Cause from "effect/Cause"
import * as Clock from "effect/Clock"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import type * as Exit from "effect/Exit"
import * as Schema from "effect/Schema"
import { Announcer } from "./Announcer.js"
import { inOwnFiber } from "./inOwnFiber.js"

/** An effect that never ends by itself. */
export interface Child<E, R> {
  readonly name: string
  readonly run: Effect.Effect<never, E, R>
}

/** How many restarts of one child within a window are borne. */
export interface Intensity {
  readonly restartsMax: number
  readonly within: Duration.Duration
  /** Pause before a restart. */
  readonly pause: Duration.Duration
}

export const defaultIntensity: Intensity = {
  restartsMax: 10,
  within: Duration.seconds(10),
  pause: Duration.millis(50)
}

/** A child died more often than its intensity allows. */
export class ChildKeepsDying extends Schema.TaggedError<ChildKeepsDying>()("ChildKeepsDying", {
  child: Schema.String,
  deaths: Schema.Int,
  withinSecs: Schema.Number,
  /** The last death's cause, in one line. */
  detail: Schema.String
}) {
  override get message() {
    return `${this.child} died ${this.deaths} times within ${this.withinSecs} s, the last time of: ${this.detail}`
  }
}

/** Runs all children until one of them keeps dying. Interruption stops them all and waits for them. */
export const supervise = <E, R>(
  children: ReadonlyArray<Child<E, R>>,
  intensity: Intensity = defaultIntensity
): Effect.Effect<never, ChildKeepsDying, R | Announcer> =>
  Effect.zipRight(
    Effect.forEach(children, (child) => keepAlive(child, intensity), { concurrency: "unbounded", discard: true }),
    Effect.never
  )

const keepAlive = <E, R>(
  { name, run }: Child<E, R>,
  { pause, restartsMax, within }: Intensity
): Effect.Effect<never, ChildKeepsDying, R | Announcer> =>
  Effect.gen(function*() {
    const announcer = yield* Announcer
    let deaths: ReadonlyArray<number> = []
    while (true) {
      // In a fiber of its own: a child that was interrupted by accident must not look like our own end.
      const exit = yield* Effect.exit(inOwnFiber(run))
      const now = Number(yield* Clock.currentTimeNanos) / 1e6
      deaths = [...deaths.filter((at) => now - at <= Duration.toMillis(within)), now]
      const detail = describe(exit)
      if (deaths.length > restartsMax) {
        return yield* new ChildKeepsDying({
          child: name,
          deaths: deaths.length,
          withinSecs: Duration.toSeconds(within),
          detail
        })
      }
      yield* announcer.say(`${name} died and is started again (${deaths.length}/${restartsMax}): ${detail}`)
      yield* Effect.sleep(pause)
    }
  })

const describe = (exit: Exit.Exit<never, unknown>): string =>
  exit._tag === "Success" ? "it ended" : describeCause(exit.cause)

/** A cause in one line, for people. */
export const describeCause = (cause: Cause.Cause<unknown>): string => {
  if (Cause.isInterruptedOnly(cause)) return "it was interrupted"
  const [first] = Cause.prettyErrors(cause)
  return first === undefined ? "unknown" : `${first.name === "Error" ? "" : `${first.name}: `}${first.message}`
}
