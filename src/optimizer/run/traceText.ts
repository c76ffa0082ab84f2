/** What an agent did, as a reflection model reads it. */
import type { Conversation, Message, Part } from "../../openai/Conversation.js"
import { beginning } from "../Records.js"

/** Longest part that is told whole, in characters: a document is no news to the reflection model. */
const partCharsMax = 1_500
/** Messages told: the last ones. */
const messagesMax = 24

/** The messages and tool calls of an agent's last model call, without its system message; empty where there is nothing. */
export const traceText = (talk: Conversation | null): string => {
  if (talk === null) return ""
  const said = [
    ...talk.input.filter(({ role }) => role !== "system" && role !== "developer"),
    ...talk.output.slice(0, 1)
  ]
  const shown = said.slice(-messagesMax)
  return [
    ...(shown.length < said.length ? [`(${said.length - shown.length} earlier messages left out)`] : []),
    ...shown.map(messageText)
  ].join("\n")
}

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
