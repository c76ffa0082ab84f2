import { assert, describe, it } from "@effect/vitest"
import { OpenAI } from "openai"
import { afterAll, beforeAll } from "vitest"
import { reflection, type RunningModel, startSimulatedModel, taskSpecs, TaskWorld } from "../../../src/testing/index.js"

let model: RunningModel
let client: OpenAI

beforeAll(async () => {
  model = await startSimulatedModel({ seed: 5 })
  client = new OpenAI({ baseURL: model.url, apiKey: "unused", maxRetries: 0 })
})

afterAll(() => model.close())

const told = async (body: Omit<OpenAI.ChatCompletionCreateParamsNonStreaming, "stream">) =>
  (await client.chat.completions.create(body)).choices[0]!.message.content

describe("the task world on the wire", () => {
  it("answers what the world answers in the process, whatever the components, samples and temperatures", async () => {
    for (const spec of taskSpecs) {
      const world = new TaskWorld(spec, { seed: "5" })
      for (const texts of [spec.seed, world.best]) {
        for (const [at, request] of world.examples(0, 6).entries()) {
          const temperature = at % 2
          const content = await told({
            model: `sim/task-${spec.name}`,
            temperature,
            ...(at > 2 && { seed: at }),
            messages: [{ role: "system", content: texts["system_prompt"]! }, { role: "user", content: request.input }],
            ...("search_tool" in texts && {
              tools: [{
                type: "function",
                function: { name: "look_up", description: texts["search_tool"], parameters: {} }
              }]
            })
          })
          const sample = at > 2 && temperature > 0 ? at : 0
          assert.strictEqual(content, world.answer(texts, request, sample, temperature))
        }
      }
    }
  })

  it("says so when it does not know the request", async () => {
    assert.strictEqual(
      await told({ model: "task-extract", messages: [{ role: "user", content: "Document EX-9999" }] }),
      "I know no document of that id."
    )
  })

  it("reflects as in the process", async () => {
    const prompt = "<current name=\"system_prompt\">\nYou read.\n</current>\n$.date differs\nReturn {\"edits\": []}"
    const ask = (seed: number | null) =>
      told({ model: "sim/reflector-medium", seed, messages: [{ role: "user", content: prompt }] })
    assert.strictEqual(await ask(null), reflection("medium", "5", prompt, ""))
    assert.strictEqual(await ask(8), reflection("medium", "5", prompt, "8"))
  })
})
