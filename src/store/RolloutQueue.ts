import * as Clock from "effect/Clock"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Schema from "effect/Schema"
import { AttemptId, RolloutId, type RunId, type WorkerId } from "../domain/Ids.js"
import { ResourceValues } from "../domain/Resources.js"
import type { Reward } from "../domain/Reward.js"
import { Example, RolloutMode } from "../domain/Rollout.js"
import { StoreProcess } from "./Sqlite.js"
import { IllegalMove, LeaseLost, type StoreError } from "./StoreError.js"
import { Writer } from "./Writer.js"
import type { Refusal } from "./writer/rollouts.js"

/** A rollout handed to one worker until its lease runs out. */
export class Claim extends Schema.Class<Claim>("Claim")({
  rolloutId: RolloutId,
  attemptId: AttemptId,
  /** Number of the attempt, from 1. */
  attempt: Schema.Int,
  epoch: Schema.Int,
  mode: RolloutMode,
  input: Schema.parseJson(Example),
  resourcesVersion: Schema.Int,
  resources: Schema.parseJson(ResourceValues)
}) {}

type Fenced = Effect.Effect<void, LeaseLost | IllegalMove | StoreError>

/**
 * Rollouts waiting to run, and who is running them now. At most one attempt of a rollout is live, and every write that
 * names a claim is refused once the claim is no longer the last one.
 */
export class RolloutQueue extends Context.Tag("tau/store/RolloutQueue")<RolloutQueue, {
  /** Takes up to `limit` rollouts that are due, oldest first. No two claims return the same attempt. */
  readonly claim: (
    options: { readonly runId: RunId; readonly workerId: WorkerId; readonly leaseMs: number; readonly limit: number }
  ) => Effect.Effect<ReadonlyArray<Claim>, StoreError>

  /** One rollout that is due for each worker, in their order, as far as there are that many: one transaction. */
  readonly claimEach: (
    options: { readonly runId: RunId; readonly workerIds: ReadonlyArray<WorkerId>; readonly leaseMs: number }
  ) => Effect.Effect<ReadonlyArray<Claim>, StoreError>

  /** The agent is about to run: preparing becomes running. */
  readonly start: (claim: Claim) => Fenced

  /**
   * The same, written within milliseconds while the agent begins already. `refused` is called when the claim is no longer the
   * last one. An attempt that is over before it was written withdraws it, and ends with `starts`.
   */
  readonly startSoon: (claim: Claim, refused: () => void) => Effect.Effect<{ readonly withdraw: () => void }>

  /** Attempt, rewards and rollout end together. */
  readonly succeed: (
    claim: Claim,
    result: {
      readonly output: string
      readonly score: number | null
      readonly rewards: ReadonlyArray<Reward>
      /** Starts the attempt in the same transaction, should that not have been written. */
      readonly starts?: boolean
    }
  ) => Fenced

  /** The rollout is queued again after a growing pause, or ends failed when its attempts are used up. */
  readonly fail: (
    claim: Claim,
    failure: {
      readonly status: "failed" | "timeout"
      readonly error: string
      /** The scorer that could not judge, or the agent's server that was away; null where the agent itself failed. */
      readonly brokenBy: "scorer" | "agent" | null
      readonly stderrTail: string | null
      readonly permanent: boolean
      /** The pause is at least this long. */
      readonly pauseMs?: number
      /** Kept beside the failure: what was scored and did not count. */
      readonly rewards?: ReadonlyArray<Reward>
      readonly starts?: boolean
    }
  ) => Fenced

  /** Hands a claim back unfinished; nothing is charged. */
  readonly release: (claim: Claim) => Fenced

  /**
   * The worker broke down while it held the claim. Counted as a crash; the rollout is due again after a growing pause, or
   * ends failed when it keeps breaking its workers.
   */
  readonly abandon: (claim: Claim, why: string) => Fenced

  /** Extends the leases of all claims in one statement. Answers the claims still held: the others are lost. */
  readonly heartbeat: (
    claims: ReadonlyArray<Claim>,
    leaseMs: number
  ) => Effect.Effect<ReadonlySet<Claim>, StoreError>

  /**
   * Puts back the rollouts whose lease ran out, or ends them failed when they keep killing their workers. The caller's own
   * claims are renewed, never taken, however late it is.
   */
  readonly rescue: (
    runId: RunId,
    own?: { readonly claims: ReadonlyArray<Claim>; readonly leaseMs: number }
  ) => Effect.Effect<ReadonlyArray<RolloutId>, StoreError>

  /** Cancels everything unfinished and fences its workers. Answers how many rollouts that were. */
  readonly cancel: (runId: RunId) => Effect.Effect<number, StoreError>
}>() {
  static readonly layer = Layer.effect(
    RolloutQueue,
    Effect.gen(function*() {
      const writer = yield* Writer
      const { id: processId } = yield* StoreProcess

      return RolloutQueue.of({
        claim: (options) => Effect.map(writer.run("claim", options), (rows) => rows.map((row) => decodeClaim(row))),
        claimEach: (options) =>
          Effect.map(writer.run("claimEach", options), (rows) => rows.map((row) => decodeClaim(row))),
        start: (claim) => fenced(claim, writer.run("start", fenceOf(claim))),
        startSoon: (claim, refused) =>
          Effect.map(Clock.currentTimeMillis, (nowMs) => {
            const { cancel } = writer.submit("start", fenceOf(claim), {
              nowMs,
              lazy: true,
              // A store that could not be written is no refusal: the end of the attempt writes its start as well.
              done: (_, refusal) => {
                if (refusal !== null) refused()
              }
            })
            return { withdraw: () => void cancel() }
          }),
        succeed: (claim, { output, rewards, score, starts = false }) =>
          fenced(
            claim,
            writer.run("succeed", {
              ...fenceOf(claim),
              output,
              score,
              starts,
              rewards: rewards.map(rewardRow)
            })
          ),
        fail: (claim, { rewards = [], ...failure }) =>
          fenced(claim, writer.run("fail", { ...fenceOf(claim), ...failure, rewards: rewards.map(rewardRow) })),
        release: (claim) => fenced(claim, writer.run("release", fenceOf(claim))),
        abandon: (claim, why) => fenced(claim, writer.run("abandon", { ...fenceOf(claim), why })),
        heartbeat: (claims, leaseMs) =>
          Effect.map(
            writer.run("heartbeat", {
              processId,
              leaseMs,
              leases: claims.map(leaseOf)
            }),
            (held) => {
              const leases = new Set(held)
              return new Set(claims.filter(({ epoch, rolloutId }) => leases.has(`${rolloutId}@${epoch}`)))
            }
          ),
        rescue: (runId, { claims, leaseMs } = { claims: [], leaseMs: 0 }) =>
          Effect.map(
            writer.run("rescue", { runId, leaseMs, own: claims.map(leaseOf) }),
            (ids) => ids.map((id) => RolloutId.make(id))
          ),
        cancel: (runId) => writer.run("cancelRun", { runId })
      })
    })
  )
}

const decodeClaim = Schema.decodeUnknownSync(Claim)

const rewardRow = ({ feedback, name, value }: Reward) => ({ name, value, feedback })

const leaseOf = ({ epoch, rolloutId }: Claim) => ({ rolloutId, epoch })

const fenceOf = ({ attemptId, epoch, rolloutId }: Claim) => ({ rolloutId, attemptId, epoch })

const fenced = ({ epoch, rolloutId }: Claim, write: Effect.Effect<Refusal, StoreError>): Fenced =>
  Effect.flatMap(write, (refusal): Fenced => {
    if (refusal === null) return Effect.void
    return refusal._tag === "LeaseLost"
      ? new LeaseLost({ rolloutId, epoch, status: refusal.status })
      : new IllegalMove({ rolloutId, from: refusal.from, to: refusal.to })
  })
