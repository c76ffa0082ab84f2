import { assert, describe, it } from "@effect/vitest"
import * as FastCheck from "effect/FastCheck"
import { rowOf, spanOf } from "../../src/store/writer/SpanRow.js"
import type { FinishedSpan } from "../../src/store/writer/spans.js"

const text = FastCheck.string()
const maybe = FastCheck.option(text)
const count = FastCheck.nat()
const flag = FastCheck.boolean()

const spans = FastCheck.record({
  spanId: text,
  traceId: text,
  parentId: maybe,
  rolloutId: text,
  attemptId: text,
  clientSequenceId: FastCheck.option(count),
  processId: text,
  method: text,
  path: text,
  startTimeUs: count,
  caller: FastCheck.option(FastCheck.record({ sessionId: maybe, retryCount: count, idempotencyKey: maybe })),
  state: FastCheck.constantFrom("done", "timeout"),
  endTimeUs: count,
  statusCode: FastCheck.option(count),
  errorCode: maybe,
  errorMessage: maybe,
  upstreamUrl: text,
  firstByteUs: FastCheck.option(count),
  chunks: count,
  requestBytes: count,
  responseBytes: count,
  requestTruncated: flag,
  responseTruncated: flag,
  requestContentEncoding: maybe,
  responseContentType: maybe,
  responseContentEncoding: maybe,
  isFirst: flag,
  wasOpened: flag,
  secrets: FastCheck.array(text),
  mode: maybe,
  isRequestAhead: flag,
  webSocket: FastCheck.record({
    isCall: flag,
    requestFrames: count,
    responseFrames: count,
    closeCode: FastCheck.option(count),
    unread: maybe
  }),
  replayOf: text,
  hasDiverged: flag,
  usageAsked: flag,
  wasReadOn: flag,
  rewrite: FastCheck.record({
    components: FastCheck.array(text),
    matched: FastCheck.array(count),
    missed: FastCheck.array(count)
  })
}, { noNullPrototype: true })

const optional = ["webSocket", "replayOf", "hasDiverged", "rewrite", "usageAsked", "wasReadOn"] as const

describe("The row of a span", () => {
  it.prop("says all that the span says", [spans, FastCheck.subarray([...optional])], ([whole, left]) => {
    const span = { ...whole } as Record<string, unknown>
    for (const name of left) delete span[name]
    const row = JSON.parse(JSON.stringify(rowOf(span as never as FinishedSpan))) as ReadonlyArray<never>
    assert.deepStrictEqual(spanOf(row) as unknown, span)
    delete span["secrets"]
    delete span["mode"]
    delete span["isRequestAhead"]
    const bare = JSON.parse(JSON.stringify(rowOf(span as never as FinishedSpan))) as ReadonlyArray<never>
    assert.deepStrictEqual(spanOf(bare) as unknown, { ...span, secrets: [], mode: null, isRequestAhead: false })
  })
})
