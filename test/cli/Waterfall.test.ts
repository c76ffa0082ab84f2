import { assert, describe, it } from "@effect/vitest"
import { timesOf, waterfall } from "../../src/cli/reading/Waterfall.js"
import { AttemptId, RolloutId, SpanId } from "../../src/domain/Ids.js"
import { Span } from "../../src/domain/Span.js"
import { widthOf } from "../../src/domain/TerminalText.js"
import { GenAi } from "../../src/openai/GenAi.js"

const span = (changes: Partial<typeof Span.Type>) =>
  Span.make({
    spanId: SpanId.make("6b07d3903c538f55"),
    traceId: "8cef04eaced0a65e54fbc97d3f940e87",
    parentId: null,
    runId: null,
    rolloutId: RolloutId.make("r"),
    attemptId: AttemptId.make("r:attempt-1"),
    sequenceId: 1,
    name: "chat gpt",
    kind: "llm",
    state: "done",
    method: "POST",
    path: "/v1/chat/completions",
    statusCode: 200,
    model: "gpt",
    inputTokens: 12,
    outputTokens: null,
    attributes: {},
    events: [],
    startTimeUs: 1_000_000,
    endTimeUs: 2_000_000,
    resourcesVersion: null,
    requestBytes: 88,
    responseBytes: 531,
    requestSha256: null,
    responseSha256: null,
    answerSha256: null,
    retriedBy: null,
    ...changes
  })
const linesOf = (...spans: ReadonlyArray<Span>) => waterfall(spans, timesOf(spans, 2_000))

describe("The calls of an attempt along its time", () => {
  it("wraps what went wrong, so that nothing is wider than 80 columns", () => {
    const message = "the upstream's answer broke off or could not be read (UND_ERR_SOCKET)"
    const attributes = {
      [GenAi.errorType]: "training_proxy_upstream_response_read_failed",
      [GenAi.errorMessage]: message
    }
    const lines = linesOf(span({ state: "upstream_cut", attributes }))
    assert.deepStrictEqual(lines.filter((line) => widthOf(line) > 80), [])
    const below = lines.slice(2)
    for (const line of below) assert.match(line, /^ {20}\S/)
    assert.strictEqual(
      below.map((line) => line.trim()).join(" "),
      `error training_proxy_upstream_response_read_failed: ${message}`
    )
  })

  it("has no answer's tokens for an embedding, and a question mark where nobody counted them", () => {
    const [, embedding, chat] = linesOf(span({ kind: "embedding", name: "embeddings e" }), span({}))
    assert.match(embedding!, /200 +12 +1\.0 s/)
    assert.match(chat!, /200 +12 → \? +1\.0 s/)
  })
})
