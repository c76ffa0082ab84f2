import * as Cause from "effect/Cause"
import * as Clock from "effect/Clock"
import * as Context from "effect/Context"
import * as Deferred from "effect/Deferred"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Layer from "effect/Layer"
import * as Option from "effect/Option"
import * as Queue from "effect/Queue"
import * as Schema from "effect/Schema"
import type * as Scope from "effect/Scope"
import { RolloutId, type RunId, type WorkerId } from "../domain/Ids.js"
import { type Claim, RolloutQueue } from "../store/RolloutQueue.js"
import type { StoreError } from "../store/StoreError.js"
import { Announcer } from "./Announcer.js"
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
      : `the lease on ${this.rolloutId} could not be renewed in time`
  }
}

/** A claim that is kept alive. */
export interface Lease {
  readonly claim: Claim
  /** Fails the moment the claim is no longer ours; never succeeds. Race the work with it. */
  readonly ended: Effect.Effect<never, LeaseEnded>
  /** Fails when the lease has run out by our own clock, though nobody has told us. Ask before an act of consequence. */
  readonly confirm: Effect.Effect<void, LeaseEnded>
}

export interface LeaseOptions {
  /** A lease lasts three of these, from the last renewal. */
  readonly heartbeatIntervalMs: number
}

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
    Layer.effect(
      Leases,
      Effect.gen(function*() {
        const announcer = yield* Announcer
        const queue = yield* RolloutQueue
        const renewals = yield* Queue.sliding<void>(1)
        const leaseMs = 3 * heartbeatIntervalMs
        // Half an interval for stopping the work before the store may give it to somebody else.
        const usableNanos = BigInt(Math.round(2.5 * heartbeatIntervalMs * 1e6))
        const held = new Set<Held>()

        const claim = (runId: RunId, workerId: WorkerId) =>
          Effect.gen(function*() {
            const endsAt = (yield* Clock.currentTimeNanos) + usableNanos
            const [first] = yield* queue.claim({ runId, workerId, leaseMs, limit: 1 })
            if (first === undefined) return null
            const entry: Held = { claim: first, endsAt, lost: yield* Deferred.make<never, LeaseEnded>() }
            held.add(entry)
            return entry
          })

        const letGo = (entry: Held | null, exit: Exit.Exit<unknown, unknown>) => {
          if (entry === null) return Effect.void
          held.delete(entry)
          if (Exit.isSuccess(exit)) return Effect.void
          const back = Cause.isInterruptedOnly(exit.cause)
            ? queue.release(entry.claim)
            : queue.abandon(entry.claim, `its worker broke down: ${describeCause(exit.cause)}`)
          return back.pipe(
            // Refused: the attempt had ended already, or somebody else owns it. Nothing is left to hand back.
            Effect.catchTag("LeaseLost", () => Effect.void),
            Effect.interruptible,
            Effect.timeoutFail({ duration: handBackMax, onTimeout: () => ({ message: "the store did not answer" }) }),
            Effect.catchAll(({ message }) =>
              announcer.say(`${entry.claim.rolloutId} could not be handed back (${message}); it is put back later`)
            )
          )
        }

        const renew = Effect.gen(function*() {
          const entries = [...held]
          const endsAt = (yield* Clock.currentTimeNanos) + usableNanos
          const kept = yield* queue.heartbeat(entries.map((entry) => entry.claim), leaseMs)
          for (const entry of entries) {
            const { rolloutId } = entry.claim
            if (kept.has(entry.claim)) entry.endsAt = endsAt
            else yield* Deferred.fail(entry.lost, new LeaseEnded({ rolloutId, reason: "lost" }))
          }
          yield* Queue.offer(renewals, undefined)
        })

        return Leases.of({
          claim: (runId, workerId) =>
            Effect.map(
              Effect.acquireRelease(claim(runId, workerId), letGo),
              (entry) => Option.map(Option.fromNullable(entry), asLease)
            ),
          heartbeat: renew.pipe(
            Effect.catchTag("StoreError", ({ message }) => announcer.say(`heartbeat not written: ${message}`)),
            Effect.zipRight(Effect.sleep(heartbeatIntervalMs)),
            Effect.forever
          ),
          renewed: Queue.take(renewals),
          rescue: (runId) =>
            Effect.suspend(() => queue.rescue(runId, { claims: Array.from(held, (entry) => entry.claim), leaseMs }))
        })
      })
    )
}

interface Held {
  readonly claim: Claim
  readonly lost: Deferred.Deferred<never, LeaseEnded>
  /** Monotonic nanoseconds. */
  endsAt: bigint
}

const asLease = (entry: Held): Lease => {
  const expired = new LeaseEnded({ rolloutId: entry.claim.rolloutId, reason: "expired" })
  const left = Effect.map(Clock.currentTimeNanos, (now) => entry.endsAt - now)
  const expiry: Effect.Effect<never, LeaseEnded> = Effect.flatMap(
    left,
    (nanos) => nanos <= 0n ? Effect.fail(expired) : Effect.zipRight(Effect.sleep(Duration.nanos(nanos)), expiry)
  )
  return {
    claim: entry.claim,
    ended: Effect.raceFirst(Deferred.await(entry.lost), expiry),
    confirm: Effect.flatMap(left, (nanos) => nanos <= 0n ? Effect.fail(expired) : Effect.void)
  }
}
