import { assert, describe, it } from "@effect/vitest"
import { errorMessage } from "../../src/http/ChatAnswer.js"

describe("What a server says of an error", () => {
  it.each<readonly [body: string, said: string]>([
    [`{"error":"no such model"}`, "no such model"],
    [`{"error":{"message":"no such model","code":404}}`, "no such model"],
    ["\n<h1>Bad\r\n\tGateway</h1>\n", "<h1>Bad Gateway</h1>"],
    ["Bearer abc is none, nor is bearer x1", "Bearer [key] is none, nor is Bearer [key]"],
    [`{"error":"AIzaabc*** or pk_abc123 or xai-abc123"}`, "[key] or [key] or [key]"],
    ["risk-averse-minded", "risk-averse-minded"]
  ])("is told of %j as %j", (body, said) => {
    assert.strictEqual(errorMessage(body, ""), said)
  })

  it("is cut between characters, after its keys are gone", () => {
    assert.strictEqual(errorMessage(`{"error":"${"😀".repeat(501)}"}`, ""), "😀".repeat(500))
    assert.strictEqual(
      errorMessage(`{"error":"${"x ".repeat(248)}key-of-run"}`, "key-of-run"),
      `${"x ".repeat(248)}[key`
    )
  })
})
