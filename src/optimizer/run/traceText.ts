/** What an agent did, as a reflection model reads it. */
import { isDeepStrictEqual } from "node:util"
import { type Conversation, isInstruction, type Message, type Part } from "../../openai/Conversation.js"
import { beginning } from "../Records.js"

/** Longest part that is told whole, in characters: a document is no news to the reflection model. */
const partCharsMax = 1_500
/** Messages told: the last ones of each conversation, which share this number. */
const messagesMax = 24

/**
 * The messages and tool calls of what an agent said to its models, without system messages; empty where there is nothing. What a
 * later conversation says again is told there.
 */
export const traceText = (talks: ReadonlyArray<Conversation>): string => {
  const turns = talks.map(({ input }) => input.filter((message) => !isInstruction(message)))
  const told = talks
    .map(({ output }, n) => ({ n, said: [...turns[n]!, ...output.slice(0, 1)] }))
    .filter(({ n }) => !turns.slice(n + 1).some((later) => goesOn(later, turns[n]!)))
  return told.map(({ said }, n) => {
    const shown = said.slice(-Math.ceil(messagesMax / told.length))
    return [
      ...(told.length > 1 ? [`(conversation ${n + 1} of ${told.length})`] : []),
      ...(shown.length < said.length ? [`(${said.length - shown.length} earlier messages left out)`] : []),
      ...shown.map(messageText)
    ].join("\n")
  }).join("\n")
}

/** Whether it begins with these messages and an answer to them. */
const goesOn = (later: ReadonlyArray<Message>, earlier: ReadonlyArray<Message>): boolean =>
  later[earlier.length]?.role === "assistant" &&
  earlier.every((message, n) => isDeepStrictEqual(message, later[n]))

const messageText = ({ parts, role }: Message): string => `${role}: ${parts.map(partText).join("\n")}`

const partText = (part: Part): string => {
  switch (part.type) {
    case "text":
      return cut(part.content)
    case "reasoning":
      return `(thinks) ${cut(part.content)}`
    case "tool_call":
      return `(calls ${part.name}) ${cut(asText(part.arguments))}`
    case "tool_call_response":
      return `(result) ${cut(asText(part.response))}`
    case "other":
      return `(${part.kind})`
  }
}

const asText = (value: unknown): string => typeof value === "string" ? value : JSON.stringify(value) ?? ""

const cut = (text: string): string =>
  text.length <= partCharsMax
    ? text
    : `${beginning(text, partCharsMax)}… (${text.length - partCharsMax} characters more)`
