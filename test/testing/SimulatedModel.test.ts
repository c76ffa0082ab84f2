import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import { mkdtempSync, readFileSync, rmSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { NotFoundError, OpenAI } from "openai"
import { afterAll, beforeAll } from "vitest"
import { assembleChat } from "../../src/openai/ChatCompletion.js"
import { type RunningModel, type ServedAnswer, SimulatedModel, startSimulatedModel } from "../../src/testing/index.js"
import { taskModelNames } from "../../src/testing/taskWorld/TaskModel.js"

const served: Array<ServedAnswer> = []
let model: RunningModel
let client: OpenAI

const clientOf = ({ url }: RunningModel) => new OpenAI({ baseURL: url, apiKey: "unused", maxRetries: 0 })

beforeAll(async () => {
  const behaviour = {
    name: "tiny",
    pairs: [{ question: "Who?", answer: "7", explanation: null }],
    accuracy: 1,
    format: "asked",
    rules: []
  } as const
  model = await startSimulatedModel({ behaviours: [behaviour], log: (answer) => served.push(answer) })
  client = clientOf(model)
})

afterAll(() => model.close())

const asking = (content: string, system = "Answer with only the final number.") => ({
  model: "sim/arithmetic",
  messages: [{ role: "system" as const, content: system }, { role: "user" as const, content }]
})

const post = (body: string, path = "/chat/completions", method = "POST") =>
  fetch(`${model.url}${path}`, {
    method,
    ...(method === "POST" && { body }),
    headers: { "content-type": "application/json" }
  })

const contentUnder = async (system: string) =>
  (await client.chat.completions.create(asking("What is 2 + 2?", system))).choices[0]!.message.content

const refusalOf = async (...request: Parameters<typeof post>) => {
  const response = await post(...request)
  const { error } = await response.json() as { error: { type: string } }
  return [response.status, error.type]
}

const askRaw = (running: RunningModel, stream: boolean) =>
  fetch(`${running.url}/chat/completions`, {
    method: "POST",
    body: JSON.stringify({ ...asking("What is 1 + 1?", ""), stream })
  })

describe("the simulated model, asked by the openai client", () => {
  it("answers a calculation as the system prompt asks", async () => {
    assert.strictEqual(await contentUnder("Answer with only the final number."), "4")
    assert.strictEqual(await contentUnder("You are a concise assistant."), "2 + 2 = 4.")
    assert.match((await contentUnder("You are a helpful assistant."))!, /^\D.*2 \+ 2.* 4\.$/)
    assert.match((await contentUnder("End with #### and the number."))!, /\n#### 4$/)
  })

  it("presents itself as simulated", async () => {
    const completion = await client.chat.completions.create(asking("What is 6 * 7?"))
    assert.strictEqual(completion.model, "sim/arithmetic")
    assert.strictEqual(completion.system_fingerprint, "simulated")
    assert.match(completion.id, /^chatcmpl-sim-/)
    assert.isAbove(completion.usage!.prompt_tokens, 5)
    assert.strictEqual(completion.usage!.completion_tokens, 1)
    const models = await client.models.list()
    assert.deepStrictEqual(models.data.map(({ id, owned_by }) => [id, owned_by]), [
      ["sim/arithmetic", "tau (simulated)"],
      ["sim/tiny", "tau (simulated)"],
      ...taskModelNames.map((name) => [`sim/${name}`, "tau (simulated)"]),
      ["sim/embedding", "tau (simulated)"]
    ])
    assert.strictEqual((await client.models.retrieve("sim/tiny")).id, "sim/tiny")
  })

  it("streams the same answer in several chunks, with the usage when asked for", async () => {
    const question = asking("What is 12 * 12?", "You are a helpful assistant.")
    const whole = await client.chat.completions.create(question)
    const chunks = []
    const stream = await client.chat.completions.create({
      ...question,
      stream: true,
      stream_options: { include_usage: true }
    })
    for await (const chunk of stream) chunks.push(chunk)
    assert.isAbove(chunks.length, 5)
    assert.deepStrictEqual(chunks.at(0)!.choices[0]!.delta, { role: "assistant", content: "", refusal: null })
    assert.deepStrictEqual(chunks.at(-1)!.choices, [])
    const { object } = assembleChat(chunks.map((chunk) => ({ data: JSON.stringify(chunk) })))
    assert.deepStrictEqual(JSON.parse(JSON.stringify(object)), JSON.parse(JSON.stringify(whole)))
    assert.strictEqual(whole.id, chunks[0]!.id)
  })

  it("ends a stream without usage with the finish chunk and [DONE]", async () => {
    const text = await (await post(JSON.stringify({ ...asking("1 + 1"), stream: true }))).text()
    assert.isTrue(text.endsWith("data: [DONE]\n\n"))
    assert.isFalse(text.includes("usage"))
  })

  it("gives the same answers whatever the order and the number of requests at once", async () => {
    const questions = Array.from(
      { length: 30 },
      (_, n) => asking(`What is ${n} + ${n}?`, "You are a helpful assistant.")
    )
    const ask = (all: typeof questions) => Promise.all(all.map((question) => client.chat.completions.create(question)))
    const forwards = await ask(questions)
    const backwards = await ask(questions.toReversed())
    assert.deepStrictEqual(
      backwards.toReversed().map((answer) => ({ ...answer })),
      forwards.map((answer) => ({ ...answer }))
    )
  })

  it("finds a model by its short name, and keeps to max_tokens and stop", async () => {
    const explain = asking("What is 2 + 2?", "")
    const short = await client.chat.completions.create({ ...explain, model: "arithmetic", max_tokens: 3 })
    assert.strictEqual(short.choices[0]!.finish_reason, "length")
    assert.strictEqual(short.usage!.completion_tokens, 3)
    const stopped = await client.chat.completions.create({ ...explain, stop: "2 + 2" })
    assert.isFalse(stopped.choices[0]!.message.content!.includes("2 + 2"))
  })

  it("refuses in OpenAI's way", async () => {
    const failure = await client.chat.completions.create({ ...asking("1 + 1"), model: "gpt-4o" }).catch((
      error: unknown
    ) => error)
    assert.isTrue(failure instanceof NotFoundError && failure.code === "model_not_found")
    const invalid = "invalid_request_error"
    assert.deepStrictEqual(await refusalOf("{"), [400, invalid])
    assert.deepStrictEqual(await refusalOf(JSON.stringify({ model: "sim/arithmetic" })), [400, invalid])
    assert.deepStrictEqual(await refusalOf(JSON.stringify({ model: "sim/arithmetic", messages: [] })), [400, invalid])
    assert.deepStrictEqual(await refusalOf("{}", "/nothing"), [404, invalid])
    assert.deepStrictEqual(await refusalOf("", "/models/none", "GET"), [404, invalid])
    assert.deepStrictEqual(await refusalOf("", "/chat/completions", "GET"), [405, invalid])
    assert.deepStrictEqual(await refusalOf("{}", "/models"), [405, invalid])
    assert.deepStrictEqual(await refusalOf(`"${"x".repeat(33 * 1024 * 1024)}"`), [413, invalid])
  })

  it("answers the question-and-answer model beside the arithmetic one", async () => {
    const answer = await client.chat.completions.create({ ...asking("Who?"), model: "sim/tiny" })
    assert.strictEqual(answer.choices[0]!.message.content, "7")
  })
})

describe("the log", () => {
  it("holds every answer that a client received whole", async () => {
    const folder = mkdtempSync(join(tmpdir(), "tau-simulated-"))
    const log = join(folder, "served.jsonl")
    const logged = await startSimulatedModel({ log, chunkDelayMs: 1 })
    const ids = await Promise.all(Array.from({ length: 20 }, async (_, n) => {
      const stream = await clientOf(logged).chat.completions.create({ ...asking(`What is ${n} + 1?`), stream: true })
      let id = ""
      for await (const chunk of stream) id = chunk.id
      return id
    }))
    const lines = readFileSync(log, "utf8").trimEnd().split("\n").map((line) => JSON.parse(line) as ServedAnswer)
    assert.deepStrictEqual(lines.map((line) => line.response_id).toSorted(), ids.toSorted())
    await logged.close()
    rmSync(folder, { recursive: true })
  })

  it("tells of questions and answers, and not of refusals", async () => {
    served.length = 0
    await client.chat.completions.create(asking("What is 5 - 9?"))
    await post("{")
    assert.deepStrictEqual(served.map(({ answer, stream }) => [answer, stream]), [["-4", false]])
  })
})

describe("faults", () => {
  it.each([0, 1, 200])("breaks the connection after %i bytes, and logs nothing", async (cutAfterBytes) => {
    const log: Array<ServedAnswer> = []
    const broken = await startSimulatedModel({ log: (answer) => log.push(answer), faults: () => ({ cutAfterBytes }) })
    const response = await askRaw(broken, true)
    let size = 0
    const failure = await (async () => {
      for await (const chunk of response.body!) size += chunk.length
    })().then(() => null, (error: unknown) => error)
    assert.instanceOf(failure, Error)
    assert.strictEqual(size, cutAfterBytes)
    assert.lengthOf(log, 0)
    await broken.close()
  })

  it("answers with another status, headers and body, request by request", async () => {
    const limited = await startSimulatedModel({
      faults: ({ number }) => number === 0 ? { status: 429, headers: { "retry-after": "1" } } : undefined
    })
    const first = await askRaw(limited, false)
    assert.deepStrictEqual([first.status, first.headers.get("retry-after")], [429, "1"])
    assert.deepInclude(await first.json() as object, {
      error: { message: "simulated failure", type: "simulated_error", param: null, code: "simulated_429" }
    })
    assert.strictEqual((await askRaw(limited, false)).status, 200)
    await limited.close()
  })

  it("is silent for as long as it is told to", async () => {
    const slow = await startSimulatedModel({ faults: () => ({ delayFirstByteMs: 60, stallMs: 60 }) })
    const begin = performance.now()
    const response = await askRaw(slow, true)
    assert.isAtLeast(performance.now() - begin, 55)
    await response.text()
    assert.isAtLeast(performance.now() - begin, 110)
    await slow.close()
  })
})

describe("SimulatedModel.layer", () => {
  it.effect("serves as long as its scope lives", () =>
    Effect.gen(function*() {
      const url = yield* SimulatedModel.pipe(
        Effect.tap(({ url }) =>
          Effect.promise(async () => assert.strictEqual((await fetch(`${url}/models`)).status, 200))
        ),
        Effect.map(({ url }) => url),
        Effect.provide(SimulatedModel.layer())
      )
      const failure = yield* Effect.promise(() => fetch(`${url}/models`).catch((error: unknown) => error))
      assert.instanceOf(failure, Error)
    }))

  it.effect("says why it cannot start", () =>
    Effect.gen(function*() {
      const error = yield* Effect.flip(Effect.scoped(SimulatedModel.scoped({ port: model.port })))
      assert.match(
        error.message,
        /^the simulated model could not start: cannot listen on .*:\d+: the port is in use by another process$/
      )
    }))
})
