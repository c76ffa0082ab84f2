/** A model server for the example configs: an agent that obeys what its texts say, and a reflection model that adds a line. */
import * as Effect from "effect/Effect"
import { upstream } from "./upstream.js"

export interface ChatMessage {
  readonly role: string
  readonly content: string | null
  readonly tool_calls?: ReadonlyArray<object>
}

export interface AgentRequest {
  readonly messages: ReadonlyArray<ChatMessage>
  readonly tools?: ReadonlyArray<{ readonly function: { readonly description: string } }>
}

export interface ExampleModels {
  /** What the agent's model says, text or calls of tools. */
  readonly agent: (request: AgentRequest) => string | ReadonlyArray<object>
  /** The line that the reflection model adds at the end of a component, if it knows of any. */
  readonly advise: (component: string, current: string, prompt: string) => string | undefined
}

/** Answers as `gpt-4.1` is asked for edits, and as any other model is asked for answers. Counts what it was asked. */
export const exampleUpstream = ({ advise, agent }: ExampleModels) =>
  Effect.gen(function*() {
    const served = { agent: 0, reflector: 0 }
    const url = yield* upstream((incoming, response) => {
      const chunks: Array<Buffer> = []
      incoming.on("data", (chunk: Buffer) => chunks.push(chunk))
      incoming.on("end", () => {
        const request = JSON.parse(Buffer.concat(chunks).toString("utf8")) as AgentRequest & { readonly model: string }
        const isReflector = request.model === "gpt-4.1"
        served[isReflector ? "reflector" : "agent"] += 1
        const said = isReflector ? edits(request.messages[0]!.content!, advise) : agent(request)
        const message = typeof said === "string"
          ? { role: "assistant", content: said }
          : { role: "assistant", content: null, tool_calls: said }
        response.writeHead(200, { "content-type": "application/json" }).end(JSON.stringify({
          id: `chat-${served.agent + served.reflector}`,
          object: "chat.completion",
          created: 1,
          model: request.model,
          choices: [{ index: 0, finish_reason: typeof said === "string" ? "stop" : "tool_calls", message }],
          usage: { prompt_tokens: 100, completion_tokens: 10, total_tokens: 110 }
        }))
      })
    })
    return { served, url }
  })

const edits = (prompt: string, advise: ExampleModels["advise"]): string => {
  const [, component = "", current = ""] = /<current name="([^"]*)">\n?([^]*?)\n?<\/current>/.exec(prompt) ?? []
  const line = advise(component, current, prompt)
  return JSON.stringify({
    hypotheses: [{ cause: "the text does not say so", evidence: ["run 1"] }],
    edits: line === undefined ? [] : [{ op: "add", after: "", text: line }]
  })
}
