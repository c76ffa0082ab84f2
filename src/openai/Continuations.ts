/**
 * Calls whose requests leave what was said before to the server, made whole: Responses with `previous_response_id` or
 * `conversation`, or with references to items in place of the items.
 */
import { finishReasons } from "./ChatCompletion.js"
import { type Conversation, conversationOf, type Message } from "./Conversation.js"
import { at, isObject, listAt, textAt } from "./Json.js"

/**
 * What had been said when a call was over, its instructions apart: a continuation takes none over. Only what the call added is kept
 * of each: a thousand calls would else keep half a million messages.
 */
interface Said {
  readonly before: Said | undefined
  readonly added: ReadonlyArray<Message>
  readonly isWhole: boolean
}

export interface Continued extends Conversation {
  /** False where the request continues, or names, what is not known here, or is not known itself. */
  readonly isWhole: boolean
}

const nothing: Said = { before: undefined, added: [], isWhole: true }

const changing = /\/conversations(?:\/([^/?]+)\/items)?\/?(?:\?.*)?$/s

/** Whether a call made a conversation that the server keeps, or put items into one. */
export const changesConversation = (method: string, path: string): boolean => method === "POST" && changing.test(path)

const messagesOf = (said: Said | undefined): ReadonlyArray<Message> => {
  const added: Array<ReadonlyArray<Message>> = []
  for (let one = said; one !== undefined; one = one.before) added.push(one.added)
  return added.toReversed().flat()
}

/** The calls of one attempt, and what was said when each was over. */
export class Continuations {
  private readonly byResponse = new Map<string, Said>()
  private readonly byConversation = new Map<string, Said>()
  private readonly items = new Map<string, unknown>()

  /** The call as if its request said it all. Calls are handed in in the order in which they were made. */
  add(request: unknown, answer: unknown): Continued {
    const { isWhole: isKnown, value } = this.withItems(request)
    const { instructions, output, tools, turns } = conversationOf(value, answer)
    const before = this.before(request)
    const isWhole = isKnown && before?.isWhole === true
    this.keep(request, answer, { before, added: [...turns, ...output.slice(0, 1).filter(saysSomething)], isWhole })
    return { instructions, turns, input: [...instructions, ...messagesOf(before), ...turns], output, tools, isWhole }
  }

  /** A call whose answer is not known: what its conversation holds of it, if it was in one, only the server knows. */
  lose(request: unknown): void {
    const conversation = conversationIn(request)
    if (conversation === null) return
    this.byConversation.set(conversation, { before: this.byConversation.get(conversation), added: [], isWhole: false })
  }

  /** A call by which a conversation was made, or had items put into it: see `changesConversation`. */
  put(path: string, request: unknown, answer: unknown): void {
    const named = changing.exec(path)?.[1]
    const id = named ?? textAt(answer, "id")
    if (id === null) return
    const before = named === undefined ? nothing : this.byConversation.get(named)
    const { turns } = conversationOf({ input: listAt(request, "items") }, undefined)
    this.byConversation.set(id, { before, added: turns, isWhole: before?.isWhole === true && isObject(request) })
  }

  /** An answer that is still being made, as with `background`, leaves what was said unknown. */
  private keep(request: unknown, answer: unknown, whole: Said): void {
    const said = { ...whole, isWhole: whole.isWhole && finishReasons(answer).length > 0 }
    const id = at(answer, "object") === "response" ? textAt(answer, "id") : null
    if (id !== null) this.byResponse.set(id, said)
    const conversation = conversationIn(request)
    if (conversation !== null) this.byConversation.set(conversation, said)
    for (const item of [...listAt(request, "input"), ...listAt(answer, "output")]) {
      const itemId = textAt(item, "id")
      if (itemId !== null && !isReference(item)) this.items.set(itemId, item)
    }
  }

  /** The request with the items that it names in their places. What a stored prompt says, nobody here knows. */
  private withItems(request: unknown): { readonly value: unknown; readonly isWhole: boolean } {
    if (!isObject(request)) return { value: request, isWhole: false }
    const isWhole = textAt(request, "prompt", "id") === null
    const input = listAt(request, "input")
    if (!input.some(isReference)) return { value: request, isWhole }
    const found = input.map((item) => isReference(item) ? this.items.get(textAt(item, "id") ?? "") ?? item : item)
    return { value: { ...request, input: found }, isWhole: isWhole && !found.some(isReference) }
  }

  private before(request: unknown): Said | undefined {
    const previous = textAt(request, "previous_response_id")
    if (previous !== null) return this.byResponse.get(previous)
    const conversation = conversationIn(request)
    return conversation === null ? nothing : this.byConversation.get(conversation)
  }
}

const conversationIn = (request: unknown) => textAt(request, "conversation") ?? textAt(request, "conversation", "id")

/** The type may be left out where there is nothing but an id. */
const isReference = (item: unknown): boolean =>
  at(item, "type") === "item_reference" ||
  (textAt(item, "id") !== null && textAt(item, "type") === null && at(item, "role") === undefined)

/** A warm-up has an answer without a word. */
const saysSomething = ({ parts }: Message): boolean => parts.length > 0
