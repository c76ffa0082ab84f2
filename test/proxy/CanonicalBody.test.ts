import { assert, describe, it } from "@effect/vitest"
import { canonicalHash } from "../../src/proxy/CanonicalBody.js"

const call = { attemptId: "r:attempt-1", method: "POST", path: "/v1/chat/completions" }
const hashOf = (body: string, encoding: "utf8" | "latin1" = "utf8") => canonicalHash(call, Buffer.from(body, encoding))

describe("two bodies", () => {
  it("ask the same whatever the order of their keys, their space and their labels", () => {
    const one = "{\"model\":\"m\",\"seed\":12345678901234567890,\"text\":\"\\\"1234567890123456\\\\\"}"
    const other =
      "{ \"text\": \"\\\"1234567890123456\\\\\", \"user\": \"x\", \"seed\" :12345678901234567890 ,\"model\":\"m\" }"
    assert.strictEqual(hashOf(one), hashOf(other))
  })

  it("ask not the same when they differ in what a parser does not tell apart", () => {
    for (
      const [one, other] of [
        ["{\"seed\":9007199254740993}", "{\"seed\":9007199254740992}"],
        ["{\"a\":[-12345678901234567890]}", "{\"a\":[-12345678901234567891]}"],
        ["{\"a\":0.12345678901234567}", "{\"a\":0.12345678901234568}"],
        ["{\"a\":\"\\ud800\"}", "{\"a\":\"\\ud801\"}"]
      ] as const
    ) assert.notStrictEqual(hashOf(one), hashOf(other), one)
    assert.notStrictEqual(hashOf("{\"a\":\"\u00E8\"}", "latin1"), hashOf("{\"a\":\"\u00E9\"}", "latin1"))
  })
})
