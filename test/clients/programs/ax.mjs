import { ai } from "@ax-llm/ax"
import { apiKey, baseURL, headers, model, question, saw } from "./program.mjs"

// It has no setting for headers: they take a fetch of one's own.
const fetchWith = (url, init) =>
  fetch(url, { ...init, headers: { ...Object.fromEntries(new Headers(init.headers)), ...headers } })
const llm = ai({ name: "openai", apiKey, apiURL: baseURL, config: { model } })
llm.setOptions({ fetch: fetchWith })

const chatPrompt = [{ role: "user", content: question }]
const whole = await llm.chat({ chatPrompt, model }, { stream: false })
const { completionTokens: output, promptTokens: input } = whole.modelUsage.tokens
saw({ what: "chat", text: whole.results[0].content, input, output })

const stream = await llm.chat({ chatPrompt, model }, { stream: true })
let text = ""
for await (const { results } of stream) text += results[0]?.content ?? ""
saw({ what: "chat, streamed", text })
