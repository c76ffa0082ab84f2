import * as Cause from "effect/Cause"
import * as Clock from "effect/Clock"
import * as Context from "effect/Context"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as FiberId from "effect/FiberId"
import * as Layer from "effect/Layer"
import * as Option from "effect/Option"
import * as Queue from "effect/Queue"
import * as Schema from "effect/Schema"
import type * as Scope from "effect/Scope"
import { RolloutId, type RunId, type WorkerId } from "../domain/Ids.js"
import { atMost } from "../process/atMost.js"
import { type Claim, RolloutQueue } from "../store/RolloutQueue.js"
import { StoreError } from "../store/StoreError.js"
import { Announcer } from "./Announcer.js"
import { claimer } from "./Claimer.js"
import { describeCause } from "./Supervisor.js"

/** Longest wait for handing a claim back at shutdown. What is not handed back by then, the next start puts back. */
const handBackMax = Duration.seconds(5)

/** The attempt must stop: `lost` says that the store gave the rollout away, `expired` that our own clock ran out. */
export class LeaseEnded extends Schema.TaggedError<LeaseEnded>()("LeaseEnded", {
  rolloutId: RolloutId,
  reason: Schema.Literal("lost", "expired")
}) {
  override get message() {
    return this.reason === "lost"
      ? `the lease on ${this.rolloutId} is lost: somebody else decides over it now`
      : `the lease on ${this.rolloutId} could not be renewed within 2.5 times heartbeat_interval_ms`
  }
}

/** A claim that is kept alive. */
export interface Lease {
  readonly claim: Claim
  /** The store has said that somebody else decides over the rollout now. */
  readonly lose: () => void
  /** Works in a fiber of its own for as long as the claim is ours. When it is not, all of the work is stopped before this fails. */
  readonly whileHeld: <A, E, R>(work: Effect.Effect<A, E, R>) => Effect.Effect<A, E | LeaseEnded, R>
  /** Fails when the lease has run out by our own clock, though nobody has told us. Ask before an act of consequence. */
  readonly confirm: Effect.Effect<void, LeaseEnded>
}

export interface LeaseOptions {
  /** A lease lasts three of these, from the last renewal. Less than 100 counts as 100. */
  readonly heartbeatIntervalMs: number
}

/** With less, leases run out while a commit or the loading of a module takes its time, and no attempt comes to its end. */
const intervalMsMin = 100

/**
 * The claims that this process holds. One statement per interval renews them all.
 *
 * Time is measured on the monotonic clock from the moment before each renewal was asked for: our idea of a lease's end is
 * never later than the store's.
 */
export class Leases extends Context.Tag("tau/runtime/Leases")<Leases, {
  /**
   * Claims the next rollout that is due, if any, for as long as the scope is open. A claim still held when the scope
   * closes is handed back: uncharged after an interruption, as a crash after anything else but success.
   */
  readonly claim: (
    runId: RunId,
    workerId: WorkerId
  ) => Effect.Effect<Option.Option<Lease>, StoreError, Scope.Scope>

  /** Renews until interrupted. Outlives a store that cannot be written for a while: the leases end instead. */
  readonly heartbeat: Effect.Effect<never>

  /** Completes after the next renewal. */
  readonly renewed: Effect.Effect<void>

  /** Puts back what ran out and is held by nobody in this process. Answers what that was. */
  readonly rescue: (runId: RunId) => Effect.Effect<ReadonlyArray<RolloutId>, StoreError>
}>() {
  static readonly layer = ({ heartbeatIntervalMs }: LeaseOptions) =>
    Layer.scoped(
      Leases,
      Effect.gen(function*() {
        const announcer = yield* Announcer
        const queue = yield* RolloutQueue
        const renewals = yield* Queue.sliding<void>(1)
        const intervalMs = Math.max(heartbeatIntervalMs, intervalMsMin)
        const leaseMs = 3 * intervalMs
        // Half an interval for stopping the work before the store may give it to somebody else.
        const usableNanos = BigInt(Math.round(2.5 * intervalMs * 1e6))
        const held = new Set<Held>()
        const someHeld = Effect.unsafeMakeLatch(false)
        const ask = yield* claimer(leaseMs)

        const claim = (runId: RunId, workerId: WorkerId) =>
          Effect.map(ask(runId, workerId), (claimed) => {
            if (claimed === null) return null
            const { askedAtNanos, claim } = claimed
            const entry = new Held(claim, askedAtNanos + usableNanos)
            held.add(entry)
            someHeld.unsafeOpen()
            return entry
          })

        /** Ends leases that have run out by our own clock. A new or renewed one never ends before those that are watched. */
        const watch = Effect.gen(function*() {
          yield* someHeld.await
          const now = yield* Clock.currentTimeNanos
          let next: bigint | null = null
          for (const entry of held) {
            if (entry.endsAt <= now) entry.end("expired")
            else if (next === null || entry.endsAt < next) next = entry.endsAt
          }
          if (next !== null) return yield* Effect.sleep(Duration.nanos(next - now))
          someHeld.unsafeClose()
        })
        yield* Effect.forkScoped(Effect.forever(watch))

        const missed = new MissedRenewals()
        const renew = Effect.gen(function*() {
          const entries = [...held]
          const endsAt = (yield* Clock.currentTimeNanos) + usableNanos
          const kept = yield* queue.heartbeat(entries.map((entry) => entry.claim), leaseMs)
          for (const entry of entries) {
            if (kept.has(entry.claim)) entry.endsAt = endsAt
            else entry.end("lost")
          }
          yield* Queue.offer(renewals, undefined)
        })

        return Leases.of({
          claim: (runId, workerId) =>
            Effect.map(
              Effect.acquireRelease(claim(runId, workerId), (entry, exit) => {
                if (entry === null) return Effect.void
                held.delete(entry)
                return Exit.isSuccess(exit) ? Effect.void : handBack(queue, entry.claim, exit.cause).pipe(
                  Effect.catchAll((error) =>
                    // Where the store is gone, its runner dies of that, which is told once.
                    error instanceof StoreError && error.reason === "gone"
                      ? Effect.void
                      : announcer.say(
                        `${entry.claim.rolloutId} could not be handed back (${error.message}); it is put back later`
                      )
                  )
                )
              }),
              (entry): Option.Option<Lease> => Option.fromNullable(entry)
            ),
          heartbeat: renew.pipe(
            Effect.zipRight(Effect.sync(() => missed.over())),
            Effect.catchTag("StoreError", (error) => Effect.sync(() => missed.add(error))),
            Effect.flatMap((news) => news === null ? Effect.void : announcer.say(news)),
            Effect.zipRight(Effect.sleep(intervalMs)),
            Effect.forever
          ),
          renewed: Queue.take(renewals),
          rescue: (runId) =>
            Effect.suspend(() => queue.rescue(runId, { claims: Array.from(held, (entry) => entry.claim), leaseMs }))
        })
      })
    )
}

/** Gives a claim up that did not come to its end, within a bounded time. */
const handBack = (queue: RolloutQueue["Type"], claim: Claim, cause: Cause.Cause<unknown>) =>
  (Cause.isInterruptedOnly(cause)
    ? queue.release(claim)
    : queue.abandon(claim, `its worker broke down: ${describeCause(cause)}`)).pipe(
      // Refused: the attempt had ended already, or somebody else owns it. Nothing is left to hand back.
      Effect.catchTag("LeaseLost", () => Effect.void),
      (handedBack) => atMost(handBackMax, handedBack),
      Effect.flatMap(Option.match({
        onNone: () => Effect.fail({ message: "the store did not answer" }),
        onSome: () => Effect.void
      }))
    )

/** What is said of renewals that were not written: once for each reason, and once more when it is over. A disk can be full for hours. */
class MissedRenewals {
  private count = 0
  private reason = ""

  add({ message, reason }: StoreError): string | null {
    const isTold = this.reason === reason
    this.count += 1
    this.reason = reason
    return isTold ? null : `heartbeat not written: ${message}`
  }

  over(): string | null {
    const { count } = this
    this.count = 0
    this.reason = ""
    return count < 2 ? null : `heartbeats are written again; ${count} were not`
  }
}

/** A claim of ours, until when it is, and whether it is no more. */
class Held implements Lease {
  private readonly stops = new Set<() => void>()
  private endedBy: LeaseEnded | null = null

  /** `endsAt` in monotonic nanoseconds. */
  constructor(readonly claim: Claim, public endsAt: bigint) {}

  end(reason: LeaseEnded["reason"]) {
    if (this.endedBy !== null) return
    this.endedBy = new LeaseEnded({ rolloutId: this.claim.rolloutId, reason })
    for (const stop of this.stops) stop()
  }

  readonly lose = () => this.end("lost")

  readonly confirm = Effect.flatMap(Clock.currentTimeNanos, (now) => {
    if (this.endsAt <= now) this.end("expired")
    return this.endedBy ?? Effect.void
  })

  /** One fiber, which an end interrupts: a race with the end would be three. */
  readonly whileHeld = <A, E, R>(work: Effect.Effect<A, E, R>): Effect.Effect<A, E | LeaseEnded, R> =>
    Effect.uninterruptibleMask((restore) =>
      Effect.gen(this, function*() {
        if (this.endedBy !== null) return yield* this.endedBy
        const fiber = yield* Effect.fork(restore(work))
        const stop = () => fiber.unsafeInterruptAsFork(FiberId.none)
        this.stops.add(stop)
        const exit = yield* restore(Fiber.await(fiber)).pipe(
          Effect.onInterrupt(() => Fiber.interrupt(fiber)),
          Effect.ensuring(Effect.sync(() => this.stops.delete(stop)))
        )
        return yield* (this.endedBy !== null && Exit.isInterrupted(exit) ? this.endedBy : exit)
      })
    )
}
