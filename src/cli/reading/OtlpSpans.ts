/**
 * Spans as OpenTelemetry's own protocol writes them in JSON (OTLP 1.x, `ExportTraceServiceRequest`): what a collector reads from a
 * file of lines, and takes over HTTP at `/v1/traces`.
 */
import { hash } from "node:crypto"
import type { Span } from "../../domain/Span.js"
import { withoutQuery } from "../../openai/Endpoint.js"
import type { Dialect } from "../../openai/ExportDialect.js"
import { genAiSchemaUrl } from "../../openai/ExportDialect.js"
import { GenAi } from "../../openai/GenAi.js"
import { namedSession } from "../traffic/Sessions.js"

/** An attribute's value, in the one field that its type has. 64-bit integers are texts, as in all JSON of Protocol Buffers. */
type AnyValue =
  | { readonly stringValue: string }
  | { readonly boolValue: boolean }
  | { readonly intValue: string }
  | { readonly doubleValue: number }
  | { readonly arrayValue: { readonly values: ReadonlyArray<AnyValue> } }
  | { readonly kvlistValue: { readonly values: ReadonlyArray<KeyValue> } }

interface KeyValue {
  readonly key: string
  readonly value: AnyValue
}

/** Attributes that are doubles whatever their value: to a collector 1 and 0.7 of one name are a conflict of types. */
const doubles: ReadonlySet<string> = new Set([
  GenAi.requestTemperature,
  GenAi.requestTopP,
  GenAi.requestTopK,
  GenAi.requestFrequencyPenalty,
  GenAi.requestPresencePenalty,
  GenAi.timeToFirstChunk,
  GenAi.ttfbMs,
  GenAi.usageCost,
  "llm.cost.total"
])

const client = 3
const statusError = 2

/**
 * Null for a call that is still under way: in the protocol a span has ended. `session` is that of calls which are of none by name; others
 * are found together by their attempt, since each is a trace of its own unless its client named one.
 */
export const otlpSpan = (
  span: Span,
  attributes: Readonly<Record<string, unknown>>,
  session: string | null = null
): object | null => {
  if (span.endTimeUs === null) return null
  const failure = failureOf(span)
  const end = nanoseconds(span.endTimeUs)
  return {
    traceId: traceIdOf(span.traceId),
    spanId: span.spanId,
    ...(span.parentId !== null && /^[0-9a-f]{16}$/.test(span.parentId) && { parentSpanId: span.parentId }),
    name: span.name,
    kind: client,
    startTimeUnixNano: nanoseconds(span.startTimeUs),
    endTimeUnixNano: end,
    attributes: keyValues({ ...columnsOf(span), "session.id": namedSession(span) ?? session, ...attributes }),
    events: span.events.flatMap((event) => eventOf(event, end)),
    status: failure === null ? {} : { code: statusError, message: failure }
  }
}

/** One request with these spans in it. */
export const otlpRequest = (spans: ReadonlyArray<object>, dialect: Dialect): object => ({
  resourceSpans: [{
    resource: { attributes: keyValues({ "service.name": "tau" }) },
    scopeSpans: [{ scope: { name: "tau" }, spans, ...(dialect === "genai" && { schemaUrl: genAiSchemaUrl }) }]
  }]
})

/** Where the call belongs and how it ended: what is a column in the store. */
const columnsOf = (span: Span) => ({
  "http.request.method": span.method,
  "http.response.status_code": span.statusCode,
  "http.request.body.size": span.requestBytes,
  "http.response.body.size": span.responseBytes,
  "url.path": withoutQuery(span.path),
  "tau.run.id": span.runId,
  "tau.rollout.id": span.rolloutId,
  "tau.attempt.id": span.attemptId,
  "tau.sequence_id": span.sequenceId,
  "tau.resources_version": span.resourcesVersion,
  "tau.kind": span.kind,
  "tau.state": span.state,
  "tau.retried_by": span.retriedBy
})

const failureOf = ({ state, statusCode }: Span): string | null =>
  state !== "done" ? state : statusCode !== null && statusCode >= 400 ? `HTTP ${statusCode}` : null

/** A trace is 16 bytes in the protocol. A client may have named its own otherwise: its name then stands for them. */
const traceIdOf = (traceId: string): string =>
  /^[0-9a-f]{32}$/.test(traceId) ? traceId : hash("sha256", traceId, "hex").slice(0, 32)

const nanoseconds = (us: number): string => String(BigInt(us) * 1000n)

const eventOf = (event: unknown, timeUnixNano: string): ReadonlyArray<object> => {
  if (typeof event !== "object" || event === null) return []
  const { name, ...rest } = event as Record<string, unknown>
  return [{ timeUnixNano, name: String(name), attributes: keyValues(rest) }]
}

const keyValues = (record: Readonly<Record<string, unknown>>): ReadonlyArray<KeyValue> =>
  Object.entries(record).flatMap(([key, value]) => {
    const told = typeof value === "number" && doubles.has(key) ? { doubleValue: value } : valueOf(value)
    return told === null ? [] : [{ key, value: told }]
  })

const valueOf = (value: unknown): AnyValue | null => {
  switch (typeof value) {
    case "string":
      return { stringValue: value }
    case "boolean":
      return { boolValue: value }
    case "number":
      return Number.isSafeInteger(value) ? { intValue: String(value) } : { doubleValue: value }
    case "object":
      if (value === null) return null
      return Array.isArray(value)
        ? { arrayValue: { values: value.map(valueOf).filter((item) => item !== null) } }
        : { kvlistValue: { values: keyValues(value as Record<string, unknown>) } }
    default:
      return null
  }
}
