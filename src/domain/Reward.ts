import * as Context from "effect/Context"
import type * as Effect from "effect/Effect"
import * as Schema from "effect/Schema"
import type { AttemptId, RolloutId } from "./Ids.js"
import type { Example } from "./Rollout.js"

/** A named finite number that an attempt earned, and in words why. */
export class Reward extends Schema.Class<Reward>("Reward")({
  name: Schema.NonEmptyString,
  value: Schema.Finite,
  feedback: Schema.NullOr(Schema.String)
}) {}

/** What a scorer sees of a finished attempt. */
export interface Scorable {
  readonly rolloutId: RolloutId
  readonly attemptId: AttemptId
  readonly example: Example
  readonly output: string
  /** What the agent itself reported. */
  readonly safetyEvents?: ReadonlyArray<SafetyEvent>
}

/** Something that an agent's own safety layer saw. */
export interface SafetyEvent {
  /** `prompt_injection.ignore_instructions`. */
  readonly reasonCodes: ReadonlyArray<string>
  /** It was kept from happening. */
  readonly blocked: boolean
}

/** The verdict on one attempt: every scorer's reward by name, and their weighted mean. */
export interface Scored {
  readonly rewards: ReadonlyArray<Reward>
  /** Weighted mean of the rewards, in [0, 1]; null when no scorer applied to the example. */
  readonly score: number | null
}

/**
 * A scorer could not judge: its process or server failed. The attempt fails, for a missing score is not a zero. `permanent`: it would
 * fail again if it were asked the same at once, as over a key that is refused.
 */
export class ScoringFailed extends Schema.TaggedError<ScoringFailed>()("ScoringFailed", {
  scorer: Schema.String,
  detail: Schema.String,
  permanent: Schema.optionalWith(Schema.Boolean, { default: () => false })
}) {
  override get message() {
    return `scorer ${this.scorer} failed: ${this.detail}`
  }
}

/** The answer must not count, whatever it is worth: the rollout fails, for good. The rewards tell why and stay on record. */
export class RolloutRejected extends Schema.TaggedError<RolloutRejected>()("RolloutRejected", {
  detail: Schema.String,
  rewards: Schema.Array(Reward)
}) {
  override get message() {
    return `rejected: ${this.detail}`
  }
}

/** Judges what an agent answered. The runner asks, `src/scoring` answers; they meet here. */
export class Scorer extends Context.Tag("tau/domain/Scorer")<Scorer, {
  readonly score: (scorable: Scorable) => Effect.Effect<Scored, ScoringFailed | RolloutRejected>
}>() {}
