import { assert, describe, it } from "@effect/vitest"
import { withoutThoughts } from "../../src/openai/Thoughts.js"

describe("withoutThoughts", () => {
  it.each([
    ["<think>Four? {\"score\": 5}</think>\n4", "\n4"],
    ["\n<THINKING>\nFour?\n</THINKING>4", "4"],
    ["Four?</think>4", "4"],
    ["<think>Four? It must be", ""],
    ["4", "4"],
    ["Think between <think> and </think>, then answer.", "Think between <think> and </think>, then answer."],
    ["{\"text\": \"Write </think> after your thoughts.\"}", "{\"text\": \"Write </think> after your thoughts.\"}"],
    ["<think>Four?</think>Write </think> after your thoughts.", "Write </think> after your thoughts."]
  ])("%j is answered %j", (answer, said) => {
    assert.strictEqual(withoutThoughts(answer), said)
  })
})
