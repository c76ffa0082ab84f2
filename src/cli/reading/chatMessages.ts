/** Messages as chat completions write them, whichever API they were said in: what tools for training read. */
import type { Message, Part } from "../../openai/Conversation.js"

export interface ChatMessage {
  readonly role: string
  readonly content: unknown
  readonly reasoning_content?: string
  readonly tool_calls?: ReadonlyArray<unknown>
  readonly tool_call_id?: string
}

/** Each result of a tool is a message of its own. */
export const chatMessages = (messages: ReadonlyArray<Message>): ReadonlyArray<ChatMessage> =>
  messages.flatMap((message) => {
    const results = message.parts.filter((part) => part.type === "tool_call_response")
    const rest = message.parts.filter((part) => part.type !== "tool_call_response")
    return [
      ...results.map(({ id, response }) => ({
        role: "tool",
        content: asText(response),
        ...(id !== null && { tool_call_id: id })
      })),
      ...(rest.length === 0 && results.length > 0 ? [] : [chatMessage({ ...message, parts: rest })])
    ]
  })

export const chatMessage = ({ parts, role }: Message): ChatMessage => {
  const calls = parts.filter((part) => part.type === "tool_call")
  const reasoning = parts.filter((part) => part.type === "reasoning").map(({ content }) => content).join("\n")
  return {
    role,
    content: contentOf(parts, calls.length > 0),
    ...(reasoning !== "" && { reasoning_content: reasoning }),
    ...(calls.length > 0 && {
      tool_calls: calls.map((call) => ({
        id: call.id,
        type: "function",
        function: { name: call.name, arguments: asText(call.arguments) }
      }))
    })
  }
}

/** One text where there are only texts; the list of parts where there is an image, say. */
const contentOf = (parts: ReadonlyArray<Part>, hasCalls: boolean): unknown => {
  if (parts.some(({ type }) => type === "other")) {
    return parts.flatMap((part) =>
      part.type === "text" ? [{ type: "text", text: part.content }] : part.type === "other" ? [part.value] : []
    )
  }
  const text = parts.flatMap((part) => part.type === "text" ? [part.content] : []).join("")
  return text === "" && hasCalls ? null : text
}

const asText = (value: unknown): string => typeof value === "string" ? value : JSON.stringify(value)
