import OpenAI, { toFile } from "openai"
import { ResponsesWS } from "openai/resources/responses/ws"
import {
  clientOptions,
  headers,
  model,
  question,
  saw,
  sawOnSocket,
  sawSocket,
  weatherQuestion,
  weatherSchema
} from "./program.mjs"

const client = new OpenAI(clientOptions)
const messages = [{ role: "user", content: question }]
const chatUsage = ({ completion_tokens: output, prompt_tokens: input }) => ({ input, output })
const usage = ({ input_tokens: input, output_tokens: output }) => ({ input, output })

const whole = await client.chat.completions.create({ model, messages })
saw({ what: "chat", text: whole.choices[0].message.content, ...chatUsage(whole.usage) })

const streamed = await client.chat.completions.stream({ model, messages, stream_options: { include_usage: true } })
  .finalChatCompletion()
saw({ what: "chat, streamed", text: streamed.choices[0].message.content, ...chatUsage(streamed.usage) })

const called = await client.chat.completions.create({
  model,
  messages: [{ role: "user", content: weatherQuestion }],
  tools: [{ type: "function", function: { name: "get_weather", parameters: weatherSchema } }]
})
saw({ what: "chat, tools", tools: called.choices[0].message.tool_calls.map((call) => call.function.name) })

const response = await client.responses.create({ model, input: question })
saw({ what: "responses", path: "/responses", text: response.output_text, ...usage(response.usage) })

const events = await client.responses.stream({ model, input: question }).finalResponse()
saw({ what: "responses, streamed", path: "/responses", text: events.output_text, ...usage(events.usage) })

const socket = new ResponsesWS(client, { headers })
sawSocket()
/** The answer to a request on the socket. */
const answerTo = (asked) =>
  new Promise((resolve, reject) => {
    socket.once("response.completed", ({ response }) => resolve(response))
    socket.once("error", reject)
    socket.send({ type: "response.create", model, ...asked })
  })
const textOf = ({ output }) => output[0].content[0].text
const first = await answerTo({ input: question })
sawOnSocket({ what: "responses, WebSocket", text: textOf(first), ...usage(first.usage) })
const second = await answerTo({ input: "And 2 + 2?", previous_response_id: first.id })
sawOnSocket({ what: "responses, WebSocket, continued", text: textOf(second), ...usage(second.usage) })
socket.close()

const { data, usage: { prompt_tokens: input } } = await client.embeddings.create({ model: "sim/embedding", input: "a" })
if (data[0].embedding.length !== 256) throw new Error("the embedding is not what was asked for")
saw({ what: "embeddings", path: "/embeddings", model: "sim/embedding", input })

const content = Buffer.alloc(200_000, "0123456789")
const file = await client.files.create({ file: await toFile(content, "a.bin"), purpose: "user_data" })
saw({ what: "files, upload", path: "/files", model: null })
const back = Buffer.from(await (await client.files.content(file.id)).arrayBuffer())
if (!back.equals(content)) throw new Error("the file came back different")
saw({ what: "files, download", path: `/files/${file.id}/content`, model: null })
