/** The few request headers by which agents and SDKs name their session and count their tries. */

export interface CallerHeaders {
  readonly sessionId: string | null
  /** From 0; null where the client does not count. */
  readonly retryCount: number | null
  readonly idempotencyKey: string | null
}

type Headers = Readonly<Record<string, string | ReadonlyArray<string> | undefined>>

/** What such a header may hold to be believed: one visible ASCII text of at most 200 characters. */
const textOf = (value: Headers[string]): string | null =>
  typeof value === "string" && /^[\x21-\x7E]{1,200}$/.test(value) ? value : null

const countOf = (value: Headers[string]): number | null =>
  typeof value === "string" && /^\d{1,3}$/.test(value) ? Number(value) : null

/** By lower-case names; null when none of them is there. A session counts before a thread of it. */
export const callerHeadersOf = (headers: Headers): CallerHeaders | null => {
  const session = headers["session-id"] ?? headers["session_id"] ?? headers["x-session-id"] ??
    headers["x-claude-code-session-id"] ?? headers["thread-id"]
  const retry = headers["x-stainless-retry-count"] ?? headers["x-retry-count"]
  const key = headers["idempotency-key"]
  if (session === undefined && retry === undefined && key === undefined) return null
  return { sessionId: textOf(session), retryCount: countOf(retry), idempotencyKey: textOf(key) }
}
