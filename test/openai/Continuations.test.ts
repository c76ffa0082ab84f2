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

  it("say that they are not whole behind a call of their conversation whose answer is not known", () => {
    const continuations = new Continuations()
    continuations.put("/v1/conversations", { items: [] }, { id: "c", object: "conversation" })
    const first = continuations.add({ conversation: "c", input: "one" }, answer("r1", "1"))
    continuations.lose({ conversation: "c", input: "two" })
    continuations.lose({ previous_response_id: "r1", input: "two" })
    const second = continuations.add({ conversation: "c", input: "three" }, answer("r2", "3"))
    const other = continuations.add({ previous_response_id: "r1", input: "four" }, answer("r3", "4"))
    assert.deepStrictEqual([first, second, other].map(({ isWhole }) => isWhole), [true, false, true])
    assert.deepStrictEqual(second.input.map(({ parts, role }) => ({ role, parts })), [
      said("user", "one"),
      said("assistant", "1"),
      said("user", "three")
    ])
  })

  it("have the items that they only name, as the AI SDK does, where an earlier call had them", () => {
    const call = { id: "fc_1", type: "function_call", call_id: "c1", name: "add", arguments: "{\"a\":1}" }
    const first = {
      id: "r1",
      object: "response",
      status: "completed",
      output: [{ id: "rs_1", type: "reasoning", summary: [] }, call]
    }
    const references = [{ type: "item_reference", id: "rs_1" }, { id: "fc_1" }]
    const result = { type: "function_call_output", call_id: "c1", output: "3" }
    const [, second, third] = inputs(
      [{ input: "one" }, first],
      [{ input: [{ role: "user", content: "one" }, ...references, result] }, answer("r2", "2")],
      [{ input: [{ type: "item_reference", id: "rs_0" }, { role: "user", content: "two" }] }, answer("r3", "3")]
    )
    assert.deepStrictEqual(second, {
      isWhole: true,
      input: [
        said("user", "one"),
        {
          role: "assistant",
          parts: [
            { type: "reasoning", content: "" },
            { type: "tool_call", id: "c1", name: "add", arguments: { a: 1 } }
          ]
        },
        { role: "tool", parts: [{ type: "tool_call_response", id: "c1", response: "3" }] }
      ]
    })
    assert.isFalse(third!.isWhole)
  })

  it("say that they are not whole where an answer was never fetched, a prompt is the server's, or a request is not there", () => {
    const queued = { id: "r1", object: "response", status: "queued", output: [] }
    const calls = inputs(
      [{ input: "one", background: true }, queued],
      [{ previous_response_id: "r1", input: "two" }, answer("r2", "2")],
      [{ prompt: { id: "pmpt_1" }, input: "three" }, answer("r3", "3")],
      [{ previous_response_id: "r3", input: "four" }, answer("r4", "4")]
    )
    assert.deepStrictEqual(calls.map(({ isWhole }) => isWhole), [true, false, false, false])
    assert.isFalse(new Continuations().add(undefined, answer("r1", "1")).isWhole)
  })

  it("have what was put into the conversation when it was made, and later", () => {
    const continuations = new Continuations()
    const user = (content: string) => ({ type: "message", role: "user", content })
    continuations.put("/v1/conversations", { items: [user("I am Bo.")] }, { id: "c", object: "conversation" })
    continuations.add({ conversation: "c", input: "Hi." }, answer("r1", "Hi Bo."))
    continuations.put("/v1/conversations/c/items?include=x", { items: [user("I am Al.")] }, {
      object: "list",
      data: []
    })
    const { input, isWhole } = continuations.add({ conversation: { id: "c" }, input: "Who?" }, answer("r2", "Al."))
    assert.isTrue(isWhole)
    assert.deepStrictEqual(input.map(({ parts, role }) => ({ role, parts })), [
      said("user", "I am Bo."),
      said("user", "Hi."),
      said("assistant", "Hi Bo."),
      said("user", "I am Al."),
      said("user", "Who?")
    ])
    continuations.put("/v1/conversations/d/items", { items: [user("two")] }, { object: "list", data: [] })
    assert.isFalse(continuations.add({ conversation: "d", input: "three" }, answer("r3", "3")).isWhole)
    continuations.put("/v1/conversations", undefined, { id: "e", object: "conversation" })
    assert.isFalse(continuations.add({ conversation: "e", input: "one" }, answer("r4", "1")).isWhole)
  })

  it("have no empty turn for a warm-up", () => {
    const [, call] = inputs(
      [{ generate: false, input: "one" }, { id: "r1", object: "response", status: "completed", output: [] }],
      [{ previous_response_id: "r1", input: "two" }, answer("r2", "2")]
    )
    assert.deepStrictEqual(call, { isWhole: true, input: [said("user", "one"), said("user", "two")] })
  })

  it("leave other calls as they are", () => {
    const chat = { messages: [{ role: "user", content: "one" }] }
    const [call] = inputs([chat, { id: "c1", choices: [{ message: { role: "assistant", content: "1" } }] }])
    assert.deepStrictEqual(call, { isWhole: true, input: [said("user", "one")] })
  })
})
