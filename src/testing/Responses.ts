/** The Responses endpoints of the simulated server, which remember the answers that later ones may continue. */
import type { JsonObject } from "../openai/Json.js"
import type { ChatAnswer } from "./ChatAnswer.js"
import { type ChatMessage, type Refusal, refusal } from "./ChatRequest.js"
import { responseIdOf, responseOf } from "./ResponsesAnswer.js"
import { parseResponsesRequest, type ResponsesRequest } from "./ResponsesRequest.js"

/** Most answers that are remembered; the oldest make room. */
const answersMax = 1000

interface Remembered {
  readonly object: JsonObject
  /** What was said so far, this answer included, without the instructions: those are for one request. */
  readonly turns: ReadonlyArray<ChatMessage>
}

export class Responses {
  private readonly answers = new Map<string, Remembered>()

  parse(body: Uint8Array): ResponsesRequest | Refusal {
    return parseResponsesRequest(body, (id) => this.answers.get(id)?.turns)
  }

  remember({ body, chat, stored }: ResponsesRequest, answer: ChatAnswer): void {
    if (!stored) return
    const turns = typeof body["instructions"] === "string" && body["instructions"] !== ""
      ? chat.messages.slice(1)
      : chat.messages
    const said = { role: "assistant", text: answer.choices[0].tokens.join("") }
    const id = responseIdOf(answer)
    this.answers.delete(id)
    this.answers.set(id, { object: responseOf(answer, body), turns: [...turns, said] })
    const [oldest] = this.answers.keys()
    if (this.answers.size > answersMax) this.answers.delete(oldest!)
  }

  get(id: string): JsonObject | Refusal {
    return this.answers.get(id)?.object ?? notFound(id)
  }

  delete(id: string): JsonObject | Refusal {
    return this.answers.delete(id) ? { id, object: "response.deleted", deleted: true } : notFound(id)
  }
}

const notFound = (id: string): Refusal => refusal(404, `Response with id '${id.slice(0, 200)}' not found.`)
