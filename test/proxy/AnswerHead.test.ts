import { assert, describe, it } from "@effect/vitest"
import { AnswerHead } from "../../src/proxy/AnswerHead.js"

const headOf = (...raw: ReadonlyArray<string>) => new AnswerHead(200, raw, "OK", false)

describe("The head of an answer", () => {
  it.each<readonly [coding: string, isCoded: boolean]>([
    ["chunked", false],
    ["Chunked", false],
    ["identity", false],
    ["identity ,\tchunked", false],
    ["gzip, chunked", true],
    ["chunked-gzip", true],
    ["gzip", true]
  ])("says of the transfer coding %j whether something of it is left in the body: %s", (coding, isCoded) => {
    assert.strictEqual(headOf("Transfer-Encoding", coding).isCoded, isCoded)
  })

  it("names a length only where that is a whole number", () => {
    const lengths = ["12", "0", "1e3", "-1", "", "0x10"].map((length) => headOf("Content-Length", length).length)
    assert.deepStrictEqual(lengths, [12, 0, null, null, null, null])
    assert.isTrue(headOf().length === null && !headOf().isCoded)
  })

  it("is of a type whatever its case, and whatever is said behind it", () => {
    for (const type of ["text/event-stream", "Text/Event-Stream ; charset=utf-8"]) {
      assert.isTrue(headOf("Content-Type", type).isOf("text/event-stream"), type)
    }
    for (const type of ["text/event-streams", "application/json;text/event-stream"]) {
      assert.isFalse(headOf("Content-Type", type).isOf("text/event-stream"), type)
    }
    assert.isFalse(headOf().isOf("text/event-stream"))
  })
})
