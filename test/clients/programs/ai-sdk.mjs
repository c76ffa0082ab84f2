import { createOpenAI } from "@ai-sdk/openai"
import { createOpenAICompatible } from "@ai-sdk/openai-compatible"
import { embed, generateText, jsonSchema, streamText, tool } from "ai"
import { apiKey, baseURL, headers, model, question, saw, weatherQuestion, weatherSchema } from "./program.mjs"

const openai = createOpenAI({ apiKey, baseURL, headers })
const compatible = createOpenAICompatible({ name: "tau", apiKey, baseURL, headers, includeUsage: true })
const usage = ({ inputTokens: input, outputTokens: output }) => ({ input, output })

const shapes = [
  ["responses", "/responses", openai(model)],
  ["chat", "/chat/completions", openai.chat(model)],
  ["openai-compatible", "/chat/completions", compatible(model)]
]
for (const [what, path, of] of shapes) {
  const whole = await generateText({ model: of, prompt: question })
  saw({ what, path, text: whole.text, ...usage(whole.usage) })

  const stream = streamText({ model: of, prompt: question })
  saw({ what: `${what}, streamed`, path, text: await stream.text, ...usage(await stream.usage) })

  const get_weather = tool({ description: "Tells the weather", inputSchema: jsonSchema(weatherSchema) })
  const called = await generateText({ model: of, prompt: weatherQuestion, tools: { get_weather } })
  saw({ what: `${what}, tools`, path, tools: called.toolCalls.map(({ toolName }) => toolName) })
}

const { embedding, usage: { tokens: input } } = await embed({ model: openai.embedding("sim/embedding"), value: "a" })
if (embedding.length !== 256) throw new Error("the embedding is not what was asked for")
saw({ what: "embeddings", path: "/embeddings", model: "sim/embedding", input })
