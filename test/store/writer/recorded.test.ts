import { afterEach, describe, expect, it } from "@effect/vitest"
import { GenAi } from "../../../src/openai/GenAi.js"
import { defaultRules } from "../../../src/openai/Redaction.js"
import { recordBy, recorded } from "../../../src/store/writer/recorded.js"

const [begin, end] = ["sk-canary012", "3456789abcdef"]
const secret = begin + end

const stream = (path: string, events: ReadonlyArray<object>) => {
  const data = events.map((event) => `data: ${JSON.stringify(event)}\n\n`).join("")
  const kept = recorded({
    method: "POST",
    path,
    requestBytes: Buffer.from("{\"stream\":true}"),
    requestContentEncoding: null,
    responseBytes: Buffer.from(`${data}data: [DONE]\n\n`),
    responseContentType: "text/event-stream",
    responseContentEncoding: null,
    statusCode: 200
  })
  return {
    response: Buffer.from(kept.response).toString(),
    answer: JSON.stringify(kept.derived.assembled),
    why: kept.derived.attributes.get(GenAi.unrecorded)
  }
}

const spread = "response: a secret is spread over the events of the stream"

describe("a secret that came in pieces", () => {
  const responses = (last: string) => {
    const delta = { type: "response.output_text.delta", item_id: "i", output_index: 0, content_index: 0 }
    const content = [{ type: "output_text", text: `it is ${secret} ok` }]
    const item = { id: "i", type: "message", role: "assistant", content }
    return stream("/v1/responses", [
      { type: "response.created", response: { id: "r", output: [] } },
      ...["it is ", begin, end, " ok"].map((piece) => ({ ...delta, delta: piece })),
      { type: "response.output_item.done", output_index: 0, item },
      { type: "response.completed", response: { id: "r", status: "completed", output: last === "item" ? [] : [item] } }
    ])
  }

  it.each(["item", "response"])("is in no stream that ends with the whole %s", (last) => {
    const { answer, response, why } = responses(last)
    expect(response).toBe("")
    expect(answer).toContain("it is [REDACTED] ok")
    expect(why).toBe(spread)
  })

  it("is in no list of pieces of an answer either", () => {
    const { answer, response, why } = stream(
      "/v1/chat/completions",
      [begin, end].map((text) => ({
        choices: [{ index: 0, delta: { reasoning: text, reasoning_details: [{ type: "reasoning.text", text }] } }]
      }))
    )
    expect([response, answer]).toEqual(["", "null"])
    expect(why).toBe(spread)
  })

  it("leaves a stream that holds it whole in each event, without it", () => {
    const chunk = { choices: [{ index: 0, delta: { content: `${secret} ` } }] }
    const { response, why } = stream("/v1/chat/completions", [chunk, chunk])
    expect(response).toContain("[REDACTED]")
    expect(response).not.toContain(begin)
    expect(why).toBeUndefined()
  })
})

describe("what a path of the rules names", () => {
  afterEach(() => recordBy({ payloads: true, redaction: defaultRules }))

  const call = (response: string, encoding: string | null) =>
    recorded({
      method: "POST",
      path: "/v1/chat/completions",
      requestBytes: Buffer.from(JSON.stringify({ model: "m-of-acme", service_tier: "acme-tier", messages: [] })),
      requestContentEncoding: null,
      responseBytes: Buffer.from(response),
      responseContentType: "application/json",
      responseContentEncoding: encoding,
      statusCode: 200
    })

  it.each([true, false])("is in no attribute where a body is not kept, bodies recorded: %s", (payloads) => {
    recordBy({
      payloads,
      redaction: { ...defaultRules, jsonPaths: ["$.model", "$.service_tier", "$.id", "$.system_fingerprint"] }
    })
    const answer = { id: "acme-1", model: "m-of-acme", system_fingerprint: "acme", usage: { prompt_tokens: 3 } }
    const kept = call(JSON.stringify(answer), null).derived
    expect(kept.attributes.toText()).not.toContain("acme")
    expect(kept.inputTokens).toBe(3)
    const { derived, response } = call("no gzip", "gzip")
    expect(response).toHaveLength(0)
    expect(derived.attributes.toText()).not.toContain("acme")
    expect(derived.model).not.toContain("acme")
    expect(derived.attributes.get(GenAi.unrecorded)).toBe(
      payloads ? "response: not valid gzip" : "bodies are not recorded here"
    )
  })
})
