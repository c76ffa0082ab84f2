import { assert, describe, it } from "@effect/vitest"
import { Continuations } from "../../src/openai/Continuations.js"
import type { Message } from "../../src/openai/Conversation.js"

const said = (role: string, content: string): Pick<Message, "role" | "parts"> => ({
  role,
  parts: [{ type: "text", content }]
})
const answer = (id: string, text: string) => ({
  id,
  object: "response",
  status: "completed",
  output: [{ type: "message", role: "assistant", content: [{ type: "output_text", text }] }]
})

/** Each call as its request and its answer. */
const inputs = (...calls: ReadonlyArray<readonly [request: object, answer: object]>) => {
  const continuations = new Continuations()
  return calls.map(([request, answered]) => {
    const { input, isWhole } = continuations.add(request, answered)
    return { isWhole, input: input.map(({ parts, role }) => ({ role, parts })) }
  })
}

describe("Continuations", () => {
  it("have all that was said before, under the instructions of each request alone", () => {
    const calls = inputs(
      [{ instructions: "Be brief.", input: "one" }, answer("r1", "1")],
      [{ instructions: "Be kind.", previous_response_id: "r1", input: "two" }, answer("r2", "2")],
      [{ previous_response_id: "r1", input: "other" }, answer("r3", "3")],
      [{ previous_response_id: "r2", input: [{ role: "user", content: "three" }] }, answer("r4", "4")]
    )
    const first = [said("user", "one"), said("assistant", "1")]
    assert.deepStrictEqual(calls, [
      { isWhole: true, input: [said("system", "Be brief."), said("user", "one")] },
      { isWhole: true, input: [said("system", "Be kind."), ...first, said("user", "two")] },
      { isWhole: true, input: [...first, said("user", "other")] },
      { isWhole: true, input: [...first, said("user", "two"), said("assistant", "2"), said("user", "three")] }
    ])
  })

  it("say that they are not whole where the call before is not known, and so do those that go on from there", () => {
    const calls = inputs(
      [{ previous_response_id: "r0", input: "one" }, answer("r1", "1")],
      [{ previous_response_id: "r1", input: "two" }, answer("r2", "2")],
      [{ conversation: "c", input: "one" }, answer("r3", "1")],
      [{ conversation: { id: "c" }, input: "two" }, answer("r4", "2")]
    )
    const both = [said("user", "one"), said("assistant", "1"), said("user", "two")]
    assert.deepStrictEqual(calls.map(({ isWhole }) => isWhole), [false, false, false, false])
    assert.deepStrictEqual(calls[1]!.input, both)
    assert.deepStrictEqual(calls[3]!.input, both)
  })

  it("leave other calls as they are", () => {
    const chat = { messages: [{ role: "user", content: "one" }] }
    const [call] = inputs([chat, { id: "c1", choices: [{ message: { role: "assistant", content: "1" } }] }])
    assert.deepStrictEqual(call, { isWhole: true, input: [said("user", "one")] })
  })
})
