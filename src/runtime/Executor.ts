import * as Context from "effect/Context"
import type * as Effect from "effect/Effect"
import * as Schema from "effect/Schema"
import type { AttemptId, RolloutId } from "../domain/Ids.js"
import type { ResourceValues } from "../domain/Resources.js"
import type { SafetyEvent } from "../domain/Reward.js"
import type { Example } from "../domain/Rollout.js"

/** Everything an agent is given for one attempt. */
export interface Assignment {
  readonly rolloutId: RolloutId
  readonly attemptId: AttemptId
  /** Number of the attempt, from 1. */
  readonly attempt: number
  readonly example: Example
  readonly resources: ResourceValues
  readonly resourcesVersion: number
  /** Name of the model to ask for, without the provider. */
  readonly model: string
  /** OpenAI-compatible base URL of the run's proxy with the attribution prefix, ending in `/v1`. */
  readonly baseUrl: string
  /** Good for this run's proxy only; the provider's key never leaves the proxy. */
  readonly apiKey: string
  /** When the attempt will have taken too long, in Unix milliseconds. */
  readonly deadlineMs?: number
  /** Told how to ask what the agent wrote last to its standard error, where it has one: whoever interrupts it gets no failure of it. */
  readonly onSpeech?: (lastWords: () => string) => void
}

/** What the agent answered. */
export interface Execution {
  readonly output: string
  readonly safetyEvents?: ReadonlyArray<SafetyEvent>
}

/**
 * The agent ran and did not succeed. Expected, recorded and counted against the rollout's attempts; `permanent` failures
 * (a refused key, say) are not tried again. `unstarted`: its program was not there, or the machine had no room for it. `away`: its
 * server gave no answer, or had no capacity for one. `scorer`: its output could not be judged. None of them says anything of the
 * agent.
 */
export class AttemptFailed extends Schema.TaggedError<AttemptFailed>()("AttemptFailed", {
  reason: Schema.Literal(
    "exit-code",
    "signal",
    "timeout",
    "spawn",
    "http",
    "output",
    "model",
    "example",
    "unstarted",
    "away",
    "scorer"
  ),
  detail: Schema.String,
  permanent: Schema.Boolean,
  /** Last lines of the agent's standard error. */
  stderrTail: Schema.NullOr(Schema.String),
  /** Trying again sooner than this cannot help. */
  pauseMs: Schema.optional(Schema.Number)
}) {
  override get message() {
    return this.detail
  }
}

/** How an attempt is carried out: a model call, an agent in a child process, or one behind HTTP. */
export class Executor extends Context.Tag("tau/runtime/Executor")<Executor, {
  /** Runs the agent once. Interrupting the effect stops the agent and everything it started. */
  readonly execute: (assignment: Assignment) => Effect.Effect<Execution, AttemptFailed>
}>() {}
