import { assert, describe, it } from "@effect/vitest"
import * as fc from "effect/FastCheck"
import { eventsMax } from "../../src/openai/Assembly.js"
import { derive, type Derived } from "../../src/openai/Derive.js"
import { attributeMeanings } from "../../src/openai/GenAi.js"
import { at } from "../../src/openai/Json.js"
import { chat } from "./fixtures/chat.js"
import { events } from "./fixtures/events.js"
import { gateways } from "./fixtures/gateways.js"

const fixtures = [...chat, ...gateways, ...events]

const read = (path: string, stream: Uint8Array | string, requestBytes = Buffer.from("{\"model\":\"m\"}")): Derived =>
  derive({
    method: "POST",
    path,
    requestBytes,
    responseBytes: Buffer.from(stream),
    responseContentType: "text/event-stream",
    statusCode: 200
  })

describe("the streams of every dialect", () => {
  it.each(fixtures)("$name", ({ answer, attributes, path, stream, streamError }) => {
    const derived = read(path, stream)
    assert.deepStrictEqual(JSON.parse(JSON.stringify(derived.assembled)), answer)
    for (const [name, value] of Object.entries(attributes)) {
      assert.deepStrictEqual(derived.attributes.record[name] ?? null, value, name)
    }
    assert.strictEqual(derived.streamError, streamError)
    for (const name of Object.keys(derived.attributes.record)) assert.property(attributeMeanings, name)
  })

  it.each(fixtures)("no padding is left, with any line ends: $name", ({ answer, path, stream }) => {
    const derived = read(path, `\uFEFF${stream.replaceAll("\n", "\r\n")}`)
    assert.deepStrictEqual(JSON.parse(JSON.stringify(derived.assembled)), answer)
    assert.notInclude(JSON.stringify(derived.assembled), "obfuscation")
  })

  it("names what of a stream it could not read, and puts the rest together", () => {
    const derived = read(
      "/v1/chat/completions",
      "data: {\"choices\":[{\"delta\":{\"content\":\"a\"}}]}\n\ndata: <html>\n\ndata: {\"cho"
    )
    assert.strictEqual(derived.attributes.record["tau.unassembled"], "response: 2 of its events are not JSON objects")
    assert.include(JSON.stringify(derived.assembled), "\"content\":\"a\"")
    assert.strictEqual(
      read("/v1/messages", ": hello\n\n").attributes.record["tau.unassembled"],
      "response: no event that could be read"
    )
  })

  it.each(["/v1/chat/completions", "/v1/responses", "/v1/messages"])(
    "%s: events that are no JSON are not read without end, and the answer says so",
    (path) => {
      const broken = read(path, "data: {x}\n\n".repeat(50_000))
      assert.match(
        String(broken.attributes.record["tau.unassembled"]),
        /^response: over 1024 of its events are not JSON objects/
      )
    }
  )

  it.each([
    ["/v1/chat/completions", (n: number) => ({ choices: [{ index: n, delta: { content: "x" } }] })],
    ["/v1/chat/completions", (n: number) => ({ choices: [{ delta: { tool_calls: [{ index: n, id: `${n}` }] } }] })],
    [
      "/v1/responses",
      (n: number) => ({ type: "response.output_text.delta", output_index: n, item_id: "i", delta: "x" })
    ],
    ["/v1/messages", (n: number) => ({ type: "content_block_start", index: n, content_block: {} })]
  ])("%s: an answer keeps a limited number of parts, and says so", (path, event) => {
    const stream = Array.from({ length: 9_000 }, (_, n) => `data: ${JSON.stringify(event(n))}\n\n`).join("")
    const derived = read(path, stream)
    assert.strictEqual(derived.attributes.record["tau.unassembled"], "response: more than 4096 parts")
    assert.isBelow(JSON.stringify(derived.assembled).length, 500_000)
  })

  it("keeps a limited number of events, and says so", () => {
    const stream = `data: {"choices":[{"index":0,"delta":{"content":"x"}}]}\n\n${"data:{}\n\n".repeat(eventsMax)}`
    const derived = read("/v1/chat/completions", stream)
    assert.strictEqual(derived.attributes.record["tau.unassembled"], "response: more than 500000 events")
    assert.strictEqual(at(at(derived.assembled, "choices", 0), "message", "content"), "x")
  })

  const streamed = { error: { message: "gone", type: "server_error" } }
  it.each([
    ["named", "event: error\ndata: {\"message\":\"gone\",\"code\":\"503\"}\n\n", "503"],
    ["named, in words", "event: error\ndata: gone\n\n", "stream_error"],
    ["named, and of the usual shape", `event: error\ndata: ${JSON.stringify(streamed)}\n\n`, "server_error"],
    ["llama.cpp's field", `error: ${JSON.stringify({ code: 500, ...streamed.error })}\n\n`, "server_error"],
    ["what that field holds, as data", `data: ${JSON.stringify({ code: 500, ...streamed.error })}\n\n`, "server_error"]
  ])("reads an error in a stream: %s", (_, event, type) => {
    const begun = {
      "/v1/chat/completions": "data: {\"choices\":[{\"index\":0,\"delta\":{\"content\":\"x\"}}]}\n\n",
      "/v1/messages":
        "event: message_start\ndata: {\"type\":\"message_start\",\"message\":{\"role\":\"assistant\"}}\n\n",
      "/v1/responses": "data: {\"type\":\"response.created\",\"response\":{\"id\":\"r\",\"object\":\"response\"}}\n\n"
    }
    for (const [path, beginning] of Object.entries(begun)) {
      const derived = read(path, beginning + event)
      assert.strictEqual(derived.streamError, "gone", path)
      assert.strictEqual(derived.attributes.record["error.type"], type, path)
      assert.isUndefined(derived.attributes.record["tau.unassembled"], path)
      assert.isUndefined(derived.assembled?.["message"], path)
    }
  })

  it("reads an answer of status 200 that is an error, whatever it is called", () => {
    const derived = read(
      "/v1/chat/completions",
      "[{\"error\":{\"code\":429,\"message\":\"Quota\",\"status\":\"RESOURCE_EXHAUSTED\"}}]"
    )
    assert.strictEqual(derived.streamError, "Quota")
    assert.deepInclude(derived.attributes.record, { "error.type": "RESOURCE_EXHAUSTED", "tau.wire": "http" })
    const failed = read("/v1/responses", "{\"object\":\"response\",\"status\":\"failed\",\"error\":null}")
    assert.strictEqual(failed.streamError, "the response failed")
    assert.strictEqual(
      read("/v1/responses", "[1]").attributes.record["tau.unassembled"],
      "response: not a JSON object"
    )
  })

  /** Cuts, doubles, swaps and overwrites pieces of a text. */
  const mutated = fc.tuple(
    fc.constantFrom(...fixtures),
    fc.array(
      fc.tuple(
        fc.nat(),
        fc.nat(200),
        fc.oneof(
          fc.constantFrom(
            "",
            "\n",
            "\n\n",
            "data: ",
            "null",
            "[]",
            "{}",
            "\"",
            "-1",
            "1e999",
            "\"index\":9007199254740993,"
          ),
          fc.constantFrom(
            "\"__proto__\":{\"x\":1},",
            "{\"type\":\"error\"}",
            "\"delta\":",
            "\"content\":[1],",
            "\"index\":0.5,"
          ),
          fc.constant("copy")
        )
      ),
      { maxLength: 12 }
    )
  ).map(([{ path, stream }, edits]) => ({
    path,
    stream: edits.reduce((text, [place, length, piece]) => {
      const start = place % (text.length + 1)
      const middle = text.slice(start, start + length)
      return text.slice(0, start) + (piece === "copy" ? middle + middle : piece) + text.slice(start + length)
    }, stream)
  }))

  it.prop("never throws and never grows, however the stream is garbled", [mutated], ([{ path, stream }]) => {
    const derived = read(path, stream)
    const length = JSON.stringify(derived.assembled).length + JSON.stringify(derived.attributes.record).length
    assert.isBelow(length, 8 * stream.length + 4_096)
    assert.isUndefined(({} as { x?: unknown }).x)
    if (
      derived.attributes.record["tau.wire"] !== "http" && derived.assembled === null &&
      derived.streamError === undefined
    ) {
      assert.property(derived.attributes.record, "tau.unassembled")
    }
  }, { fastCheck: { numRuns: 2_000 } })
})
