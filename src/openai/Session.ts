/** The session that a call belongs to, by the agent's own word. */
import { parseJson, textAt } from "./Json.js"

export interface Session {
  readonly id: string
  /** False for a mere cache key, which says that prompts begin alike, not that they are one conversation. */
  readonly isConversation: boolean
}

/** The header's session, else what the body says, in this order; null when neither says anything. Nothing is made up. */
export const sessionOf = (header: string | null, request: unknown): Session | null => {
  const named = header ?? textAt(request, "metadata", "session_id") ??
    sessionIn(textAt(request, "metadata", "user_id") ?? "")
  if (named !== null) return { id: named, isConversation: true }
  const key = textAt(request, "prompt_cache_key")
  return key === null ? null : { id: key, isConversation: false }
}

/**
 * Claude Code's user ids are JSON with the session in it, and ended in the session before that. A longer text is no id, and the
 * pattern would be slow in it.
 */
const sessionIn = (userId: string): string | null => {
  if (userId.length > 1024) return null
  if (userId.startsWith("{")) return textAt(parseJson(userId), "session_id")
  return /_session_([\w-]+)$/.exec(userId)?.[1] ?? null
}
