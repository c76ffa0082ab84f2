import * as Schema from "effect/Schema"
import { AttemptId, RolloutId, RunId, WorkerId } from "./Ids.js"
import { attemptStatuses, rolloutModes, rolloutStatuses } from "./Lifecycle.js"

/** Where a rollout stands; it moves as `docs/concepts.md` draws it. */
export const RolloutStatus = Schema.Literal(...rolloutStatuses)
/** Where one try at a rollout stands: it runs, or how it ended. */
export const AttemptStatus = Schema.Literal(...attemptStatuses)

/** `train` comes from the config's `optimize`, `val` from `validate`. */
export const RolloutMode = Schema.Literal(...rolloutModes)
export type RolloutMode = typeof RolloutMode.Type

/** What the agent is asked, as the config gives it: an open object, `prompt` and `expected` by convention. */
export const Example = Schema.Record({ key: Schema.String, value: Schema.Unknown })
export type Example = typeof Example.Type

/** A rollout as it stands in the store. Times are Unix milliseconds. */
export class Rollout extends Schema.Class<Rollout>("Rollout")({
  id: RolloutId,
  runId: RunId,
  mode: RolloutMode,
  /** Position in the run, from 0. */
  ordinal: Schema.Int,
  status: RolloutStatus,
  input: Schema.parseJson(Example),
  resourcesVersion: Schema.Int,
  /** Counts claims; every write of a runner names the epoch it claimed under and is refused when it is not the last. */
  epoch: Schema.Int,
  attemptsMax: Schema.Int,
  /** Attempts that ended in failure or timeout. */
  failures: Schema.Int,
  /** Attempts whose worker died or fell silent: counted apart, they are not the agent's fault. */
  crashes: Schema.Int,
  output: Schema.NullOr(Schema.String),
  /** Weighted mean of the scores of the last attempt, in [0, 1]. */
  score: Schema.NullOr(Schema.Number),
  error: Schema.NullOr(Schema.String),
  createdAtMs: Schema.Int,
  endedAtMs: Schema.NullOr(Schema.Int)
}) {}

/** One try at a rollout by one worker. */
export class Attempt extends Schema.Class<Attempt>("Attempt")({
  id: AttemptId,
  rolloutId: RolloutId,
  n: Schema.Int,
  epoch: Schema.Int,
  workerId: WorkerId,
  status: AttemptStatus,
  resourcesVersion: Schema.Int,
  startedAtMs: Schema.Int,
  endedAtMs: Schema.NullOr(Schema.Int),
  error: Schema.NullOr(Schema.String),
  stderrTail: Schema.NullOr(Schema.String)
}) {}
