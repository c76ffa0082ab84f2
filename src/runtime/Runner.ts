/** A runner takes one rollout after another and carries it through: claim, start, execute, score, end. */
import * as Clock from "effect/Clock"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Either from "effect/Either"
import * as Option from "effect/Option"
import * as Schedule from "effect/Schedule"
import { Attribution, toBaseUrl } from "../domain/Attribution.js"
import type { RunId } from "../domain/Ids.js"
import { refusals } from "../domain/Noise.js"
import { Reward, Scorer, type ScoringFailed } from "../domain/Reward.js"
import { defaultRules, Redactor } from "../openai/Redaction.js"
import { type Claim, RolloutQueue } from "../store/RolloutQueue.js"
import { RunFindings } from "../store/RunFindings.js"
import { RunStore } from "../store/RunStore.js"
import { whenWritable } from "../store/whenWritable.js"
import { WorkerStore } from "../store/WorkerStore.js"
import { Self } from "./Actor.js"
import { AgentEndpoint } from "./AgentEndpoint.js"
import { Announcer } from "./Announcer.js"
import { AttemptFailed, type Execution, Executor } from "./Executor.js"
import { type Lease, Leases } from "./Leases.js"

export interface RunnerOptions {
  readonly runId: RunId
  /** Pause before asking again when nothing was due. */
  readonly pollIntervalMs: number
  readonly attemptTimeoutSecs: number
  /** How often a scorer is asked that cannot judge. */
  readonly attemptsMax: number
}

/**
 * Works until it is told to drain, under a worker id of its own. Between two rollouts it looks into its mailbox. Interruption
 * hands back what it holds, uncharged.
 */
export const runner = ({ attemptTimeoutSecs, attemptsMax, pollIntervalMs, runId }: RunnerOptions) => {
  /** What all workers together have said. */
  const refusedScorers = new Set<string>()
  return Effect.scoped(Effect.gen(function*() {
    const announcer = yield* Announcer
    const endpoint = yield* AgentEndpoint
    const leases = yield* Leases
    const runs = yield* RunStore
    const attempt = yield* attempts(Duration.seconds(attemptTimeoutSecs), attemptsMax, refusedScorers)
    const { mailbox, workOn } = yield* Self
    const workerId = yield* Effect.flatMap(WorkerStore, (workers) => whenWritable(workers.register(runId)))

    // Whoever holds the rollout now decides how it ends; this attempt writes nothing more. That a run was cancelled its ending tells.
    const givenUp = ({ message }: { readonly message: string }) =>
      Effect.unlessEffect(
        announcer.say(`stopped an attempt: ${message}`),
        Effect.match(runs.outlook(runId), {
          onFailure: () => false,
          onSuccess: ({ desired }) => desired === "cancel"
        })
      )

    const turn = Effect.gen(function*() {
      // An agent whose calls are refused can only fail, and would be charged for it.
      if (endpoint.refusal() !== null) return false
      const lease = yield* whenWritable(leases.claim(runId, workerId))
      if (Option.isNone(lease)) return false
      const { attempt: n, rolloutId } = lease.value.claim
      yield* workOn({ rolloutId, attempt: n, sinceMs: yield* Clock.currentTimeMillis })
      yield* attempt(lease.value).pipe(
        lease.value.whileHeld,
        Effect.catchTag("LeaseEnded", "LeaseLost", givenUp)
      )
      return true
    })

    let isPaused = false
    while (true) {
      for (const message of mailbox.takeAll()) {
        if (message === "drain") return
        if (message !== "look") isPaused = message === "pause"
      }
      if (isPaused) {
        yield* mailbox.arrived
        continue
      }
      const worked = yield* Effect.ensuring(Effect.scoped(turn), workOn(null))
      if (!worked) yield* Effect.timeoutOption(mailbox.arrived, pollIntervalMs)
    }
  }))
}

/** One attempt at what a lease holds. The agent's failures are recorded; only the store's are left to the caller. */
const attempts = (timeout: Duration.Duration, attemptsMax: number, refusedScorers: Set<string>) =>
  Effect.gen(function*() {
    const announcer = yield* Announcer
    const endpoint = yield* AgentEndpoint
    const executor = yield* Executor
    const findings = yield* RunFindings
    const queue = yield* RolloutQueue
    const scorer = yield* Scorer
    // An error says nothing less without what looks like a key; an answer is kept as it was given, but for the key itself.
    const errors = new Redactor(defaultRules, endpoint.secrets)
    const answers = new Redactor({ ...defaultRules, defaults: false }, endpoint.secrets)
    const inError = (text: string) => errors.text(text).text
    const inAnswer = (text: string) => answers.text(text).text
    const inRewards = (rewards: ReadonlyArray<Reward>) =>
      rewards.map(({ feedback, ...reward }) =>
        new Reward({ ...reward, feedback: feedback === null ? null : inAnswer(feedback) })
      )

    const execute = (claim: Claim) => {
      let lastWords: () => string | null = () => null
      return Effect.flatMap(Clock.currentTimeMillis, (now) =>
        executor.execute({
          rolloutId: claim.rolloutId,
          attemptId: claim.attemptId,
          attempt: claim.attempt,
          example: claim.input,
          resources: claim.resources,
          resourcesVersion: claim.resourcesVersion,
          model: endpoint.model,
          baseUrl: toBaseUrl(endpoint.origin, new Attribution(claim)),
          apiKey: endpoint.apiKey,
          deadlineMs: now + Duration.toMillis(timeout),
          onSpeech: (asked) => {
            lastWords = asked
          }
        })).pipe(
          Effect.timeoutFail({ duration: timeout, onTimeout: () => timedOut(timeout, lastWords()) }),
          Effect.tap(() => heard(claim, lastWords))
        )
    }

    /** An agent that goes on without its model has an answer that says nothing of its texts. */
    const heard = ({ attemptId }: Claim, lastWords: () => string | null) =>
      Effect.flatMap(
        whenWritable(findings.unheard(attemptId)),
        (cause) => cause === null ? Effect.void : unheard(cause, lastWords())
      )

    /** Said once, and early: until the run has ended every agent is paid for. */
    const warned = ({ message, permanent, scorer }: ScoringFailed) =>
      Effect.suspend(() => {
        if (!permanent || refusedScorers.has(scorer)) return Effect.void
        refusedScorers.add(scorer)
        return announcer.say(`${inError(message)}; it is not asked again for that rollout, and the run goes on`)
      })

    /** What a scorer could not do is tried again where the answer is: another run of the agent would be paid for, and no better. */
    const score = ({ attemptId, input, rolloutId }: Claim, execution: Execution) =>
      Effect.suspend(() => scorer.score({ rolloutId, attemptId, example: input, ...execution })).pipe(
        Effect.retry({
          while: (failure) => failure._tag === "ScoringFailed" && !failure.permanent,
          schedule: Schedule.intersect(scoringPauses, Schedule.recurs(attemptsMax - 1))
        }),
        Effect.tapErrorTag("ScoringFailed", warned),
        Effect.catchTag(
          "ScoringFailed",
          ({ message }) => new AttemptFailed({ reason: "scorer", detail: message, permanent: true, stderrTail: null })
        )
      )

    /** Why nothing that came of an attempt counts: its calls could not be recorded, and so were refused. Null where it does. */
    const refusalOf = ({ attemptId }: Claim, hasFailed: boolean) =>
      Effect.gen(function*() {
        const refusal = endpoint.refusal()
        if (refusal === null || hasFailed) {
          return refusal
        }
        // An agent that goes on without its model; what one had an answer for is kept until it can be written.
        return (yield* whenWritable(findings.isHeard(attemptId))) ? null : refusal
      })

    return ({ claim, confirm, lose }: Lease) =>
      Effect.gen(function*() {
        const starting = yield* queue.startSoon(claim, lose)
        const result = yield* execute(claim).pipe(
          Effect.flatMap((execution) =>
            Effect.map(score(claim, execution), (scored) => ({ output: execution.output, ...scored }))
          ),
          Effect.map(Either.right),
          Effect.catchTag("AttemptFailed", "RolloutRejected", (failure) => Effect.succeed(Either.left(failure)))
        )
        yield* confirm
        starting.withdraw()
        const refusal = yield* refusalOf(claim, Either.isLeft(result) && result.left._tag === "AttemptFailed")
        if (refusal !== null) {
          yield* whenWritable(queue.release(claim))
          return yield* announcer.say(
            `handed back ${claim.rolloutId}, uncharged: its calls cannot be recorded: ${refusal}`
          )
        }
        yield* whenWritable(Either.match(result, {
          onLeft: (failure) =>
            failure._tag === "RolloutRejected"
              ? queue.fail(claim, {
                ...rejection,
                error: inError(failure.message),
                rewards: inRewards(failure.rewards)
              })
              : queue.fail(claim, {
                starts: true,
                status: failure.reason === "timeout" ? "timeout" : "failed",
                error: inError(failure.message),
                brokenBy: brokenBy(failure),
                stderrTail: failure.stderrTail === null ? null : inError(failure.stderrTail),
                permanent: failure.permanent,
                pauseMs: failure.pauseMs ?? 0
              }),
          onRight: ({ output, rewards, score }) =>
            queue.succeed(claim, { output: inAnswer(output), rewards: inRewards(rewards), score, starts: true })
        }))
      })
  })

const scoringPauses = Schedule.union(Schedule.exponential("250 millis"), Schedule.spaced("30 seconds"))

/** Fails for good, and keeps the rewards that say why. */
const rejection = {
  status: "failed",
  brokenBy: null,
  stderrTail: null,
  permanent: true,
  starts: true
} as const

const brokenBy = ({ reason }: AttemptFailed) =>
  reason === "scorer" ? "scorer" : reason === "away" || reason === "unstarted" ? "agent" : null

const unheard = (cause: string, stderrTail: string | null) =>
  new AttemptFailed({
    reason: "model",
    detail: `the agent answered, but none of its model calls was answered (the last one: ${cause})`,
    permanent: refusals.has(cause),
    stderrTail
  })

const timedOut = (timeout: Duration.Duration, stderrTail: string | null) =>
  new AttemptFailed({
    reason: "timeout",
    detail: `the attempt took longer than ${Duration.toSeconds(timeout)} s (attempt_timeout_secs)`,
    permanent: false,
    stderrTail
  })
