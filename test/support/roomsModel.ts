import * as Effect from "effect/Effect"
import { upstream } from "./upstream.js"

/** A model for `examples/agents/rooms_agent.py`: it looks rooms up once, then names the first. It keeps what it was asked. */
export const roomsModel = Effect.gen(function*() {
  const asked: Array<string> = []
  const url = yield* upstream((incoming, response) => {
    const chunks: Array<Buffer> = []
    incoming.on("data", (chunk: Buffer) => chunks.push(chunk))
    incoming.on("end", () => {
      const body = Buffer.concat(chunks).toString("utf8")
      asked.push(body)
      const { messages } = JSON.parse(body) as { readonly messages: ReadonlyArray<{ readonly content: string }> }
      const found = messages.length > 2 ? JSON.parse(messages.at(-1)!.content) as ReadonlyArray<{ room: string }> : null
      const seats = /\d+/.exec(messages[1]!.content)?.[0] ?? "1"
      const message = found === null
        ? {
          role: "assistant",
          content: null,
          tool_calls: [{
            id: "call-1",
            type: "function",
            function: { name: "find_rooms", arguments: JSON.stringify({ seats: Number(seats) }) }
          }]
        }
        : { role: "assistant", content: found[0]?.room ?? "none" }
      response.writeHead(200, { "content-type": "application/json" }).end(JSON.stringify({
        id: `chat-${asked.length}`,
        object: "chat.completion",
        model: "gpt-4o-mini",
        choices: [{ index: 0, finish_reason: found === null ? "tool_calls" : "stop", message }],
        usage: { prompt_tokens: 10, completion_tokens: 2 }
      }))
    })
  })
  return { asked, url }
})
