/** What a simulated model sees of a request, and what it is. */
import type { Tool } from "./Tools.js"

export interface Conversation {
  /** All system and developer messages, joined by line feeds. */
  readonly system: string
  /** The last user message. */
  readonly question: string
  /** Varies from call to call only when the request allows it: `temperature` above 0 and a `seed`, or several choices. */
  readonly draw: string
  /** Of the request, 1 when it names none. */
  readonly temperature: number
  /** The tools that the model may call. */
  readonly tools: ReadonlyArray<Tool>
}

/** Answers deterministically: the same seed and conversation give the same text, whatever was asked before. */
export interface Model {
  /** Its id on the wire, `sim/<name>`. */
  readonly id: string
  readonly answer: (conversation: Conversation) => string
}
