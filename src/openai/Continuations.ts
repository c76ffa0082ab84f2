/** Calls whose requests leave what was said before to the server, made whole: Responses with `previous_response_id` or `conversation`. */
import { type Conversation, conversationOf, type Message } from "./Conversation.js"
import { at, textAt } from "./Json.js"

/** What had been said when a call was over, its instructions apart: a continuation takes none over. */
interface Said {
  readonly messages: ReadonlyArray<Message>
  readonly isWhole: boolean
}

export interface Continued extends Conversation {
  /** False where the request continues what is not known here. */
  readonly isWhole: boolean
}

const nothing: Said = { messages: [], isWhole: true }

export class Continuations {
  private readonly byResponse = new Map<string, Said>()
  private readonly byConversation = new Map<string, Said>()

  /** The call as if its request said it all. Calls are handed in in the order in which they were made. */
  add(request: unknown, answer: unknown): Continued {
    const { instructions, output, tools, turns } = conversationOf(request, answer)
    const before = this.before(request)
    const messages = [...before?.messages ?? [], ...turns]
    const isWhole = before?.isWhole ?? false
    const said = { messages: [...messages, ...output.slice(0, 1)], isWhole }
    const id = at(answer, "object") === "response" ? textAt(answer, "id") : null
    if (id !== null) this.byResponse.set(id, said)
    const conversation = conversationIn(request)
    if (conversation !== null) this.byConversation.set(conversation, said)
    return { instructions, turns, input: [...instructions, ...messages], output, tools, isWhole }
  }

  private before(request: unknown): Said | undefined {
    const previous = textAt(request, "previous_response_id")
    if (previous !== null) return this.byResponse.get(previous)
    const conversation = conversationIn(request)
    return conversation === null ? nothing : this.byConversation.get(conversation)
  }
}

const conversationIn = (request: unknown) => textAt(request, "conversation") ?? textAt(request, "conversation", "id")
