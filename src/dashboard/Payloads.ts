/** What the dashboard answers, as schemas: the OpenAPI document is made of them, and every answer goes through them. */
import * as Schema from "effect/Schema"
import { ControlLifecycle } from "../domain/Control.js"
import { RunState } from "../store/RunStore.js"

const Count = Schema.Int
const Head = { schema_version: Schema.Literal(1), generated_unix_ms: Schema.Int }

/** `status.json` beside the store, and what there is to say about it. */
export const Training = Schema.Struct({
  status_path: Schema.String,
  status_present: Schema.Boolean,
  updated_unix_ms: Schema.NullOr(Schema.Int),
  run_state: Schema.NullOr(RunState),
  model_ref: Schema.NullOr(Schema.String),
  store_path: Schema.String,
  total_rollouts: Count,
  succeeded: Count,
  failed: Count,
  cancelled: Count,
  diagnostics: Schema.Array(Schema.String)
}).annotations({ identifier: "Training" })
export type Training = typeof Training.Type

/** How the store's run stands, by the rules of `Standing.ts`. */
export const Standing = Schema.Struct({
  health_state: Schema.Literal("healthy", "degraded", "failing", "unknown"),
  health_reason: Schema.String,
  rollout_gate: Schema.Literal("pass", "hold"),
  /** Where the last control verb left the store. */
  control_mode: ControlLifecycle,
  queue_depth: Count,
  failure_streak: Count,
  last_cycle_failed: Count,
  last_cycle_completed: Count,
  processed_case_count: Count,
  control_audit_count: Count
}).annotations({ identifier: "Standing" })
export type Standing = typeof Standing.Type

/** One figure; null where there is nothing to tell it by. */
export const Widget = Schema.Struct({
  id: Schema.String,
  title: Schema.String,
  value: Schema.NullOr(Schema.Number),
  unit: Schema.Literal("count", "ratio", "score", "tokens")
}).annotations({ identifier: "Widget" })
export type Widget = typeof Widget.Type

/** What rollouts did in a stretch of time. */
export const Bucket = Schema.Struct({
  start_unix_ms: Schema.Int,
  end_unix_ms: Schema.Int,
  queued: Count.annotations({ description: "Rollouts that waited at the end of the bucket" }),
  running: Count.annotations({ description: "Attempts under way at the end of the bucket" }),
  succeeded: Count.annotations({ description: "Rollouts that succeeded within the bucket" }),
  failed: Count.annotations({ description: "Rollouts that failed within the bucket" }),
  cancelled: Count.annotations({ description: "Rollouts that were cancelled within the bucket" })
}).annotations({ identifier: "Bucket" })
export type Bucket = typeof Bucket.Type

const timeline = {
  run_id: Schema.NullOr(Schema.String),
  bucket_ms: Schema.Int,
  complete: Schema.Boolean.annotations({
    description: "False when the run has more rows than are looked at: the oldest buckets may then be too low"
  }),
  buckets: Schema.Array(Bucket)
}

export const Alert = Schema.Struct({
  code: Schema.Literal(
    "dashboard_state_missing",
    "dashboard_queue_backlog",
    "dashboard_training_failures",
    "dashboard_operator_pause_active",
    "dashboard_run_crashed",
    "dashboard_run_stuck",
    "dashboard_healthy"
  ),
  severity: Schema.Literal("info", "warning", "critical"),
  message: Schema.String
}).annotations({ identifier: "Alert" })
export type Alert = typeof Alert.Type

export const Health = Schema.Struct({ ...Head, training: Training, ...Standing.fields })
  .annotations({ identifier: "Health" })
export const Widgets = Schema.Struct({ ...Head, training: Training, widgets: Schema.Array(Widget) })
  .annotations({ identifier: "Widgets" })
export const QueueTimeline = Schema.Struct({ ...Head, training: Training, ...timeline })
  .annotations({ identifier: "QueueTimeline" })
export const Alerts = Schema.Struct({ ...Head, training: Training, alerts: Schema.Array(Alert) })
  .annotations({ identifier: "Alerts" })

/** One event of the stream. */
export const Snapshot = Schema.Struct({
  ...Head,
  training: Training,
  health: Standing,
  widgets: Schema.Array(Widget),
  alerts: Schema.Array(Alert)
}).annotations({ identifier: "Snapshot" })
export type Snapshot = typeof Snapshot.Type

/** What an operator may ask for; `refresh` changes nothing. */
export const Action = Schema.Literal("pause", "resume", "refresh")
export type Action = typeof Action.Type

export const ActionRequest = Schema.Struct({
  action: Action,
  reason: Schema.optionalWith(Schema.String.pipe(Schema.maxLength(500)), { default: () => "", exact: true })
}).annotations({ identifier: "ActionRequest", parseOptions: { onExcessProperty: "error" } })

export const ActionAnswer = Schema.Struct({
  ...Head,
  training: Training,
  request_id: Schema.String,
  action: Action,
  actor: Schema.String,
  reason: Schema.String,
  status: Schema.Literal("done", "unchanged"),
  detail: Schema.String,
  timestamp_unix_ms: Schema.Int,
  control_mode: Standing.fields.control_mode,
  health_state: Standing.fields.health_state,
  health_reason: Schema.String,
  rollout_gate: Standing.fields.rollout_gate
}).annotations({ identifier: "ActionAnswer" })
