import { createHash } from "node:crypto"
import { afterAll, assert, beforeAll, describe, it } from "vitest"
import { wireFaults } from "../../../src/testing/index.js"
import { eventually } from "../../support/processes.js"
import { Bench } from "./bench.js"

/** Answers of ours to an upstream that made no sense, or left, before anything had passed. */
const unreadable = [
  "garbage",
  "garbage-status-line",
  "status-0",
  "status-99",
  "status-1000",
  "status-negative",
  "http-0.9",
  "http-3.7",
  "other-protocol",
  "tls-to-plain",
  "line-feeds-only",
  "huge-header",
  "huge-header-name",
  "too-many-headers",
  "endless-headers",
  "nul-in-header",
  "control-in-header",
  "folded-header",
  "bare-return-in-header",
  "space-before-colon",
  "no-header-name",
  "no-colon",
  "odd-header-name",
  "informational-flood",
  "endless-informational",
  "unasked-upgrade",
  "no-body",
  "length-negative",
  "length-words",
  "length-plus",
  "length-hex",
  "length-empty",
  "length-beyond-64-bits",
  "two-lengths",
  "length-twice",
  "length-list",
  "length-and-chunks",
  "chunks-and-length",
  "unknown-coding",
  "gzip-then-chunked",
  "chunked-then-gzip",
  "body-behind-204"
]
const gone = [
  "close-before-head",
  "reset-before-head",
  "cut-status-line",
  "cut-head",
  "reset-head",
  "reset-upload"
]
const cut = [
  "cut-body",
  "reset-body",
  "length-huge",
  "bad-chunk-size",
  "bad-first-chunk",
  "negative-chunk-size",
  "huge-chunk-size",
  "chunk-too-long",
  "cut-chunk",
  "reset-chunk",
  "reset-until-close",
  "cut-chunk-size",
  "no-last-chunk",
  "cut-last-chunk",
  "length-in-trailers",
  "endless-trailers",
  "cut-stream",
  "reset-stream",
  "cut-event",
  "cut-character",
  "error-then-close"
]
const expected = new Map<string, string>([
  ...unreadable.map((name) => [name, "502 whole upstream_error"] as const),
  ...gone.map((name) => [name, "502 whole upstream_error"] as const),
  ...cut.map((name) => [name, "200 broken upstream_cut"] as const),
  ...["silence", "silence-before-body", "drip-head"].map((name) => [name, "504 whole timeout"] as const),
  ...["silence-in-body", "silence-in-chunks", "silence-in-stream"].map((name) => [name, "200 broken timeout"] as const),
  ...["endless-drip", "endless-comments"].map((name) => [name, "200 broken timeout"] as const),
  ...["endless-body", "endless-stream", "endless-line", "endless-event"].map((name) =>
    [name, "200 left client_cancel"] as const
  ),
  ...["reset-after-done", "close-after-done", "silence-after-done"].map((name) => [name, "200 broken done"] as const),
  ...["error-in-200", "error-event", "json-as-stream"].map((name) => [name, "200 whole upstream_error"] as const),
  ...["plain-204", "chunks-behind-204"].map((name) => [name, "204 whole done"] as const),
  ...[301, 302, 307, 308].map((code) => [`redirect-${code}`, `${code} whole done`] as const),
  ["endless-after-done", "200 left done"],
  ["plain-304", "304 whole done"],
  ["length-of-304", "304 whole done"],
  ["body-behind-304", "304 whole done"],
  ["body-behind-205", "205 whole done"],
  ["status-999", "999 whole done"]
])

/** Passed by the proxy where Node's own client is stricter, or where the answer has no end to compare. */
const notAsDirect = new Set([
  "length-too-small",
  "garbage-after-answer",
  "second-answer",
  "answer-later-too",
  "huge-chunk-extension",
  "chunks-behind-204",
  "body-behind-304"
])

const hashOf = (bytes: Uint8Array) => createHash("sha256").update(bytes).digest("hex")

describe("The proxy, before an upstream whose answer is", () => {
  let bench: Bench
  beforeAll(async () => {
    bench = await Bench.start()
  })
  afterAll(() => bench.stop())

  it.each(Object.entries(wireFaults).map(([name, { says }]) => [name, says] as const))("%s: %s", async (name) => {
    const attempt = bench.newAttempt()
    const body = Buffer.from(
      `{"model":"faulty","stream":true,"messages":[{"role":"user","content":"${name} \u00e9\\u0000"}]}`
    )
    const given = {
      fault: name,
      body: name === "reset-upload" ? Buffer.alloc(3_000_000) : body,
      leaveAfterBytes: name.startsWith("endless-") && expected.get(name)?.includes("left") === true ? 300_000 : Infinity
    }
    // Some bodies take a while to make, once.
    if (name.endsWith("-bomb")) await bench.askDirectly(given)
    const before = bench.asked.length
    const answer = await bench.ask(attempt, given)
    const span = await eventually("the span's end", () => {
      const spans = bench.spansOf(attempt)
      return spans.length > 0 && spans[0]!.state !== "open" ? spans[0] : undefined
    })
    const wanted = expected.get(name) ?? "200 whole done"
    assert.strictEqual(`${answer.status} ${answer.ending} ${span.state}`, wanted)
    assert.strictEqual(span.statusCode, answer.status)
    if (unreadable.includes(name)) {
      assert.include(answer.body.toString(), "training_proxy_upstream_response_read_failed")
    }
    if (gone.includes(name)) assert.include(answer.body.toString(), "training_proxy_upstream_request_failed")
    // One request upstream for one of the client, the bytes unchanged; none goes where a redirect points.
    const asked = bench.asked.slice(before)
    if (wireFaults[name]!.isEarly !== true) {
      assert.deepStrictEqual(asked.map((request) => hashOf(request.body)), [hashOf(body)])
    }
    const isOurs = wanted.startsWith("50")
    const isSame = !isOurs && answer.ending === "whole" && !notAsDirect.has(name)
    if (isSame) {
      const direct = await bench.askDirectly(given)
      assert.strictEqual(`${answer.status} ${answer.ending}`, `${direct.status} ${direct.ending}`)
      assert.strictEqual(hashOf(answer.body), hashOf(direct.body))
      assert.strictEqual(answer.headers.location, direct.headers.location)
      const stored = bench.bodiesOf(attempt).response
      assert.strictEqual(span.responseBytes, answer.body.length)
      assert.strictEqual(hashOf(stored), hashOf(answer.body.subarray(0, stored.length)))
    }
    if (span.state === "upstream_cut") {
      assert.strictEqual(hashOf(bench.bodiesOf(attempt).response), hashOf(answer.body))
    }
    await bench.isWell(attempt, [span.state])
  })

  it("none of the above: no fault is left out, and none stays in the process's memory", () => {
    assert.deepStrictEqual([...expected.keys()].filter((name) => wireFaults[name] === undefined), [])
    assert.isAbove(bench.residentBytesHighest, 0)
  })
})
