import { ChatOpenAI, OpenAIEmbeddings } from "@langchain/openai"
import { apiKey, baseURL, headers, model, question, saw, weatherQuestion, weatherSchema } from "./program.mjs"

const configuration = { baseURL, defaultHeaders: headers }
const usage = ({ usage_metadata: { input_tokens: input, output_tokens: output } }) => ({ input, output })

for (const [what, path, useResponsesApi] of [["chat", "/chat/completions", false], ["responses", "/responses", true]]) {
  const chat = new ChatOpenAI({ model, apiKey, configuration, useResponsesApi, maxRetries: 0 })
  const whole = await chat.invoke(question)
  saw({ what, path, text: whole.text, ...usage(whole) })

  let streamed
  for await (const chunk of await chat.stream(question)) streamed = streamed?.concat(chunk) ?? chunk
  saw({ what: `${what}, streamed`, path, text: streamed.text, ...usage(streamed) })

  const tools = [{ type: "function", function: { name: "get_weather", parameters: weatherSchema } }]
  const called = await chat.bindTools(tools).invoke(weatherQuestion)
  saw({ what: `${what}, tools`, path, tools: called.tool_calls.map(({ name }) => name) })
}

const embeddings = new OpenAIEmbeddings({ model: "sim/embedding", apiKey, configuration })
if ((await embeddings.embedQuery("a")).length !== 256) throw new Error("the embedding is not what was asked for")
saw({ what: "embeddings", path: "/embeddings", model: "sim/embedding" })
