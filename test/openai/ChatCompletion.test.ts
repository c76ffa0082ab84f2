import { assert, describe, it } from "@effect/vitest"
import * as fc from "effect/FastCheck"
import { assembleMessage } from "../../src/openai/AnthropicStream.js"
import { assembleChat, finishReasons, usageOf } from "../../src/openai/ChatCompletion.js"
import { at } from "../../src/openai/Json.js"
import { assembleResponse } from "../../src/openai/ResponsesStream.js"

const sse = (chunks: ReadonlyArray<unknown>): Buffer =>
  Buffer.from([...chunks.map((chunk) => `data: ${JSON.stringify(chunk)}\n\n`), "data: [DONE]\n\n"].join(""))

/** As plain JSON: drafts have no prototype, which a deep comparison would notice. */
const plain = (value: unknown): unknown => JSON.parse(JSON.stringify(value)) as unknown
const assembled = (chunks: ReadonlyArray<unknown>): unknown => plain(assembleChat(sse(chunks)).object)

const text = fc.string({ unit: "grapheme", maxLength: 30 })
const name = fc.string({ minLength: 1, maxLength: 8 })

const completion = fc.record({
  id: name,
  object: fc.constant("chat.completion"),
  created: fc.integer({ min: 1, max: 2_000_000_000 }),
  model: name,
  service_tier: fc.constant("default"),
  choices: fc.array(
    fc.record({
      message: fc.record({
        role: fc.constant("assistant"),
        content: fc.oneof(text, fc.constant(null)),
        reasoning_content: text,
        tool_calls: fc.array(
          fc.record({
            id: name,
            type: fc.constant("function"),
            function: fc.record({ name, arguments: text })
          }),
          { minLength: 1, maxLength: 3 }
        )
      }, { requiredKeys: ["role", "content"] }),
      logprobs: fc.record({ content: fc.array(fc.record({ token: name, logprob: fc.integer() }), { minLength: 1 }) }),
      finish_reason: fc.constantFrom("stop", "tool_calls", "length")
    }, { requiredKeys: ["message", "finish_reason"] }),
    { minLength: 1, maxLength: 3 }
  ),
  usage: fc.record({ prompt_tokens: fc.nat(), completion_tokens: fc.nat() })
}, { requiredKeys: ["id", "object", "created", "model", "choices"] })

const call = (id: string, extra: object) => ({ id, function: { name: `f${id}`, arguments: "{}" }, ...extra })

const textChunk = (text: string, finish_reason: string | null) => ({
  object: "text_completion",
  choices: [{ text, finish_reason }]
})

const event = (payload: { readonly type: string; readonly [key: string]: unknown }) => ({
  event: payload.type,
  data: JSON.stringify(payload)
})

type Completion = typeof completion extends fc.Arbitrary<infer T> ? T : never

const pieces = (value: string, size: number): ReadonlyArray<string> => {
  const parts = []
  for (let place = 0; place < value.length; place += size) parts.push(value.slice(place, place + size))
  return parts
}

/** A completion as a server would stream it: role first, pieces of the given size, the finish, then the usage. */
const split = ({ choices, usage, ...top }: Completion, size: number): ReadonlyArray<unknown> => {
  const chunk = (choice: object) => ({ ...top, object: "chat.completion.chunk", obfuscation: "xx", choices: [choice] })
  const ofChoice = choices.map(({ finish_reason, logprobs, message }, index) => {
    const { content, reasoning_content: reasoning, role, tool_calls: calls } = message
    const delta = (delta: object) => chunk({ index, delta, logprobs: null, finish_reason: null })
    return [
      delta({ role, content: content === null ? null : "" }),
      ...(reasoning === undefined ? [] : [delta({ reasoning_content: "" })]),
      ...pieces(reasoning ?? "", size).map((piece) => delta({ reasoning_content: piece })),
      ...pieces(content ?? "", size).map((piece) => delta({ content: piece })),
      ...(calls ?? []).flatMap(({ function: { arguments: text, name }, id, type }, index) => [
        delta({ tool_calls: [{ index, id, type, function: { name, arguments: "" } }] }),
        ...pieces(text, size).map((piece) => delta({ tool_calls: [{ index, function: { arguments: piece } }] }))
      ]),
      ...(logprobs?.content ?? []).map((entry) => chunk({ index, delta: {}, logprobs: { content: [entry] } })),
      chunk({ index, delta: {}, finish_reason })
    ]
  })
  // The choices of one answer come interleaved.
  const longest = Math.max(...ofChoice.map((chunks) => chunks.length))
  const interleaved = Array.from({ length: longest }, (_, n) => ofChoice.flatMap((chunks) => chunks.slice(n, n + 1)))
  return [
    ...interleaved.flat(),
    ...(usage === undefined ? [] : [{ ...top, object: "chat.completion.chunk", choices: [], usage }])
  ]
}

describe("assembleChat", () => {
  it.prop(
    "gives back the completion that was streamed",
    [completion, fc.integer({ min: 1, max: 7 })],
    ([known, size]) => {
      const expected = {
        ...known,
        choices: known.choices.map((choice, index) => ({ logprobs: null, ...choice, index }))
      }
      assert.deepStrictEqual(assembled(split(known, size)), plain(expected))
    },
    { fastCheck: { numRuns: 300 } }
  )

  it("takes id and model from the first chunk that names them, and survives chunks without a delta (Azure)", () => {
    assert.deepStrictEqual(
      assembled([
        { id: "", model: "", object: "", choices: [], prompt_filter_results: [{ prompt_index: 0 }] },
        { id: "a", model: "gpt", object: "chat.completion.chunk", choices: [{ index: 0, delta: { content: "Hi" } }] },
        {
          id: "a",
          model: "gpt",
          object: "",
          choices: [{ index: 0, finish_reason: null, content_filter_offsets: { x: 1 } }]
        },
        { id: "a", model: "gpt", choices: [{ index: 0, finish_reason: "stop", delta: {} }] }
      ]),
      {
        id: "a",
        model: "gpt",
        object: "chat.completion",
        prompt_filter_results: [{ prompt_index: 0 }],
        choices: [{ index: 0, message: { content: "Hi" }, finish_reason: "stop", content_filter_offsets: { x: 1 } }]
      }
    )
  })

  it("tells tool calls without an index apart by their ids (Gemini), and keeps what it does not know", () => {
    const object = assembleChat(sse([
      { choices: [{ delta: { tool_calls: [call("1", { extra_content: { google: { thought_signature: "s" } } })] } }] },
      { choices: [{ delta: { tool_calls: [call("2", {})] } }] }
    ])).object
    assert.deepStrictEqual(plain(object?.["choices"]), [{
      index: 0,
      message: {
        content: null,
        tool_calls: [call("1", { extra_content: { google: { thought_signature: "s" } } }), call("2", {})]
      },
      finish_reason: null
    }])
  })

  it("puts tool calls in the order of their numbers, whichever began first", () => {
    const piece = (...calls: ReadonlyArray<object>) => ({ choices: [{ index: 0, delta: { tool_calls: calls } }] })
    const { object } = assembleChat(sse([
      piece(call("b", { index: 1 })),
      piece(call("a", { index: 0 }), { index: 1, function: { arguments: "2" } }),
      piece({ index: 0, function: { arguments: "1" } })
    ]))
    const calls = object!["choices"] as ReadonlyArray<
      { readonly message: { readonly tool_calls: ReadonlyArray<object> } }
    >
    assert.deepStrictEqual(
      plain(calls[0]!.message.tool_calls),
      [call("a", {}), call("b", {})].map((known, place) => ({
        ...known,
        function: { ...known.function, arguments: `${known.function.arguments}${place + 1}` }
      }))
    )
  })

  it("takes a name that is said again, without an id, for the same call while its arguments are not whole", () => {
    const piece = (text: string) => ({
      choices: [{ delta: { tool_calls: [{ index: 0, function: { name: "f", arguments: text } }] } }]
    })
    assert.deepStrictEqual(plain(assembleChat(sse(["", "{\"a\":", "1}", ""].map(piece))).object?.["choices"]), [{
      index: 0,
      message: { content: null, tool_calls: [{ function: { name: "f", arguments: "{\"a\":1}" } }] },
      finish_reason: null
    }])
  })

  it("appends lists, keeps the last of unknown fields, and never lets null undo a value", () => {
    const object = assembleChat(sse([
      { citations: ["a"], choices: [{ delta: { reasoning_details: [1], mood: "x", content: "a" }, token_ids: [1] }] },
      {
        citations: ["a", "b"],
        choices: [{ delta: { reasoning_details: [2], mood: "y", content: "b" }, token_ids: [2, 3] }]
      },
      {
        citations: null,
        choices: [{ delta: { mood: null, content: null }, finish_reason: "stop", usage: { prompt_tokens: 3 } }]
      }
    ])).object
    assert.deepStrictEqual(plain(object), {
      object: "chat.completion",
      citations: ["a", "b"],
      choices: [{
        index: 0,
        message: { reasoning_details: [1, 2], mood: "y", content: "ab" },
        finish_reason: "stop",
        token_ids: [1, 2, 3]
      }],
      usage: { prompt_tokens: 3 }
    })
  })

  it("rebuilds a text completion", () => {
    assert.deepStrictEqual(assembled([textChunk("a", null), textChunk("b", "stop")]), {
      object: "text_completion",
      choices: [{ index: 0, text: "ab", finish_reason: "stop" }]
    })
  })

  it("reports an error that came after the status, beside what had arrived", () => {
    const { error, object } = assembleChat(sse([
      { id: "a", choices: [{ index: 0, delta: { content: "Hel" } }] },
      { error: { message: "Provider disconnected", code: 502 } }
    ]))
    assert.deepStrictEqual(error, { message: "Provider disconnected", type: "502" })
    assert.strictEqual(at(at(object, "choices", 0), "message", "content"), "Hel")
    assert.deepStrictEqual(finishReasons(object), [])
  })

  it("takes keys such as __proto__ as keys like any other", () => {
    const stream = Buffer.from(
      "data: {\"__proto__\":{\"polluted\":1},\"choices\":[{\"__proto__\":{\"polluted\":1},\"delta\":{\"__proto__\":{\"polluted\":1}," +
        "\"constructor\":{\"prototype\":{\"polluted\":1}},\"tool_calls\":[{\"__proto__\":{\"polluted\":1}}]}}]}\n\n"
    )
    const { object } = assembleChat(stream)
    assert.isTrue(JSON.stringify(object).includes("__proto__"))
    assert.isUndefined((object as { polluted?: unknown }).polluted)
    assert.isUndefined(({} as { polluted?: unknown }).polluted)
  })

  it.prop("survives anything", [fc.array(fc.json()), fc.uint8Array()], ([chunks, bytes]) => {
    assembleChat(Buffer.concat([Buffer.from(chunks.map((chunk) => `data: ${chunk}\n\n`).join("")), bytes]))
    assembleResponse(bytes)
    assembleMessage(chunks.map((data) => ({ data })))
  })
})

describe("usageOf", () => {
  const none = {
    inputTokens: null,
    outputTokens: null,
    cachedInputTokens: null,
    cacheWriteTokens: null,
    reasoningTokens: null
  }

  it("reads chat completions, Responses and Anthropic messages", () => {
    assert.deepStrictEqual(usageOf(undefined), none)
    assert.deepStrictEqual(
      usageOf({
        usage: {
          prompt_tokens: 10,
          completion_tokens: 5,
          prompt_tokens_details: { cached_tokens: 4 },
          completion_tokens_details: { reasoning_tokens: 2 }
        }
      }),
      { ...none, inputTokens: 10, outputTokens: 5, cachedInputTokens: 4, reasoningTokens: 2 }
    )
    assert.deepStrictEqual(
      usageOf({
        object: "response",
        usage: { input_tokens: 10, output_tokens: 5, input_tokens_details: { cached_tokens: 4, cache_write_tokens: 1 } }
      }),
      { ...none, inputTokens: 10, outputTokens: 5, cachedInputTokens: 4, cacheWriteTokens: 1 }
    )
    assert.deepStrictEqual(
      usageOf({
        type: "message",
        usage: { input_tokens: 10, output_tokens: 5, cache_read_input_tokens: 100, cache_creation_input_tokens: 7 }
      }),
      { ...none, inputTokens: 117, outputTokens: 5, cachedInputTokens: 100, cacheWriteTokens: 7 }
    )
  })

  it("counts what Anthropic's compactions used, which stands beside the sums alone", () => {
    const compaction = { type: "compaction", input_tokens: 3000, output_tokens: 400, cache_read_input_tokens: 20 }
    const message = { type: "message", input_tokens: 10, output_tokens: 5, cache_read_input_tokens: 100 }
    const { type: _, ...sums } = message
    const usage = { ...sums, iterations: [compaction, message, { ...compaction, input_tokens: -1 }, null] }
    assert.deepStrictEqual(
      usageOf({ type: "message", usage }),
      { ...none, inputTokens: 3150, outputTokens: 805, cachedInputTokens: 140 }
    )
    assert.deepStrictEqual(
      usageOf({ type: "message", usage: { ...usage, iterations: [message] } }),
      { ...none, inputTokens: 110, outputTokens: 5, cachedInputTokens: 100 }
    )
    assert.deepStrictEqual(
      usageOf({ object: "response", usage: { ...usage, cache_read_input_tokens: undefined } }),
      { ...none, inputTokens: 10, outputTokens: 5 }
    )
  })
})

describe("the other streams", () => {
  const message = { type: "message", content: [{ type: "output_text", text: "Hi" }] }

  it("takes a response from its terminal event", () => {
    const response = { id: "r", object: "response", status: "completed", output: [message] }
    const { error, object } = assembleResponse([
      event({ type: "response.created", response: { id: "r" } }),
      event({ type: "response.completed", response })
    ])
    assert.strictEqual(error, null)
    assert.deepStrictEqual(plain(object), response)
    assert.deepStrictEqual(finishReasons(object), ["completed"])
  })

  it("keeps the finished items of a response that was cut, and says why one failed", () => {
    const cut = assembleResponse([
      event({ type: "response.created", response: { id: "r", status: "in_progress" } }),
      event({ type: "response.output_item.done", output_index: 0, item: message })
    ])
    assert.strictEqual(at(at(at(cut.object, "output", 0), "content", 0), "text"), "Hi")
    const failed = assembleResponse([
      event({ type: "response.failed", response: { id: "r", error: { message: "overloaded" } } })
    ])
    assert.strictEqual(failed.error?.message, "overloaded")
  })

  it("has the commands of a shell, what they printed, and how far a call had come, of a response that was cut", () => {
    const shell = { type: "shell_call", status: "in_progress", action: { commands: [], timeout_ms: 9 } }
    const search = { type: "web_search_call", status: "in_progress" }
    const printed = { stdout: "a.md\n", stderr: "", outcome: { type: "exit", exit_code: 0 } }
    const { object } = assembleResponse([
      { type: "response.output_item.added", output_index: 0, item: shell },
      { type: "response.shell_call_command.added", output_index: 0, command_index: 0, command: "" },
      { type: "response.shell_call_command.delta", output_index: 0, command_index: 0, delta: "l" },
      { type: "response.shell_call_command.delta", output_index: 0, command_index: 0, delta: "s" },
      { type: "response.shell_call_command.done", output_index: 0, command_index: 0, command: "ls" },
      { type: "response.shell_call_command.added", output_index: 0, command_index: 1, command: "" },
      { type: "response.output_item.added", output_index: 1, item: { type: "shell_call_output", output: [] } },
      { type: "response.shell_call_output_content.delta", output_index: 1, command_index: 0, delta: { stdout: "a" } },
      { type: "response.shell_call_output_content.done", output_index: 1, command_index: 0, output: [printed] },
      { type: "response.shell_call_output_content.delta", output_index: 1, command_index: 1, delta: { stderr: "no" } },
      { type: "response.output_item.added", output_index: 2, item: search },
      { type: "response.web_search_call.searching", output_index: 2, item_id: "ws" },
      { type: "response.web_search_call.anything", output_index: 2, item_id: "ws" }
    ].map(event))
    assert.deepStrictEqual(plain(object?.["output"]), [
      { ...shell, action: { commands: ["ls", ""], timeout_ms: 9 } },
      { type: "shell_call_output", output: [printed, { stderr: "no" }] },
      { ...search, status: "searching" }
    ])
  })

  it("puts the events of a response without its end in the order of their numbers", () => {
    const delta = (sequence_number: number, text: string) =>
      event({ type: "response.output_text.delta", sequence_number, output_index: 0, content_index: 0, delta: text })
    const created = { type: "response.created", sequence_number: 0, response: { id: "r", status: "in_progress" } }
    const added = { type: "response.output_item.added", sequence_number: 1, output_index: 0, item: { type: "message" } }
    const item = (text: string) => ({ type: "message", content: [{ type: "output_text", text }] })
    const events = [delta(4, "re"), event(created), delta(2, "He"), event(added), delta(3, "llo the")]
    assert.deepStrictEqual(plain(assembleResponse(events).object), {
      id: "r",
      status: "in_progress",
      output: [item("Hello there")]
    })
    const doubled = [delta(2, "a"), delta(2, "b"), event({ ...added, sequence_number: undefined }), delta(1, "c")]
    assert.deepStrictEqual(plain(assembleResponse(doubled).object?.["output"]), [item("cab")])
  })

  it("puts an Anthropic message together", () => {
    const { object } = assembleMessage([
      { type: "message_start", message: { id: "m", type: "message", usage: { input_tokens: 3, output_tokens: 1 } } },
      { type: "content_block_start", index: 0, content_block: { type: "text", text: "" } },
      { type: "ping" },
      { type: "content_block_delta", index: 0, delta: { type: "text_delta", text: "Hi " } },
      { type: "content_block_delta", index: 0, delta: { type: "text_delta", text: "there" } },
      { type: "content_block_start", index: 1, content_block: { type: "tool_use", id: "t", name: "f", input: {} } },
      { type: "content_block_delta", index: 1, delta: { type: "input_json_delta", partial_json: "{\"a\":" } },
      { type: "content_block_delta", index: 1, delta: { type: "input_json_delta", partial_json: "1}" } },
      { type: "message_delta", delta: { stop_reason: "tool_use" }, usage: { output_tokens: 9 } },
      { type: "message_stop" }
    ].map(event))
    assert.deepStrictEqual(plain(object), {
      id: "m",
      type: "message",
      usage: { input_tokens: 3, output_tokens: 9 },
      content: [{ type: "text", text: "Hi there" }, { type: "tool_use", id: "t", name: "f", input: { a: 1 } }],
      stop_reason: "tool_use"
    })
  })
})
