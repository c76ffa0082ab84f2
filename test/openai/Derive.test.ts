import { assert, describe, it } from "@effect/vitest"
import * as fc from "effect/FastCheck"
import * as zlib from "node:zlib"
import { decodedBytesMax } from "../../src/openai/Decode.js"
import { derive, type RecordedCall } from "../../src/openai/Derive.js"
import { errorBody } from "../../src/openai/ErrorBody.js"
import { GenAi } from "../../src/openai/GenAi.js"

const json = (value: unknown): Buffer => Buffer.from(JSON.stringify(value))

const request = {
  model: "gpt-4o-mini",
  temperature: 0.2,
  max_tokens: 50,
  stop: "END",
  n: 2,
  stream: true,
  messages: [{ role: "user", content: "hi" }]
}

const answer = {
  id: "chatcmpl-1",
  object: "chat.completion",
  model: "gpt-4o-mini-2024-07-18",
  choices: [{ index: 0, message: { role: "assistant", content: "Hello" }, finish_reason: "stop" }],
  usage: { prompt_tokens: 5, completion_tokens: 2, prompt_tokens_details: { cached_tokens: 1 } }
}

const chat: RecordedCall = {
  method: "POST",
  path: "/v1/chat/completions",
  requestBytes: json(request),
  responseBytes: json(answer),
  responseContentType: "application/json",
  statusCode: 200
}

const stream = Buffer.from(
  [
    { id: "c1", model: "m", choices: [{ index: 0, delta: { role: "assistant", content: "Hel" } }] },
    { id: "c1", model: "m", choices: [{ index: 0, delta: { content: "lo" }, finish_reason: "stop" }] },
    { id: "c1", model: "m", choices: [], usage: { prompt_tokens: 7, completion_tokens: 3 } }
  ].map((chunk) => `data: ${JSON.stringify(chunk)}\n\n`).join("") + "data: [DONE]\n\n"
)

const unassembled = (call: Partial<RecordedCall>) => derive({ ...chat, ...call }).attributes.record["tau.unassembled"]

describe("derive", () => {
  it("tells a seed whole or not at all", () => {
    const seedOf = (seed: string) =>
      derive({ ...chat, requestBytes: Buffer.from(`{"model":"m","seed":${seed}}`) }).attributes
        .record["gen_ai.request.seed"]
    assert.strictEqual(seedOf("-9007199254740991"), -9007199254740991)
    assert.isUndefined(seedOf("9007199254740993"))
    assert.isUndefined(seedOf("1e400"))
  })

  it("describes a chat completion by the names of OpenTelemetry", () => {
    const derived = derive(chat)
    assert.deepStrictEqual({ ...derived, attributes: { ...derived.attributes.record } }, {
      kind: "llm",
      operation: "chat",
      assembled: null,
      isOver: false,
      isCut: false,
      streamError: undefined,
      awaitedId: null,
      later: null,
      attributes: {
        "gen_ai.operation.name": "chat",
        "openai.api.type": "chat_completions",
        "gen_ai.request.model": "gpt-4o-mini",
        "gen_ai.request.temperature": 0.2,
        "gen_ai.request.max_tokens": 50,
        "gen_ai.request.stop_sequences": ["END"],
        "gen_ai.request.choice.count": 2,
        "gen_ai.request.stream": true,
        "gen_ai.response.id": "chatcmpl-1",
        "gen_ai.response.model": "gpt-4o-mini-2024-07-18",
        "gen_ai.response.finish_reasons": ["stop"],
        "gen_ai.usage.input_tokens": 5,
        "gen_ai.usage.output_tokens": 2,
        "gen_ai.usage.cache_read.input_tokens": 1,
        "tau.call.role": "main",
        "tau.wire": "http"
      },
      inputTokens: 5,
      outputTokens: 2,
      model: "gpt-4o-mini-2024-07-18"
    })
  })

  it.each(
    [
      ["gzip", zlib.gzipSync(stream)],
      ["deflate", zlib.deflateSync(stream)],
      ["deflate", zlib.deflateRawSync(stream)],
      ["br", zlib.brotliCompressSync(stream)],
      ["gzip, br", zlib.brotliCompressSync(zlib.gzipSync(stream))],
      ["", stream]
    ] as const
  )("rebuilds a stream that was sent with content-encoding %s", (responseContentEncoding, responseBytes) => {
    const derived = derive({
      ...chat,
      responseBytes,
      responseContentEncoding,
      responseContentType: "text/event-stream"
    })
    assert.deepInclude(derived, { inputTokens: 7, outputTokens: 3, model: "m" })
    assert.deepStrictEqual(JSON.parse(JSON.stringify(derived.assembled)), {
      id: "c1",
      model: "m",
      object: "chat.completion",
      choices: [{ index: 0, message: { role: "assistant", content: "Hello" }, finish_reason: "stop" }],
      usage: { prompt_tokens: 7, completion_tokens: 3 }
    })
  })

  it("reads as much of a cut gzip stream as had arrived", () => {
    const bytes = zlib.gzipSync(stream)
    const cut = bytes.subarray(0, bytes.length - 12)
    const derived = derive({
      ...chat,
      responseBytes: cut,
      responseContentEncoding: "gzip",
      responseContentType: "text/event-stream"
    })
    assert.strictEqual(derived.attributes.record["gen_ai.response.id"], "c1")
  })

  it("reads gzip to the end of its last member, whatever is behind it", () => {
    const named = Buffer.concat([
      Buffer.from([0x1f, 0x8b, 8, 8 | 16, 0, 0, 0, 0, 0, 3]),
      Buffer.from("name\0and a comment\0"),
      zlib.gzipSync(json(answer)).subarray(10)
    ])
    const [first, second] = [json(answer).subarray(0, 40), json(answer).subarray(40)].map((part) => zlib.gzipSync(part))
    const noise = Buffer.from("no member of it")
    const read = (...parts: ReadonlyArray<Uint8Array>) =>
      derive({ ...chat, responseBytes: Buffer.concat(parts), responseContentEncoding: "gzip" })
    for (
      const parts of [[named], [named, noise], [first!, second!], [first!, second!, noise], [named, Buffer.alloc(9)]]
    ) {
      const { attributes, inputTokens } = read(...parts)
      assert.strictEqual(attributes.record["tau.unassembled"], undefined)
      assert.strictEqual(inputTokens, 5)
    }
    const broken = Buffer.from(second!)
    broken[broken.length - 6]! ^= 255
    const many = Array.from({ length: 10_000 }, () => zlib.gzipSync(""))
    for (const parts of [[first!, broken], [broken, noise], [noise], [...many, first!, second!, noise]]) {
      assert.strictEqual(read(...parts).attributes.record["tau.unassembled"], "response: not valid gzip")
    }
  })

  it("recognises a stream under another content type", () => {
    assert.isNotNull(derive({ ...chat, responseBytes: stream, responseContentType: "text/plain" }).assembled)
  })

  it("marks what it cannot read and derives the rest", () => {
    const bomb = zlib.gzipSync(Buffer.alloc(decodedBytesMax + 1))
    assert.strictEqual(unassembled({}), undefined)
    assert.strictEqual(unassembled({ responseBytes: Buffer.from("<html>") }), "response: not JSON")
    assert.strictEqual(unassembled({ responseBytes: Buffer.alloc(0) }), "response: empty")
    assert.strictEqual(
      unassembled({ responseContentEncoding: "compress" }),
      "response: unknown content encoding compress"
    )
    assert.strictEqual(unassembled({ responseContentEncoding: "gzip" }), "response: not valid gzip")
    assert.strictEqual(unassembled({ requestBytes: Buffer.from("[1]") }), "request: not a JSON object")
    assert.strictEqual(
      unassembled({ responseBytes: bomb, responseContentEncoding: "gzip" }),
      "response: larger than the limit once decoded"
    )
    assert.strictEqual(
      unassembled({ responseBytes: Buffer.from("[".repeat(100_000) + "]".repeat(100_000)) }),
      "response: not JSON"
    )
  })

  it("marks an answer without a choice once it is whole", () => {
    const over = "data: [DONE]\n\n"
    const filtered = "data: {\"choices\":[],\"prompt_filter_results\":[]}\n\n"
    const said = "data: {\"choices\":[{\"index\":0,\"delta\":{\"content\":\"\"},\"finish_reason\":\"stop\"}]}\n\n"
    for (const text of ["{\"choices\":[]}", "{\"choices\":null,\"usage\":{\"prompt_tokens\":5}}", filtered + over]) {
      assert.strictEqual(unassembled({ responseBytes: Buffer.from(text) }), "response: no choices")
    }
    for (const text of ["{\"choices\":[{\"message\":{\"content\":\"\"}}]}", filtered, filtered + said + over, "{}"]) {
      assert.strictEqual(unassembled({ responseBytes: Buffer.from(text) }), undefined)
    }
  })

  it("says what kind of error an answer or a stream was", () => {
    const refused = derive({
      ...chat,
      statusCode: 429,
      responseBytes: json(errorBody("slow down", { type: "rate_limit" }))
    })
    assert.deepInclude(refused.attributes.record, { "error.type": "rate_limit" })
    assert.deepInclude(refused, { model: "gpt-4o-mini", inputTokens: null })
    assert.strictEqual(
      derive({ ...chat, statusCode: 503, responseBytes: Buffer.from("busy") }).attributes.record["error.type"],
      "503"
    )
    const broken = derive({
      ...chat,
      responseBytes: Buffer.from("data: {\"error\":{\"message\":\"gone\"}}\n\n"),
      responseContentType: "text/event-stream"
    })
    assert.deepInclude(broken, { streamError: "gone", assembled: null })
    for (const path of ["/v1/messages", "/v1/responses"]) {
      const overloaded = derive({
        ...chat,
        path,
        statusCode: 529,
        responseBytes: Buffer.from(
          "event: error\ndata: {\"type\":\"error\",\"error\":{\"type\":\"overloaded_error\"}}\n\n"
        ),
        responseContentType: "text/event-stream"
      })
      assert.deepInclude(overloaded, { isCut: false, streamError: undefined }, path)
      assert.deepInclude(overloaded.attributes.record, { "error.type": "overloaded_error" }, path)
    }
    const failed = derive({
      ...chat,
      path: "/v1/responses",
      responseBytes: Buffer.from("event: response.failed\ndata: {\"type\":\"response.failed\"}\n\n"),
      responseContentType: "text/event-stream"
    })
    assert.deepInclude(failed, { isOver: true, isCut: false, streamError: "the response failed" })
    const ended = (choice: object) => derive({ ...chat, responseBytes: json({ choices: [choice] }) }).streamError
    assert.strictEqual(ended({ finish_reason: "error" }), "a choice finished with an error")
    assert.strictEqual(
      ended({ finish_reason: "stop", error: { code: 502, message: "provider lost" } }),
      "provider lost"
    )
    assert.isUndefined(ended({ finish_reason: "stop", error: null }))
  })

  it.each([
    ["POST", "/v1/chat/completions?x=1", "llm", "chat"],
    ["POST", "/openai/deployments/d/chat/completions", "llm", "chat"],
    ["POST", "/v1/completions/", "llm", "text_completion"],
    ["POST", "/v1/embeddings", "embedding", "embeddings"],
    ["POST", "/v1/responses", "llm", "chat"],
    ["POST", "/v1/messages", "llm", "chat"],
    ["POST", "/v1/threads/t1/messages", "http", "http"],
    ["GET", "/v1/chat/completions/1/messages", "http", "http"],
    ["GET", "/v1/models", "http", "http"]
  ])("takes %s %s for a call of kind %s, operation %s", (method, path, kind, operation) => {
    const derived = derive({ ...chat, method, path })
    assert.deepStrictEqual([derived.kind, derived.operation] as const, [kind, operation])
  })

  it("keeps attributes short, under the names of the schema alone", () => {
    const derived = derive({
      ...chat,
      requestBytes: json({ ...request, model: "x".repeat(100_000), stop: Array(99).fill("s") })
    })
    assert.strictEqual(String(derived.attributes.record["gen_ai.request.model"]).length, 1024)
    assert.lengthOf(derived.attributes.record["gen_ai.request.stop_sequences"] as Array<string>, 32)
    assert.includeMembers(Object.values(GenAi), Object.keys(derived.attributes.record))
  })

  it.prop("never throws", [
    fc.constantFrom("/v1/chat/completions", "/v1/responses", "/v1/messages", "/v1/embeddings", "/x"),
    fc.oneof(fc.json().map((text) => Buffer.from(text)), fc.uint8Array()),
    fc.oneof(
      fc.json().map((text) => Buffer.from(text)),
      fc.array(fc.json()).map((all) => Buffer.from(all.map((text) => `data: ${text}\n\n`).join(""))),
      fc.uint8Array()
    ),
    fc.constantFrom(null, "gzip", "br", "deflate", "identity"),
    fc.option(fc.constantFrom(200, 400, 500))
  ], ([path, requestBytes, responseBytes, responseContentEncoding, statusCode]) => {
    derive({ method: "POST", path, requestBytes, responseBytes, responseContentEncoding, statusCode })
  }, { fastCheck: { numRuns: 500 } })
})
