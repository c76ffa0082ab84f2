import { assert, describe, it } from "@effect/vitest"
import { conversationOf } from "../../../src/openai/Conversation.js"
import { traceText } from "../../../src/optimizer/run/traceText.js"

const said = (role: string, content: string) => ({ role, content })

/** A chat under a system message, and what came of it. */
const talk = (system: string, turns: ReadonlyArray<object>, answer: object) =>
  conversationOf(
    { messages: [said("system", system), ...turns] },
    { choices: [{ index: 0, message: { role: "assistant", ...answer }, finish_reason: "stop" }] }
  )

const calls = (name: string, input: object) => ({
  content: null,
  tool_calls: [{ id: "c", type: "function", function: { name, arguments: JSON.stringify(input) } }]
})

describe("what an agent did", () => {
  it("is its one conversation, without the system message", () => {
    assert.strictEqual(
      traceText([talk("Add up.", [said("user", "2 + 2")], { content: "4" })]),
      "user: 2 + 2\nassistant: 4"
    )
    assert.strictEqual(traceText([]), "")
  })

  it("is each of its conversations where it has several prompts", () => {
    assert.strictEqual(
      traceText([
        talk("Plan.", [said("user", "Two pears?")], calls("price", { item: "pear" })),
        talk("Answer.", [said("user", "Two pears? A pear is 2.")], { content: "4" })
      ]),
      [
        "(conversation 1 of 2)",
        "user: Two pears?",
        "assistant: (calls price) {\"item\":\"pear\"}",
        "(conversation 2 of 2)",
        "user: Two pears? A pear is 2.",
        "assistant: 4"
      ].join("\n")
    )
  })

  it("is told once where one prompt goes on with what was said under another", () => {
    const question = said("user", "Two pears?")
    const first = talk("Triage.", [question], { content: "To the desk." })
    const turns = [question, said("assistant", "To the desk."), said("user", "Go on.")]
    assert.strictEqual(
      traceText([first, talk("Desk.", turns, { content: "4" })]),
      "user: Two pears?\nassistant: To the desk.\nuser: Go on.\nassistant: 4"
    )
    // Without its answer it is not what was said.
    assert.include(
      traceText([first, talk("Desk.", [question, said("user", "Go on.")], { content: "4" })]),
      "To the desk."
    )
  })

  it("leaves room for the first of several conversations however long the last one is", () => {
    const turns = Array.from({ length: 60 }, (_, n) => said(n % 2 === 0 ? "user" : "assistant", `turn ${n}.`))
    const last = talk("Work.", turns, { content: "done" })
    assert.strictEqual(traceText([last]).split("\n").length, 25)
    const lines = traceText([talk("Plan.", [said("user", "Plan it.")], { content: "a plan" }), last]).split("\n")
    assert.deepStrictEqual(lines.slice(0, 5), [
      "(conversation 1 of 2)",
      "user: Plan it.",
      "assistant: a plan",
      "(conversation 2 of 2)",
      "(49 earlier messages left out)"
    ])
    assert.strictEqual(lines.length, 17)
  })
})
