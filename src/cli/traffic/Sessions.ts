/** Recorded calls as the conversations they were part of. */
import { createHash } from "node:crypto"
import type { Span } from "../../domain/Span.js"
import { type Conversation, isInstruction, type Message } from "../../openai/Conversation.js"
import { GenAi } from "../../openai/GenAi.js"
import { redacted } from "../../openai/Secrets.js"

/** What began with a user's words and ended with an answer. */
export interface Session {
  /** How the agent calls it, the attempt it was, or its first call. */
  readonly id: string
  readonly firstSpanId: string
  /** All its calls. */
  readonly spanIds: Array<string>
  /** The system message and instructions of its first call, which tell one agent from another; empty without any. */
  readonly instructions: string
  /** What the user said first; null when that was not all text, or nobody said anything. */
  readonly input: string | null
  lastSpanId: string
  /** The last answer in words; null when it was none, a tool call for instance. */
  answer: string | null
  model: string | null
  /** A body of it was dropped before it was stored, or is not there whole, or something was taken out of its input. */
  isImpaired: boolean
  /** Something was taken out of its last answer. */
  isAnswerRedacted: boolean
}

/**
 * Puts calls together in the order they were made. A call belongs where its agent says so: by the answer it continues or
 * its session; else to its attempt; and where a capture knows neither, to the calls whose whole history it repeats.
 */
export class Sessions {
  private readonly byKey = new Map<string, Session>()
  private readonly byResponse = new Map<string, Session>()
  private readonly byHistory = new Map<string, Session>()

  add(span: Span, { input, output }: Conversation): void {
    const { attributes, spanId } = span
    const named = namedSession(span)
    const histories = named === null ? historiesOf(span.attemptId, input) : []
    const linked = attributes[GenAi.linkedResponseId]
    const first = firstInput(input)
    const session = (typeof linked === "string" ? this.byResponse.get(linked) : undefined)
      ?? (named === null ? undefined : this.byKey.get(named))
      // Never the whole: who asks just the same begins anew.
      ?? histories.slice(0, -1).toReversed().map((hash) => this.byHistory.get(hash)).find((known) =>
        known !== undefined
      )
      ?? {
        id: named ?? spanId,
        firstSpanId: spanId,
        spanIds: [],
        instructions: instructionsOf(input),
        input: first,
        lastSpanId: spanId,
        answer: null,
        model: null,
        isImpaired: isRedacted(span, first),
        isAnswerRedacted: false
      }
    session.spanIds.push(spanId)
    session.lastSpanId = spanId
    session.answer = answerOf(output)
    session.model = span.model ?? session.model
    session.isAnswerRedacted = isRedacted(span, session.answer)
    session.isImpaired ||= impairments.some((name) => attributes[name] !== undefined)
    this.byKey.set(named ?? `call ${session.firstSpanId}`, session)
    const responseId = attributes[GenAi.responseId]
    if (typeof responseId === "string") this.byResponse.set(responseId, session)
    const whole = histories.at(-1)
    if (whole !== undefined) this.byHistory.set(whole, session)
  }

  /** In the order in which they began. */
  get all(): ReadonlyArray<Session> {
    return [...new Set(this.byKey.values())]
  }
}

const impairments = [GenAi.unrecorded, GenAi.requestTruncated, GenAi.responseTruncated]

/** What was taken out of the rest of a call, a tool's result for instance, is in no example. */
const isRedacted = ({ attributes }: Span, text: string | null): boolean =>
  attributes[GenAi.redacted] !== undefined && text?.includes(redacted) === true

/** The agent's session, else the attempt. Null for a call of a capture whose agent says nothing of a session. */
export const namedSession = ({ attemptId, attributes, rolloutId }: Span): string | null => {
  const session = attributes[GenAi.conversationId]
  if (typeof session === "string") return session
  if (/^capture-\d{8}T\d{6}-[\da-f]+$/.test(rolloutId)) return null
  // Whoever names attempts may number those of each rollout anew.
  return attemptId.startsWith(`${rolloutId}:`) ? attemptId : `${rolloutId} ${attemptId}`
}

/** For each length of a history a hash of what was said so far, instructions apart. */
const historiesOf = (attemptId: string, input: ReadonlyArray<Message>): ReadonlyArray<string> => {
  let hash = attemptId
  return input.filter((message) => !isInstruction(message)).map(({ parts, role }) => {
    hash = createHash("sha256").update(JSON.stringify([hash, role, parts])).digest("base64")
    return hash
  })
}

const instructionsOf = (input: ReadonlyArray<Message>): string =>
  input.filter(isInstruction)
    .flatMap(({ parts }) => parts.flatMap((part) => part.type === "text" ? [part.content] : []))
    .join("\n")

const firstInput = (input: ReadonlyArray<Message>): string | null => {
  const first = input.find(({ role }) => role === "user")
  return first === undefined ? null : wordsOf(first)
}

const answerOf = ([first]: ReadonlyArray<Message>): string | null =>
  first === undefined ? null : wordsOf({ ...first, parts: first.parts.filter(({ type }) => type !== "reasoning") })

/** The texts of a message that has nothing else. */
const wordsOf = ({ parts }: Message): string | null => {
  const texts = parts.map((part) => part.type === "text" ? part.content : null)
  return texts.length === 0 || texts.includes(null) ? null : texts.join("\n").trim()
}
