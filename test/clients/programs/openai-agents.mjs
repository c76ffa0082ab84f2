import {
  Agent,
  OpenAIProvider,
  run,
  Runner,
  setDefaultOpenAIClient,
  setOpenAIAPI,
  setTracingDisabled,
  tool
} from "@openai/agents"
import OpenAI from "openai"
import { WebSocket } from "ws"
import {
  clientOptions,
  model,
  question,
  saw,
  sawOnSocket,
  sawSocket,
  weatherQuestion,
  weatherSchema
} from "./program.mjs"

const openAIClient = new OpenAI(clientOptions)
setDefaultOpenAIClient(openAIClient)
setTracingDisabled(true)

const get_weather = tool({
  name: "get_weather",
  description: "Tells the weather",
  parameters: weatherSchema,
  strict: true,
  execute: ({ city }) => `foggy in ${city}`
})
const usage = ({ usage: { inputTokens: input, outputTokens: output } }) => ({ input, output })

for (const [api, path] of [["responses", "/responses"], ["chat_completions", "/chat/completions"]]) {
  setOpenAIAPI(api)
  const agent = new Agent({ name: "Agent", instructions: "You are a helpful assistant.", model, tools: [get_weather] })
  const whole = await run(agent, question)
  saw({ what: api, path, text: whole.finalOutput, ...usage(whole.rawResponses[0]) })

  const stream = await run(agent, question, { stream: true })
  for await (const _ of stream) continue
  await stream.completed
  saw({ what: `${api}, streamed`, path, text: stream.finalOutput, ...usage(stream.rawResponses[0]) })

  const loop = await run(agent, weatherQuestion)
  const [first, second] = loop.rawResponses
  saw({ what: `${api}, a tool's call`, path, tools: ["get_weather"], ...usage(first) })
  saw({ what: `${api}, its result`, path, text: loop.finalOutput, ...usage(second) })
  if (loop.finalOutput !== "The tool answered: foggy in New York") throw new Error(loop.finalOutput)
}

// Its WebSocket transport takes the global one, which Node has from version 22 on.
globalThis.WebSocket ??= WebSocket
const modelProvider = new OpenAIProvider({ openAIClient, useResponses: true, useResponsesWebSocket: true })
const overSocket = await new Runner({ modelProvider }).run(
  new Agent({ name: "Agent", instructions: "You are a helpful assistant.", model }),
  question
)
sawSocket()
sawOnSocket({ what: "responses, WebSocket", text: overSocket.finalOutput, ...usage(overSocket.rawResponses[0]) })
await modelProvider.close()
