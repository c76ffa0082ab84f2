/** The rows of a store as `/dashboard/api` answers them: those of the commands' `--json`. */
import * as Schema from "effect/Schema"
import { RolloutId, RunId, WorkerId } from "../domain/Ids.js"
import { Resources } from "../domain/Resources.js"
import { Reward } from "../domain/Reward.js"
import { Attempt, Rollout } from "../domain/Rollout.js"
import { Span } from "../domain/Span.js"
import { type RowJson, snakeName } from "../store/RowJson.js"
import { Run } from "../store/RunReader.js"

/** The schema of `snake(row)`: every field under its name in snake case, with its value as it is in memory. */
const rowSchema = (identifier: string, fields: Schema.Struct.Fields): Schema.Schema<RowJson> =>
  Schema.Struct(
    Object.fromEntries(
      Object.entries(fields).map((
        [name, field]
      ) => [snakeName(name), Schema.typeSchema(field as Schema.Schema<unknown>)])
    )
  ).annotations({ identifier }) as unknown as Schema.Schema<RowJson>

const Count = Schema.Int
const NullableScore = Schema.NullOr(Schema.Number)

export const RunRow = rowSchema("Run", {
  ...Run.fields,
  crashed: Schema.Boolean,
  total: Count,
  succeeded: Count,
  failed: Count,
  cancelled: Count,
  meanScore: NullableScore
})
export const RolloutRow = rowSchema("Rollout", Rollout.fields)
export const AttemptRow = rowSchema("Attempt", {
  ...Attempt.fields,
  rewards: Schema.Array(rowSchema("Reward", Reward.fields))
})
export const SpanRow = rowSchema("Span", Span.fields)
export const ResourcesRow = rowSchema("Resources", Resources.fields)
export const WorkerRow = rowSchema("Worker", {
  id: WorkerId,
  runId: RunId,
  state: Schema.Literal("live", "ended", "lost"),
  startedAtMs: Schema.Int,
  heartbeatAtMs: Schema.Int,
  endedAtMs: Schema.NullOr(Schema.Int),
  rolloutId: Schema.NullOr(RolloutId)
})
