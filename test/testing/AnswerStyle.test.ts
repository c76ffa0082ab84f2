import { assert, describe, it } from "@effect/vitest"
import { styleAskedFor } from "../../src/testing/AnswerStyle.js"

describe("styleAskedFor", () => {
  it.each([
    "Answer with only the final number.",
    "Reply with just the number.",
    "Give the number only.",
    "Answer with the number only, please",
    "Reply with only the result.",
    "Return only the final answer.",
    "Output ONLY the numeric answer and nothing else.",
    "Give the final answer alone.",
    "Compute the sum. No explanation.",
    "Answer without any explanation.",
    "Don't explain.",
    "Respond with a single number.",
    "Respond with nothing but the answer"
  ])("gives the bare answer when told: %s", (prompt) => assert.strictEqual(styleAskedFor(prompt), "answer"))

  it.each([
    ["", "explain"],
    ["You are a helpful assistant.", "explain"],
    ["You are a math tutor. Explain step by step.", "explain"],
    ["Do not give only the number; show how you got there.", "explain"],
    ["Only use the tools to find the answer", "explain"],
    ["You are a concise assistant.", "sentence"],
    ["Be brief.", "sentence"],
    ["Think step by step and end with a line '#### <number>'.", "marked"]
  ])("reads %j as a request to %s", (prompt, style) => assert.strictEqual(styleAskedFor(prompt), style))
})
