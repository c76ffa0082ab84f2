import * as Schema from "effect/Schema"

/** One run of a config: all its rollouts. Deterministic: the n-th run of a config in a store. */
export const RunId = Schema.NonEmptyString.pipe(Schema.brand("RunId"))
export type RunId = typeof RunId.Type

/** One unit of work: run the agent once on one example under one resources version. */
export const RolloutId = Schema.NonEmptyString.pipe(Schema.brand("RolloutId"))
export type RolloutId = typeof RolloutId.Type

/** One try at a rollout. A retried rollout has several attempts, numbered from 1. */
export const AttemptId = Schema.NonEmptyString.pipe(Schema.brand("AttemptId"))
export type AttemptId = typeof AttemptId.Type

/** One recorded call, 16 hex digits as in OpenTelemetry. */
export const SpanId = Schema.NonEmptyString.pipe(Schema.brand("SpanId"))
export type SpanId = typeof SpanId.Type

/** `host/pid/random/n`: new at every start, so that a worker that comes back is a stranger. */
export const WorkerId = Schema.NonEmptyString.pipe(Schema.brand("WorkerId"))
export type WorkerId = typeof WorkerId.Type
