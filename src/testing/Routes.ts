/** What the simulated server answers to each request, before any delay or fault. */
import type { IncomingHttpHeaders } from "node:http"
import { decodeBody } from "../openai/Decode.js"
import { answerChat, type ChatAnswer, chatUsageOf, chunksOf, completionIdOf, completionOf } from "./ChatAnswer.js"
import { type ChatRequest, parseChatRequest, Refusal, refusal } from "./ChatRequest.js"
import { embeddingModel, embeddingsOf, parseEmbeddingRequest } from "./Embeddings.js"
import { Files, notAllowed } from "./Files.js"
import { messageEventsOf, messageIdOf, messageOf, parseMessagesRequest } from "./Messages.js"
import type { Model } from "./Model.js"
import { Responses } from "./Responses.js"
import { eventsOf, responseIdOf, responseOf } from "./ResponsesAnswer.js"

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
  /** Empty when a tool was called. */
  readonly answer: string
  readonly usage: Readonly<Record<string, unknown>>
}

/** A JSON body, other bytes, or the events of a stream; `served` is what the log is told, null for what is no model's answer. */
export type Answer =
  | Refusal
  | { readonly json: object; readonly served: ServedAnswer | null }
  | { readonly bytes: Uint8Array; readonly contentType: string }
  | { readonly events: ReadonlyArray<string>; readonly served: ServedAnswer }

const describe = (id: string) => ({ id, object: "model", created: 0, owned_by: "tau (simulated)" })

/** By its id, or by the part after the provider: `--model sim/arithmetic` asks for `arithmetic`. */
const isNamed = (id: string, name: string): boolean => id === name || id === `sim/${name}`

const unknownModel = (name: string): Refusal =>
  refusal(
    404,
    `The model \`${name.slice(0, 200)}\` does not exist or you do not have access to it.`,
    "model_not_found",
    "model"
  )

const dataEvent = (data: object): string => `data: ${JSON.stringify(data)}\n\n`
const namedEvent = (data: { readonly type: string }): string => `event: ${data.type}\n${dataEvent(data)}`

/** An answer in the shapes of one API. */
interface Shapes {
  readonly id: string
  readonly whole: () => object
  readonly events: () => ReadonlyArray<string>
}

/** The routes of one server, with what its clients have left there. */
export class Routes {
  private readonly files = new Files()
  private readonly responses = new Responses()

  constructor(private readonly models: ReadonlyArray<Model>, private readonly seed: string) {}

  async answer(request: SimulatedRequest): Promise<Answer> {
    const path = request.path.split("?", 1)[0]!
    const handler = this.calls.get(path)
    if (handler !== undefined) {
      if (request.method !== "POST") return notAllowed(request, "POST")
      const decoded = decodeBody(request.body, request.headers["content-encoding"])
      if ("reason" in decoded) return refusal(400, `The request body could not be read: ${decoded.reason}.`)
      return handler(decoded.bytes)
    }
    const [, family, rest] = /^\/v1\/(models|files|responses)(\/.*)?$/.exec(path) ?? []
    if (family === "models") return this.describeModels(request, rest ?? "")
    if (family === "files") return this.files.answer(request, rest ?? "")
    if (family === "responses") return this.storedResponse(request, rest ?? "")
    return refusal(404, `Invalid URL (${request.method} ${path.slice(0, 200)})`)
  }

  /** Paths that are posted to, each with what it makes of the decoded body. */
  private readonly calls: ReadonlyMap<string, (body: Uint8Array) => Answer> = new Map([
    ["/v1/chat/completions", (body: Uint8Array) => this.chat(body)],
    ["/v1/responses", (body: Uint8Array) => this.respond(body)],
    ["/v1/responses/input_tokens", (body: Uint8Array) => this.countInput(body)],
    ["/v1/messages", (body: Uint8Array) => this.message(body)],
    ["/v1/messages/count_tokens", (body: Uint8Array) => this.countMessages(body)],
    ["/v1/embeddings", (body: Uint8Array) => this.embed(body)]
  ])

  private chat(body: Uint8Array): Answer {
    const request = parseChatRequest(body)
    if (request instanceof Refusal) return request
    return this.answered(request, (answer) => ({
      id: completionIdOf(answer),
      whole: () => completionOf(answer),
      events: () => [...chunksOf(answer, request.includeUsage).map(dataEvent), "data: [DONE]\n\n"]
    }))
  }

  private respond(body: Uint8Array): Answer {
    const request = this.responses.parse(body)
    if (request instanceof Refusal) return request
    return this.answered(request.chat, (answer) => {
      this.responses.remember(request, answer)
      return {
        id: responseIdOf(answer),
        whole: () => responseOf(answer, request.body),
        events: () => eventsOf(answer, request.body).map(namedEvent)
      }
    })
  }

  private message(body: Uint8Array): Answer {
    const request = parseMessagesRequest(body)
    if (request instanceof Refusal) return request
    return this.answered(request, (answer) => ({
      id: messageIdOf(answer),
      whole: () => messageOf(answer),
      events: () => messageEventsOf(answer).map(namedEvent)
    }))
  }

  private answered(request: ChatRequest, shapesOf: (answer: ChatAnswer) => Shapes): Answer {
    const model = this.models.find(({ id }) => isNamed(id, request.model))
    if (model === undefined) return unknownModel(request.model)
    const answer = answerChat(model, request, this.seed)
    const { events, id, whole } = shapesOf(answer)
    const served = {
      response_id: id,
      model: model.id,
      stream: request.stream,
      messages: request.messages,
      answer: answer.choices[0].tokens.join(""),
      usage: chatUsageOf(answer)
    }
    return request.stream ? { events: events(), served } : { json: whole(), served }
  }

  private countInput(body: Uint8Array): Answer {
    const request = this.responses.parse(body)
    if (request instanceof Refusal) return request
    return this.counted(request.chat, (tokens) => ({ object: "response.input_tokens", input_tokens: tokens }))
  }

  private countMessages(body: Uint8Array): Answer {
    const request = parseMessagesRequest(body)
    return request instanceof Refusal ? request : this.counted(request, (tokens) => ({ input_tokens: tokens }))
  }

  private counted(request: ChatRequest, shape: (tokens: number) => object): Answer {
    const model = this.models.find(({ id }) => isNamed(id, request.model))
    return model === undefined
      ? unknownModel(request.model)
      : { json: shape(answerChat(model, request, this.seed).inputTokens), served: null }
  }

  private embed(body: Uint8Array): Answer {
    const request = parseEmbeddingRequest(body)
    if (request instanceof Refusal) return request
    return isNamed(embeddingModel, request.model)
      ? { json: embeddingsOf(request), served: null }
      : unknownModel(request.model)
  }

  private describeModels(request: SimulatedRequest, rest: string): Answer {
    if (request.method !== "GET") return notAllowed(request, "GET")
    const ids = [...this.models.map(({ id }) => id), embeddingModel]
    if (rest === "") return { json: { object: "list", data: ids.map(describe) }, served: null }
    const name = decode(rest.slice(1))
    const id = ids.find((id) => isNamed(id, name))
    return id === undefined ? unknownModel(name) : { json: describe(id), served: null }
  }

  private storedResponse(request: SimulatedRequest, rest: string): Answer {
    const id = decode(rest.slice(1))
    if (request.method !== "GET" && request.method !== "DELETE") return notAllowed(request, "GET, DELETE")
    const found = request.method === "GET" ? this.responses.get(id) : this.responses.delete(id)
    return found instanceof Refusal ? found : { json: found, served: null }
  }
}

const decode = (text: string): string => {
  try {
    return decodeURIComponent(text)
  } catch {
    return text
  }
}
