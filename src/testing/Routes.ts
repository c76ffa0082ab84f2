/** What the simulated server answers to each request, before any delay or fault. */
import type { IncomingHttpHeaders } from "node:http"
import { decodeBody } from "../openai/Decode.js"
import { answerChat, chunksOf, completionOf } from "./ChatAnswer.js"
import { parseChatRequest, Refusal, refusal } from "./ChatRequest.js"
import type { Model } from "./Model.js"

/** A request as a fault function sees it. */
export interface SimulatedRequest {
  /** Counts the requests of this server, from 0. */
  readonly number: number
  readonly method: string
  readonly path: string
  readonly headers: IncomingHttpHeaders
  readonly body: Buffer
}

/** A line of the log. */
export interface ServedAnswer {
  readonly response_id: string
  readonly model: string
  readonly stream: boolean
  /** The system prompt and the question, as the model saw them. */
  readonly messages: ReadonlyArray<{ readonly role: string; readonly text: string }>
  readonly answer: string
  readonly usage: Readonly<Record<string, unknown>>
}

/** A JSON body, or the chunks of a stream; `served` is what the log is told, null for what is no model's answer. */
export type Answer =
  | Refusal
  | { readonly json: object; readonly served: ServedAnswer | null }
  | { readonly chunks: ReadonlyArray<object>; readonly served: ServedAnswer }

const describe = ({ id }: Model) => ({ id, object: "model", created: 0, owned_by: "tau (simulated)" })

/** By its id, or by the part after the provider: `--model sim/arithmetic` asks for `arithmetic`. */
const find = (models: ReadonlyArray<Model>, name: string): Model | undefined =>
  models.find(({ id }) => id === name || id === `sim/${name}`)

const unknownModel = (name: string): Refusal =>
  refusal(
    404,
    `The model \`${name.slice(0, 200)}\` does not exist or you do not have access to it.`,
    "model_not_found",
    "model"
  )

const notAllowed = ({ method, path }: SimulatedRequest, allow: string): Refusal => {
  const { body } = refusal(405, `Not allowed to ${method} on ${path}.`, "method_not_supported")
  return new Refusal(405, body, { allow })
}

const chat = (models: ReadonlyArray<Model>, seed: string, request: SimulatedRequest): Answer => {
  const decoded = decodeBody(request.body, request.headers["content-encoding"])
  if ("reason" in decoded) return refusal(400, `The request body could not be read: ${decoded.reason}.`)
  const parsed = parseChatRequest(decoded.bytes)
  if (parsed instanceof Refusal) return parsed
  const model = find(models, parsed.model)
  if (model === undefined) return unknownModel(parsed.model)
  const answer = answerChat(model, parsed, seed)
  const served = {
    response_id: answer.id,
    model: model.id,
    stream: parsed.stream,
    messages: parsed.messages,
    answer: answer.choices[0]!.tokens.join(""),
    usage: answer.usage
  }
  return parsed.stream
    ? { chunks: chunksOf(answer, parsed.includeUsage), served }
    : { json: completionOf(answer), served }
}

export const answerRequest = (models: ReadonlyArray<Model>, seed: string, request: SimulatedRequest): Answer => {
  const path = request.path.split("?", 1)[0]!
  if (path === "/v1/chat/completions") {
    return request.method === "POST" ? chat(models, seed, request) : notAllowed(request, "POST")
  }
  if (path === "/v1/models" || path.startsWith("/v1/models/")) {
    if (request.method !== "GET") return notAllowed(request, "GET")
    if (path === "/v1/models") return { json: { object: "list", data: models.map(describe) }, served: null }
    const name = decode(path.slice("/v1/models/".length))
    const model = find(models, name)
    return model === undefined ? unknownModel(name) : { json: describe(model), served: null }
  }
  return refusal(404, `Invalid URL (${request.method} ${path.slice(0, 200)})`)
}

const decode = (text: string): string => {
  try {
    return decodeURIComponent(text)
  } catch {
    return text
  }
}
