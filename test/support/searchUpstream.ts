/**
 * A model server for searches: an agent that follows the rules its system message states, a reflection model that guesses them
 * from symptoms, and a scorer that names the symptoms. Answers follow from what is asked, so that a search can be repeated.
 */
import * as Effect from "effect/Effect"
import type { IncomingMessage } from "node:http"
import { Chance } from "../../src/optimizer/Chance.js"
import { ruleWorld } from "./ruleWorld.js"
import { upstream } from "./upstream.js"

export interface ServedCall {
  readonly model: string
  /** What tells the call from others: for the agent its system message and question. */
  readonly key: string
}

export interface SearchUpstreamOptions {
  /** Status instead of an answer, by how many calls were served before. */
  readonly fault?: (call: ServedCall, served: number) => number | null
}

export const searchUpstream = ({ fault = () => null }: SearchUpstreamOptions = {}) =>
  Effect.gen(function*() {
    const served: Array<ServedCall> = []
    /** Wait before each answer. */
    const pace = { latencyMs: 0 }
    const world = ruleWorld({ insight: 0.7 })
    const chance = new Chance(5)

    const agent = (system: string, question: string): string => {
      const { feedback, output } = world.rollout({ system_prompt: system }, {
        id: question,
        input: question,
        expected: null
      }, 0)
      return output === "right" ? "right" : `wrong because ${feedback}`
    }
    const reflection = (prompt: string, json: boolean): string => {
      const made = world.reflect(prompt, String(chance.at(prompt).bits()), { _tag: "Reflect", path: "", prompt, json })
      return "text" in made ? made.text : ""
    }
    const origin = yield* upstream((request, response) => {
      void bodyOf(request).then(async (body) => {
        const send = (status: number, value: unknown) => {
          const text = JSON.stringify(value)
          response.writeHead(status, { "content-type": "application/json" }).end(text)
        }
        if (request.url === "/score") {
          const { output } = body as { output: string }
          return send(200, output === "right" ? 1 : { score: 0, feedback: output.replace("wrong because ", "") })
        }
        const { messages, model } = body as {
          model: string
          messages: ReadonlyArray<{ role: string; content: string }>
        }
        const system = messages.find(({ role }) => role === "system")?.content ?? ""
        const asked = messages.at(-1)!.content
        const call = { model, key: model === "reflector" ? asked : JSON.stringify([system, asked]) }
        const status = fault(call, served.length)
        served.push(call)
        if (pace.latencyMs > 0) await new Promise((resolve) => setTimeout(resolve, pace.latencyMs))
        if (status !== null) return send(status, { error: { message: `not now with sk-${"a".repeat(40)}` } })
        const content = model === "reflector"
          ? reflection(asked, "response_format" in (body as object))
          : agent(system, asked)
        send(200, {
          id: "1",
          object: "chat.completion",
          created: 1,
          model,
          choices: [{ index: 0, message: { role: "assistant", content }, finish_reason: "stop" }],
          usage: { prompt_tokens: 10, completion_tokens: 5, total_tokens: 15 }
        })
      }).catch(() => response.destroy())
    })
    return { origin, pace, served, truth: (system: string) => world.truth({ system_prompt: system }) }
  })

const bodyOf = async (request: IncomingMessage): Promise<unknown> => {
  const chunks: Array<Buffer> = []
  for await (const chunk of request as AsyncIterable<Buffer>) chunks.push(chunk)
  return JSON.parse(Buffer.concat(chunks).toString("utf8"))
}

/** A config of a search against such a server. */
export const searchConfig = (
  origin: string,
  { validate = 40, ...given }: {
    readonly validate?: number
    readonly optimizer?: object
    readonly [key: string]: unknown
  } = {}
) => ({
  optimize: Array.from({ length: 24 }, (_, n) => ({ prompt: `training question ${n}` })),
  validate: Array.from({ length: validate }, (_, n) => ({ prompt: `validation question ${n}` })),
  resources: { system_prompt: "You are an agent.\nBe helpful." },
  upstream_url: origin,
  // A search wakes its runners itself.
  poll_interval_ms: 50,
  completion_poll_interval_ms: 20,
  completion_timeout_secs: 60,
  worker_count: 4,
  scoring: [{ kind: "http", url: `${origin}/score` }],
  ...given,
  optimizer: { algorithm: "rgepa", reflection_model: "openai/reflector", max_rollouts: 300, ...given.optimizer }
})
