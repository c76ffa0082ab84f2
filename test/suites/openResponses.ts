/**
 * What a server of the Open Responses specification (https://www.openresponses.org) must do, as requests and checks of the
 * kind that its compliance tests make: the shape of every answer and event, and what each request must lead to.
 */
import { assert, it } from "@effect/vitest"

type Json = Readonly<Record<string, unknown>>

/** A field's type; `?` at its end allows null. */
const fields: Readonly<Record<string, string>> = {
  id: "string",
  object: "string",
  created_at: "number",
  completed_at: "number?",
  status: "string",
  incomplete_details: "object?",
  model: "string",
  previous_response_id: "string?",
  instructions: "string?",
  output: "array",
  error: "object?",
  tools: "array",
  truncation: "string",
  parallel_tool_calls: "boolean",
  text: "object",
  top_p: "number",
  presence_penalty: "number",
  frequency_penalty: "number",
  top_logprobs: "number",
  temperature: "number",
  reasoning: "object?",
  user: "string?",
  usage: "object?",
  max_output_tokens: "number?",
  max_tool_calls: "number?",
  store: "boolean",
  background: "boolean",
  service_tier: "string",
  metadata: "object",
  safety_identifier: "string?",
  prompt_cache_key: "string?"
}

const typeOf = (value: unknown) => value === null ? "null" : Array.isArray(value) ? "array" : typeof value

const checkFields = (value: Json, expected: Readonly<Record<string, string>>, what: string): void => {
  for (const [key, type] of Object.entries(expected)) {
    const found = typeOf(value[key])
    if (type.endsWith("?") && found === "null") continue
    assert.strictEqual(found, type.replace("?", ""), `${what}.${key}`)
  }
}

const checkPart = (part: Json): void => {
  assert.strictEqual(part["type"], "output_text")
  checkFields(part, { text: "string", annotations: "array", logprobs: "array" }, "part")
}

const checkItem = (item: Json): void => {
  checkFields(item, { id: "string", type: "string", status: "string" }, "item")
  if (item["type"] === "function_call") {
    checkFields(item, { call_id: "string", name: "string", arguments: "string" }, "function_call")
    return
  }
  assert.strictEqual(item["type"], "message")
  assert.strictEqual(item["role"], "assistant")
  for (const part of item["content"] as ReadonlyArray<Json>) checkPart(part)
}

const checkResponse = (response: Json): void => {
  checkFields(response, fields, "response")
  assert.strictEqual(response["object"], "response")
  for (const item of response["output"] as ReadonlyArray<Json>) checkItem(item)
  for (const tool of response["tools"] as ReadonlyArray<Json>) {
    checkFields(tool, { type: "string", name: "string", description: "string?", parameters: "object?" }, "tool")
    assert.property(tool, "strict")
  }
  if (response["usage"] !== null) {
    const usage = response["usage"] as Json
    checkFields(usage, { input_tokens: "number", output_tokens: "number", total_tokens: "number" }, "usage")
    checkFields(usage["input_tokens_details"] as Json, { cached_tokens: "number" }, "usage.input_tokens_details")
    checkFields(usage["output_tokens_details"] as Json, { reasoning_tokens: "number" }, "usage.output_tokens_details")
  }
}

const place = { item_id: "string", output_index: "number" }
const part = { ...place, content_index: "number" }

/** What each event holds beside its type and number. */
const eventFields: Readonly<Record<string, Readonly<Record<string, string>>>> = {
  "response.created": { response: "object" },
  "response.in_progress": { response: "object" },
  "response.completed": { response: "object" },
  "response.incomplete": { response: "object" },
  "response.output_item.added": { output_index: "number", item: "object" },
  "response.output_item.done": { output_index: "number", item: "object" },
  "response.content_part.added": { ...part, part: "object" },
  "response.content_part.done": { ...part, part: "object" },
  "response.output_text.delta": { ...part, delta: "string", logprobs: "array" },
  "response.output_text.done": { ...part, text: "string", logprobs: "array" },
  "response.function_call_arguments.delta": { ...place, delta: "string" },
  "response.function_call_arguments.done": { ...place, arguments: "string" }
}

const checkEvent = (event: Json, number: number): void => {
  const type = String(event["type"])
  assert.property(eventFields, type, "a known event")
  assert.strictEqual(event["sequence_number"], number)
  checkFields(event, eventFields[type]!, type)
  if (event["response"] !== undefined) checkResponse(event["response"] as Json)
  if (event["item"] !== undefined) checkItem(event["item"] as Json)
  if (event["part"] !== undefined) checkPart(event["part"] as Json)
}

const eventsIn = (stream: string): ReadonlyArray<Json> =>
  stream.split("\n\n").filter((text) => text !== "").map((text) => {
    const [name, data] = text.split("\n")
    const event = JSON.parse(data!.replace(/^data: /, "")) as Json
    assert.strictEqual(name, `event: ${String(event["type"])}`)
    return event
  })

const user = (content: unknown) => ({ type: "message", role: "user", content })

const weatherTool = {
  type: "function",
  name: "get_weather",
  description: "Get the current weather for a location",
  parameters: { type: "object", properties: { location: { type: "string" } }, required: ["location"] }
}

const pixel = "data:image/png;base64," +
  "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=="

/** Every check, as tests of the server at the base URL that `base` gives (ending in `/v1`). */
export const openResponsesSuite = (base: () => string, model: string): void => {
  const post = (body: object) =>
    fetch(`${base()}/responses`, {
      method: "POST",
      headers: { "content-type": "application/json", authorization: "Bearer unused" },
      body: JSON.stringify({ model, ...body })
    })

  const answered = async (body: object): Promise<Json> => {
    const response = await post({ ...body, stream: false })
    assert.strictEqual(response.status, 200)
    const answer = await response.json() as Json
    checkResponse(answer)
    assert.strictEqual(answer["status"], "completed")
    assert.isNotEmpty(answer["output"])
    return answer
  }

  /** The final answer and the types of the events, each once where it repeats. */
  const streamed = async (body: object) => {
    const response = await post({ ...body, stream: true })
    assert.match(response.headers.get("content-type")!, /^text\/event-stream/)
    const events = eventsIn(await response.text())
    for (const [number, event] of events.entries()) checkEvent(event, number)
    const types = events.map((event) => String(event["type"]))
    return {
      events,
      types: types.filter((type, n) => type !== types[n - 1]),
      answer: events.at(-1)!["response"] as Json
    }
  }

  const itemTypes = (answer: Json) => (answer["output"] as ReadonlyArray<Json>).map((item) => item["type"])

  it("answers a simple message", async () => {
    const answer = await answered({ input: [user("Say hello in exactly 3 words.")] })
    assert.deepStrictEqual(itemTypes(answer), ["message"])
  })

  it("answers a plain text, and a system message", async () => {
    const system = { type: "message", role: "system", content: "You are a pirate." }
    const answers = [await answered({ input: "Say hello." }), await answered({ input: [system, user("Say hello.")] })]
    assert.deepStrictEqual(answers.map(itemTypes), [["message"], ["message"]])
  })

  it("streams the full sequence of events, and the last holds what the whole answer is", async () => {
    const body = { input: [user("Count from 1 to 5.")] }
    const { answer, events, types } = await streamed(body)
    assert.deepStrictEqual(types, [
      "response.created",
      "response.in_progress",
      "response.output_item.added",
      "response.content_part.added",
      "response.output_text.delta",
      "response.output_text.done",
      "response.content_part.done",
      "response.output_item.done",
      "response.completed"
    ])
    assert.deepStrictEqual(answer, await answered(body))
    const said = events.flatMap((event) => event["type"] === "response.output_text.delta" ? [event["delta"]] : [])
    const [message] = answer["output"] as ReadonlyArray<{ content: ReadonlyArray<Json> }>
    assert.strictEqual(said.join(""), message!.content[0]!["text"])
  })

  it("calls a function tool, whole and streamed", async () => {
    const body = { input: [user("What's the weather like in San Francisco?")], tools: [weatherTool] }
    const whole = await answered(body)
    const [call] = whole["output"] as ReadonlyArray<Json>
    assert.deepInclude(call!, { type: "function_call", name: "get_weather" })
    assert.deepStrictEqual(JSON.parse(String(call!["arguments"])), { location: "San Francisco" })
    const { answer, types } = await streamed(body)
    assert.deepStrictEqual(types, [
      "response.created",
      "response.in_progress",
      "response.output_item.added",
      "response.function_call_arguments.delta",
      "response.function_call_arguments.done",
      "response.output_item.done",
      "response.completed"
    ])
    assert.deepStrictEqual(answer, whole)
    const result = { type: "function_call_output", call_id: call!["call_id"], output: "foggy" }
    const after = await answered({ ...body, input: [...body.input, call, result] })
    assert.include(JSON.stringify(after["output"]), "foggy")
  })

  it("keeps to tool_choice", async () => {
    const body = { input: [user("Say hello.")], tools: [weatherTool] }
    assert.deepStrictEqual(itemTypes(await answered({ ...body, tool_choice: "required" })), ["function_call"])
    assert.deepStrictEqual(itemTypes(await answered(body)), ["message"])
    const weather = { input: [user("What's the weather?")], tools: [weatherTool], tool_choice: "none" }
    assert.deepStrictEqual(itemTypes(await answered(weather)), ["message"])
  })

  it("takes an image beside a text", async () => {
    const content = [{ type: "input_text", text: "What is in this image?" }, { type: "input_image", image_url: pixel }]
    assert.deepStrictEqual(itemTypes(await answered({ input: [user(content)] })), ["message"])
  })

  it("takes a conversation of several turns, in one request or continued by id", async () => {
    const first = await answered({ input: [user("My name is Alice.")] })
    const said = { type: "message", role: "assistant", content: "Hello Alice!" }
    await answered({ input: [user("My name is Alice."), said, user("What is my name?")] })
    const next = await answered({ input: [user("What is my name?")], previous_response_id: first["id"] })
    assert.strictEqual(next["previous_response_id"], first["id"])
    assert.isAbove((next["usage"] as Json)["input_tokens"] as number, 10)
  })

  it("repeats the settings of the request", async () => {
    const settings = { instructions: "Be brief.", metadata: { a: "b" }, temperature: 0.5, store: false, user: "u" }
    assert.deepInclude(await answered({ input: "Say hello.", ...settings }), settings)
  })

  it("says when an answer was cut to its longest length", async () => {
    const { answer, types } = await streamed({ input: "What is 2 + 2?", max_output_tokens: 2 })
    assert.strictEqual(types.at(-1), "response.incomplete")
    assert.deepInclude(answer, { status: "incomplete", incomplete_details: { reason: "max_output_tokens" } })
  })

  it("refuses a model that it has not, an answer that it does not know and a request without input", async () => {
    const errors = [
      await post({ model: "none", input: "Say hello." }),
      await post({ input: "Say hello.", previous_response_id: "resp_none" }),
      await post({})
    ]
    assert.deepStrictEqual(errors.map(({ status }) => status), [404, 400, 400])
    for (const response of errors) {
      const { error } = await response.json() as { error: Json }
      checkFields(error, { message: "string", type: "string", param: "string?", code: "string?" }, "error")
    }
  })
}
