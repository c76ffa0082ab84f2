import { assert, describe, it } from "@effect/vitest"
import { OpenAI, toFile } from "openai"
import { WebSocket } from "undici"
import { afterAll, beforeAll } from "vitest"
import { assembleMessage } from "../../src/openai/AnthropicStream.js"
import { type RunningModel, type ServedAnswer, startSimulatedModel } from "../../src/testing/index.js"
import { openResponsesSuite } from "../suites/openResponses.js"

const served: Array<ServedAnswer> = []
let running: RunningModel
let client: OpenAI

beforeAll(async () => {
  running = await startSimulatedModel({ log: (answer) => served.push(answer) })
  client = new OpenAI({ baseURL: running.url, apiKey: "unused", maxRetries: 0 })
})

afterAll(() => running.close())

const model = "sim/arithmetic"

const postMessages = (body: object, path = "/messages") =>
  fetch(`${running.url}${path}`, { method: "POST", body: JSON.stringify({ model, max_tokens: 100, ...body }) })

describe("the simulated Responses API", () => {
  openResponsesSuite(() => running.url, model)

  it("keeps answers to be read and deleted, unless it is told not to", async () => {
    const kept = await client.responses.create({ model, input: "What is 3 + 4?" })
    assert.include(kept.output_text, "7")
    assert.strictEqual((await client.responses.retrieve(kept.id)).id, kept.id)
    await client.responses.delete(kept.id)
    const gone = await client.responses.retrieve(kept.id).catch((error: { status: number }) => error.status)
    const notKept = await client.responses.create({ model, input: "What is 3 + 5?", store: false })
    const none = await client.responses.retrieve(notKept.id).catch((error: { status: number }) => error.status)
    assert.deepStrictEqual([gone, none], [404, 404])
  })

  it("counts the tokens of an input as it does when it answers", async () => {
    const { usage } = await client.responses.create({ model, input: "What is 3 + 4?" })
    const { input_tokens: counted } = await client.responses.inputTokens.count({ model, input: "What is 3 + 4?" })
    assert.strictEqual(counted, usage!.input_tokens)
  })
})

describe("the simulated Responses API over a WebSocket", () => {
  /** What is heard on one connection up to the last message; `asked` is sent once it is open. */
  const heard = (asked: ReadonlyArray<string>, isLast: (message: Heard) => boolean) =>
    new Promise<ReadonlyArray<Heard>>((resolve, reject) => {
      const socket = new WebSocket(`${running.url.replace("http", "ws")}/responses`)
      const messages: Array<Heard> = []
      socket.addEventListener("open", () => asked.forEach((message) => socket.send(message)))
      socket.addEventListener("error", () => reject(new Error("the connection failed")))
      socket.addEventListener("close", () => resolve(messages))
      socket.addEventListener("message", ({ data }) => {
        messages.push(JSON.parse(String(data)) as Heard)
        if (isLast(messages.at(-1)!)) socket.close()
      })
    })
  interface Heard {
    readonly type: string
    readonly stream_id?: string
    readonly status?: number
    readonly error?: { readonly code: string | null }
  }

  it("answers what a stream does, event by event, in the order it was asked", async () => {
    const streamed: Array<string> = []
    const events = await client.responses.create({ model, input: "What is 3 + 4?", stream: true })
    for await (const event of events) streamed.push(JSON.stringify(event))
    const messages = await heard([
      JSON.stringify({ type: "response.create", model, input: "What is 3 + 4?" }),
      JSON.stringify({ type: "response.create", model, input: "x".repeat(70_000), stream_id: "b" })
    ], ({ stream_id, type }) => stream_id === "b" && type === "response.completed")
    const first = messages.filter(({ stream_id }) => stream_id === undefined)
    assert.deepStrictEqual(first.map((message) => JSON.stringify(message)), streamed)
    assert.strictEqual(messages.findIndex(({ stream_id }) => stream_id === "b"), first.length)
  })

  it("says what it refuses without closing", async () => {
    const messages = await heard([
      "no JSON",
      JSON.stringify({ type: "response.create", model: "none", input: "a" }),
      JSON.stringify({ type: "response.create", model, input: "a", previous_response_id: "none" }),
      JSON.stringify({ type: "response.create", model, input: "What is 3 + 4?" })
    ], ({ type }) => type === "response.completed")
    const errors = messages.filter(({ type }) => type === "error")
    assert.deepStrictEqual(errors.map(({ error, status }) => [status, error?.code ?? null]), [
      [400, null],
      [404, "model_not_found"],
      [400, "previous_response_not_found"]
    ])
  })
})

describe("the simulated chat's tools", () => {
  const calculator = {
    type: "function" as const,
    function: {
      name: "addNumbers",
      parameters: {
        type: "object",
        properties: {
          first: { type: "number" },
          unit: { enum: ["metre", "foot"] },
          exact: { type: "boolean" },
          note: { type: "string" },
          optional: { type: "string" }
        },
        required: ["first", "unit", "exact", "note"]
      }
    }
  }
  const messages = [{ role: "user" as const, content: "Do the numbers 12 and 30 fit `this note`?" }]

  it("are called with arguments that their schema allows, whole and streamed alike", async () => {
    const whole = await client.chat.completions.create({ model, messages, tools: [calculator] })
    const [choice] = whole.choices
    const [call] = choice!.message.tool_calls!
    assert.deepInclude(choice!, { finish_reason: "tool_calls" })
    assert.isTrue(call!.type === "function" && call!.function.name === "addNumbers")
    assert.deepStrictEqual(JSON.parse(call!.type === "function" ? call!.function.arguments : ""), {
      first: 12,
      unit: "metre",
      exact: false,
      note: "this note"
    })
    const stream = client.chat.completions.stream({
      model,
      messages,
      tools: [calculator],
      stream_options: { include_usage: true }
    })
    const streamed = await stream.finalChatCompletion()
    const plain = (value: unknown) => JSON.parse(JSON.stringify(value)) as { arguments: string }
    const [streamedCall] = streamed.choices[0]!.message.tool_calls!
    const functionOf = (of: typeof call) => of?.type === "function" ? of.function : undefined
    assert.strictEqual(streamedCall!.id, call!.id)
    assert.strictEqual(plain(functionOf(streamedCall)).arguments, plain(functionOf(call)).arguments)
    assert.deepStrictEqual(streamed.usage, whole.usage)
  })

  it("are called once per turn: their result ends it", async () => {
    const { choices: [first] } = await client.chat.completions.create({ model, messages, tools: [calculator] })
    const call = first!.message
    const result = { role: "tool" as const, tool_call_id: call.tool_calls![0]!.id, content: "42" }
    const after = await client.chat.completions.create({
      model,
      messages: [...messages, call, result],
      tools: [calculator]
    })
    assert.strictEqual(after.choices[0]!.message.content, "The tool answered: 42")
  })

  it("are left alone when nothing asks for them", async () => {
    const request = { model, tools: [calculator], messages: [{ role: "user" as const, content: "What is 1 + 1?" }] }
    const plain = await client.chat.completions.create(request)
    assert.strictEqual(plain.choices[0]!.finish_reason, "stop")
    const context = "You may use these numbers.\nWhat is 1 + 1?"
    const reminded = await client.chat.completions.create({
      ...request,
      messages: [{ role: "user", content: context }]
    })
    assert.strictEqual(reminded.choices[0]!.finish_reason, "stop")
    const forced = await client.chat.completions.create({
      ...request,
      tool_choice: { type: "function", function: { name: "addNumbers" } }
    })
    assert.strictEqual(forced.choices[0]!.finish_reason, "tool_calls")
    served.length = 0
    await client.chat.completions.create({ ...request, tool_choice: "required" })
    assert.deepStrictEqual(served.map(({ answer }) => answer), [""])
  })
})

describe("the simulated Messages API", () => {
  const messages = [{ role: "user", content: [{ type: "text", text: "What is 6 * 7?" }] }]
  const tools = [{ name: "read_file", input_schema: { type: "object", properties: {}, required: [] } }]

  it("answers, and a stream amounts to the same answer", async () => {
    const whole = await (await postMessages({ messages, system: "Answer with only the number." })).json() as object
    assert.deepInclude(whole, { type: "message", content: [{ type: "text", text: "42" }], stop_reason: "end_turn" })
    for (const body of [{ messages }, { messages: [{ role: "user", content: "Please read it" }], tools }]) {
      const once = await (await postMessages(body)).json() as object
      const text = await (await postMessages({ ...body, stream: true })).text()
      assert.isTrue(text.endsWith("event: message_stop\ndata: {\"type\":\"message_stop\"}\n\n"))
      const { object } = assembleMessage(Buffer.from(text))
      assert.deepStrictEqual(JSON.parse(JSON.stringify(object)), once)
    }
  })

  it("calls a tool, takes its result, and counts tokens", async () => {
    const asked = [{ role: "user", content: "Please read the file" }]
    const call = await (await postMessages({ messages: asked, tools })).json() as {
      stop_reason: string
      content: [{ id: string; name: string }]
      usage: { input_tokens: number }
    }
    assert.deepStrictEqual([call.stop_reason, call.content[0].name], ["tool_use", "read_file"])
    const result = { type: "tool_result", tool_use_id: call.content[0].id, content: [{ type: "text", text: "hi" }] }
    const more = [{ role: "assistant", content: call.content }, { role: "user", content: [result] }]
    const after = await (await postMessages({ messages: [...asked, ...more], tools })).json() as object
    assert.deepInclude(after, { content: [{ type: "text", text: "The tool answered: hi" }] })
    const counted = await (await postMessages({ messages: asked, tools }, "/messages/count_tokens")).json()
    assert.deepStrictEqual(counted, { input_tokens: call.usage.input_tokens })
    assert.strictEqual((await postMessages({})).status, 400)
  })
})

describe("simulated embeddings", () => {
  it("are unit vectors, alike for texts that are, and the same in base64", async () => {
    const input = ["the red house", "a red house", "quantum field"]
    const { data, usage } = await client.embeddings.create({ model: "sim/embedding", input })
    const [red, alsoRed, other] = data.map(({ embedding }) => embedding)
    const cosine = (a: ReadonlyArray<number>, b: ReadonlyArray<number>) =>
      a.reduce((sum, value, n) => sum + value * b[n]!, 0)
    assert.closeTo(cosine(red!, red!), 1, 1e-5)
    assert.isAbove(cosine(red!, alsoRed!), cosine(red!, other!) + 0.2)
    assert.lengthOf(red!, 256)
    assert.isAbove(usage.prompt_tokens, 5)
    const floats = await client.embeddings.create({ model: "sim/embedding", input, encoding_format: "float" })
    assert.deepStrictEqual(floats.data[0]!.embedding, red)
    const few = await client.embeddings.create({ model: "embedding", input: [1, 2, 3], dimensions: 8 })
    assert.lengthOf(few.data[0]!.embedding, 8)
  })

  it("refuse what they cannot embed", async () => {
    const refused = (input: string | Array<string>, named: string, dimensions = 4) =>
      client.embeddings.create({ model: named, input, dimensions }).then(
        () => 200,
        (error: { status: number }) => error.status
      )
    assert.deepStrictEqual(
      [await refused([], "embedding"), await refused("a", model), await refused("a", "embedding", 10_000)],
      [400, 404, 400]
    )
  })
})

describe("simulated files", () => {
  it("come back byte for byte until they are deleted", async () => {
    const content = Buffer.from(Array.from({ length: 300_000 }, (_, n) => (n * 7) % 256))
    const file = await client.files.create({ file: await toFile(content, "data.bin"), purpose: "user_data" })
    assert.deepInclude({ ...file }, { bytes: content.length, filename: "data.bin", purpose: "user_data" })
    const back = Buffer.from(await (await client.files.content(file.id)).arrayBuffer())
    assert.isTrue(back.equals(content))
    assert.deepStrictEqual((await client.files.list()).data.map(({ id }) => id), [file.id])
    assert.strictEqual((await client.files.retrieve(file.id)).id, file.id)
    assert.isTrue((await client.files.delete(file.id)).deleted)
    const gone = await client.files.content(file.id).catch((error: { status: number }) => error.status)
    assert.strictEqual(gone, 404)
  })

  it("need a file, and a known method", async () => {
    const nothing = await fetch(`${running.url}/files`, { method: "POST", body: "x" })
    const put = await fetch(`${running.url}/files`, { method: "PUT", body: "x" })
    assert.deepStrictEqual([nothing.status, put.status, put.headers.get("allow")], [400, 405, "GET, POST"])
  })
})
