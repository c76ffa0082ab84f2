import { assert, describe, it } from "@effect/vitest"
import { assembleChat, reasoningText, toolNames } from "../../src/openai/ChatCompletion.js"

interface Choice {
  readonly message: {
    readonly role?: string
    readonly content?: unknown
    readonly audio?: unknown
    readonly tool_calls?: ReadonlyArray<{ readonly function: { readonly name: string; readonly arguments: string } }>
  }
}

/** The choices that a stream of these comes to, as plain JSON. */
const choicesOf = (...chunks: ReadonlyArray<ReadonlyArray<object>>): ReadonlyArray<Choice> => {
  const stream = chunks.map((choices) => `data: ${JSON.stringify({ choices })}\n\n`).join("")
  return JSON.parse(JSON.stringify(assembleChat(Buffer.from(stream)).object?.["choices"])) as ReadonlyArray<Choice>
}

const messageOf = (...deltas: ReadonlyArray<object>) => choicesOf(...deltas.map((delta) => [{ delta }]))[0]!.message

/** Name and arguments of each tool call that these pieces come to, a list of pieces per chunk. */
const callsOf = (...chunks: ReadonlyArray<ReadonlyArray<object>>): ReadonlyArray<readonly [string, string]> =>
  messageOf(...chunks.map((pieces) => ({ tool_calls: pieces }))).tool_calls!
    .map((call) => [call.function.name, call.function.arguments] as const)

const begun = (name: string, text: string, more: object = {}) => ({ function: { name, arguments: text }, ...more })
const goingOn = (text: string, more: object = {}) => ({ function: { arguments: text }, ...more })

describe("the pieces of tool calls", () => {
  it("that have neither a number nor an id go on with the last call, several of them each with the one at its place", () => {
    assert.deepStrictEqual(callsOf([begun("a", "{")], [goingOn("}")], [begun("b", "{")], [goingOn("\"k\":1}")]), [
      ["a", "{}"],
      ["b", "{\"k\":1}"]
    ])
    assert.deepStrictEqual(callsOf([begun("a", "{"), begun("b", "[")], [goingOn("}"), goingOn("]")]), [
      ["a", "{}"],
      ["b", "[]"]
    ])
  })

  it("go on with the latest call where all calls have one number (Ollama)", () => {
    assert.deepStrictEqual(
      callsOf(
        [begun("a", "{}", { index: 0, id: "1" })],
        [begun("b", "{\"k\":", { index: 0, id: "2" })],
        [goingOn("1}", { index: 0 })]
      ),
      [["a", "{}"], ["b", "{\"k\":1}"]]
    )
  })

  it("are of the same call where its name is said again alone", () => {
    assert.deepStrictEqual(
      callsOf([begun("a", "{}", { index: 0 })], [{ index: 0, function: { name: "a" } }]),
      [["a", "{}"]]
    )
  })

  it("append to the input of a custom tool as to the arguments of a function", () => {
    const { tool_calls: calls } = messageOf(
      { tool_calls: [{ index: 0, id: "1", type: "custom", custom: { name: "shell", input: "ls " } }] },
      { tool_calls: [{ index: 0, custom: { input: "-l" } }] }
    )
    assert.deepStrictEqual<unknown>(calls, [{ id: "1", type: "custom", custom: { name: "shell", input: "ls -l" } }])
  })
})

describe("the pieces of a message", () => {
  it("are those of the choice at their place where they have no number", () => {
    const choices = choicesOf([{ delta: { content: "a" } }, { delta: { content: "b" } }], [
      { delta: { content: "c" } },
      { delta: { content: "d" } }
    ])
    assert.deepStrictEqual(choices.map(({ message }) => message.content), ["ac", "bd"])
  })

  it("say the role once, and not by an empty one", () => {
    for (const empty of ["", null]) {
      assert.strictEqual(messageOf({ role: empty, content: "a" }, { role: "assistant" }).role, "assistant")
    }
    assert.strictEqual(messageOf({ role: "assistant", content: "a" }, { role: "" }).role, "assistant")
  })

  it("append to the sound of an answer and to what it says", () => {
    const { audio } = messageOf(
      { audio: { id: "s", data: "AA", transcript: "Hel" } },
      { audio: { data: "BB", transcript: "lo", expires_at: 1 } }
    )
    assert.deepStrictEqual(audio, { id: "s", data: "AABB", transcript: "Hello", expires_at: 1 })
  })

  it("keep the text that came before a list of parts (Mistral)", () => {
    const thinking = { type: "thinking", thinking: [{ type: "text", text: "hm" }] }
    const { content } = messageOf({ content: "So " }, { content: "it is" }, { content: [thinking] }, { content: "." })
    assert.deepStrictEqual(content, [{ type: "text", text: "So it is" }, thinking, { type: "text", text: "." }])
  })
})

describe("what is told of an answer", () => {
  const chat = (message: object) => ({ choices: [{ message }] })

  it("names its tools, also the one of the older kind of call", () => {
    assert.deepStrictEqual(toolNames(chat({ function_call: { name: "add", arguments: "{}" } })), ["add"])
    const custom = { type: "custom", custom: { name: "shell", input: "" } }
    assert.deepStrictEqual(toolNames(chat({ tool_calls: [{ function: { name: "add" } }, custom] })), ["add", "shell"])
    const output = [{ type: "message" }, { type: "function_call", name: "add" }, { type: "web_search_call" }]
    assert.deepStrictEqual(toolNames({ output }), ["add", "web_search_call"])
    const content = [{ type: "text" }, { type: "tool_use", name: "add" }, { type: "tool_result" }]
    assert.deepStrictEqual(toolNames({ content }), ["add"])
  })

  it("has its reasoning, wherever a server puts that", () => {
    const text = [{ type: "text", text: "hm" }]
    const answers = [
      chat({ reasoning_content: "hm" }),
      chat({ reasoning: "hm" }),
      chat({ reasoning_text: "hm" }),
      chat({ content: [{ type: "thinking", thinking: text }] }),
      chat({ reasoning_details: text }),
      chat({ reasoning_details: [{ type: "reasoning.summary", summary: "hm" }] }),
      { output: [{ type: "reasoning", content: text }] },
      { output: [{ type: "reasoning", summary: text }] },
      { content: [{ type: "thinking", thinking: "hm" }] }
    ]
    for (const answer of answers) assert.strictEqual(reasoningText(answer), "hm", JSON.stringify(answer))
    assert.isNull(reasoningText(chat({ content: "hm", reasoning_details: [] })))
    assert.isNull(reasoningText({ output: [{ type: "message", content: text }] }))
  })
})
