import * as Schema from "effect/Schema"
import { AttemptId, RolloutId, RunId, SpanId } from "./Ids.js"
import { spanKinds, spanStates } from "./Lifecycle.js"

/** Whether a call is under way, or how it ended; `docs/spans.md` says what each word means. */
export const SpanState = Schema.Literal(...spanStates)
export type SpanState = typeof SpanState.Type

/** One recorded call. Times are Unix microseconds. */
export class Span extends Schema.Class<Span>("Span")({
  spanId: SpanId,
  traceId: Schema.NonEmptyString,
  parentId: Schema.NullOr(Schema.String),
  /** Null outside a run. */
  runId: Schema.NullOr(RunId),
  rolloutId: RolloutId,
  attemptId: AttemptId,
  /** Order within the attempt, strictly increasing from 1. */
  sequenceId: Schema.Int,
  name: Schema.String,
  kind: Schema.Literal(...spanKinds),
  state: SpanState,
  method: Schema.String,
  /** Path and query as sent upstream. */
  path: Schema.String,
  statusCode: Schema.NullOr(Schema.Int),
  model: Schema.NullOr(Schema.String),
  inputTokens: Schema.NullOr(Schema.Int),
  outputTokens: Schema.NullOr(Schema.Int),
  attributes: Schema.parseJson(Schema.Record({ key: Schema.String, value: Schema.Unknown })),
  events: Schema.parseJson(Schema.Array(Schema.Unknown)),
  startTimeUs: Schema.Int,
  endTimeUs: Schema.NullOr(Schema.Int),
  resourcesVersion: Schema.NullOr(Schema.Int),
  requestBytes: Schema.Int,
  responseBytes: Schema.Int,
  /** Hex SHA-256 of the recorded bytes as they passed; the payload table holds them under it. */
  requestSha256: Schema.NullOr(Schema.String),
  responseSha256: Schema.NullOr(Schema.String),
  /** The answer put together from a stream or decoded, where that differs from the bytes. */
  answerSha256: Schema.NullOr(Schema.String),
  /** The next try of the same logical call, when this one failed and was tried again. */
  retriedBy: Schema.NullOr(Schema.String)
}) {}
