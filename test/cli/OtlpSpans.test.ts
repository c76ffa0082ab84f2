import { assert, describe, it } from "@effect/vitest"
import { otlpRequest, otlpSpan } from "../../src/cli/reading/OtlpSpans.js"
import { AttemptId, RolloutId, RunId, SpanId } from "../../src/domain/Ids.js"
import { Span } from "../../src/domain/Span.js"

const fields = {
  spanId: SpanId.make("6b07d3903c538f55"),
  traceId: "8cef04eaced0a65e54fbc97d3f940e87",
  parentId: null,
  runId: RunId.make("run-1"),
  rolloutId: RolloutId.make("run-1-train-0001"),
  attemptId: AttemptId.make("run-1-train-0001:attempt-1"),
  sequenceId: 1,
  name: "chat gpt",
  kind: "llm" as const,
  state: "done" as const,
  method: "POST",
  path: "/v1/chat/completions?api-version=1",
  statusCode: 200,
  model: "gpt",
  inputTokens: 12,
  outputTokens: 3,
  attributes: {},
  events: [],
  // One more digit than a double holds once it is nanoseconds.
  startTimeUs: 1_795_675_024_272_037,
  endTimeUs: 1_795_675_024_308_247,
  resourcesVersion: 1,
  requestBytes: 88,
  responseBytes: 531,
  requestSha256: null,
  responseSha256: null,
  answerSha256: null,
  retriedBy: null
}
const span = (changes: Partial<typeof Span.Type>) => Span.make({ ...fields, ...changes })

describe("OtlpSpans", () => {
  it("writes a call as a client span of OpenTelemetry, to the microsecond", () => {
    const told = otlpSpan(span({}), {
      "gen_ai.request.temperature": 0.5,
      "gen_ai.request.stream": true,
      "gen_ai.response.finish_reasons": ["stop"],
      "gen_ai.usage.input_tokens": 12,
      nested: { of: null, a: [1] }
    })
    assert.deepInclude(told, {
      traceId: "8cef04eaced0a65e54fbc97d3f940e87",
      spanId: "6b07d3903c538f55",
      name: "chat gpt",
      kind: 3,
      startTimeUnixNano: "1795675024272037000",
      endTimeUnixNano: "1795675024308247000",
      events: [],
      status: {}
    })
    assert.notProperty(told, "parentSpanId")
    assert.includeDeepMembers((told as { readonly attributes: ReadonlyArray<unknown> }).attributes.slice(), [
      { key: "gen_ai.request.temperature", value: { doubleValue: 0.5 } },
      { key: "gen_ai.request.stream", value: { boolValue: true } },
      { key: "gen_ai.response.finish_reasons", value: { arrayValue: { values: [{ stringValue: "stop" }] } } },
      { key: "gen_ai.usage.input_tokens", value: { intValue: "12" } },
      {
        key: "nested",
        value: { kvlistValue: { values: [{ key: "a", value: { arrayValue: { values: [{ intValue: "1" }] } } }] } }
      },
      { key: "tau.rollout.id", value: { stringValue: "run-1-train-0001" } },
      { key: "http.response.status_code", value: { intValue: "200" } },
      // A query may name what nobody else should read.
      { key: "url.path", value: { stringValue: "/v1/chat/completions" } }
    ])
  })

  it("gives an attribute one type, whatever its value", () => {
    const typesOf = (value: number) =>
      (otlpSpan(span({}), {
        "gen_ai.request.temperature": value,
        "gen_ai.request.top_p": value,
        "gen_ai.response.time_to_first_chunk": value,
        "tau.ttfb_ms": value,
        "tau.usage.cost": value
      }) as { readonly attributes: ReadonlyArray<{ readonly key: string; readonly value: object }> }).attributes
        .filter(({ key }) => !/^(?:http|url|session|tau\.(?!ttfb|usage))/.test(key))
        .map(({ key, value }) => `${key} ${Object.keys(value).join()}`)
    assert.deepStrictEqual(typesOf(1), typesOf(0.7))
    assert.strictEqual(typesOf(1).length, 5)
  })

  it("says which calls belong together, though each is a trace of its own", () => {
    const capture = "capture-20261125T200000-a1b2c3"
    const captured = {
      rolloutId: RolloutId.make(capture),
      attemptId: AttemptId.make(`${capture}:attempt-1`)
    }
    const sessionOf = (changes: Parameters<typeof span>[0], session: string | null = null) =>
      (otlpSpan(span(changes), {}, session) as {
        readonly attributes: ReadonlyArray<{ readonly key: string; readonly value: object }>
      })
        .attributes.find(({ key }) => key === "session.id")?.value
    assert.deepStrictEqual(sessionOf({}), { stringValue: "run-1-train-0001:attempt-1" })
    const named = { attributes: { "gen_ai.conversation.id": "conv-1" } }
    assert.deepStrictEqual(sessionOf({ ...captured, ...named }, "6b07d3903c538f55"), { stringValue: "conv-1" })
    // One capture has many conversations.
    assert.isUndefined(sessionOf(captured))
    assert.deepStrictEqual(sessionOf(captured, "6b07d3903c538f55"), { stringValue: "6b07d3903c538f55" })
  })

  it("calls what did not go well an error, with its event at its end", () => {
    const told = (changes: Parameters<typeof span>[0]) => otlpSpan(span(changes), {}) as Record<string, unknown>
    assert.deepStrictEqual(told({ statusCode: 429 })["status"], { code: 2, message: "HTTP 429" })
    assert.deepStrictEqual(told({ state: "client_cancel" })["status"], { code: 2, message: "client_cancel" })
    assert.deepStrictEqual(told({ events: [{ name: "exception", message: "overloaded" }] })["events"], [{
      timeUnixNano: "1795675024308247000",
      name: "exception",
      attributes: [{ key: "message", value: { stringValue: "overloaded" } }]
    }])
  })

  it("leaves out a call under way, and gives ids that are none of the protocol's a place in it", () => {
    assert.isNull(otlpSpan(span({ state: "open", endTimeUs: null }), {}))
    const [one, same, other] = ["my trace", "my trace", "another"].map((traceId) =>
      otlpSpan(span({ traceId, parentId: "no span" }), {}) as Record<string, unknown>
    )
    assert.match(String(one!["traceId"]), /^[0-9a-f]{32}$/)
    assert.strictEqual(one!["traceId"], same!["traceId"])
    assert.notStrictEqual(one!["traceId"], other!["traceId"])
    assert.notProperty(one, "parentSpanId")
  })

  it("names the conventions only of the dialect that has them", () => {
    assert.include(JSON.stringify(otlpRequest([{}], "genai")), "schemaUrl")
    assert.notInclude(JSON.stringify(otlpRequest([{}], "openinference")), "schemaUrl")
  })
})
