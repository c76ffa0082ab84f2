import { Agent } from "@mastra/core/agent"
import { apiKey, baseURL, headers, model, question, saw } from "./program.mjs"

const agent = new Agent({
  id: "agent",
  name: "agent",
  instructions: "You are a helpful assistant.",
  model: { id: `tau/${model}`, url: baseURL, apiKey, headers }
})
const whole = await agent.generate(question)
saw({ what: "chat", text: whole.text, input: whole.usage.inputTokens, output: whole.usage.outputTokens })

// Its streams do not ask for the usage.
const stream = await agent.stream(question)
let text = ""
for await (const piece of stream.textStream) text += piece
saw({ what: "chat, streamed", text })
process.exit(0)
