/** The attribution prefix of a request path, `/rollout/<id>/attempt/<id>`, written and read in plain functions. */

export const prefixOf = (rolloutId: string, attemptId: string): string =>
  `/rollout/${encodeURIComponent(rolloutId)}/attempt/${encodeURIComponent(attemptId)}`

export interface PrefixedPath {
  readonly rolloutId: string
  readonly attemptId: string
  /** What is left for the upstream: path and query, starting with a slash. */
  readonly rest: string
}

const pattern = /^\/rollout\/([^/?#]*)\/attempt\/([^/?#]*)(\/[^#]*)?$/

/** The parts of a prefixed path, `"malformed"` when the prefix is there but unusable, or null when there is none. */
export const parsePrefix = (path: string): PrefixedPath | "malformed" | null => {
  if (!path.startsWith("/rollout/")) return null
  const match = pattern.exec(path)
  if (match === null) return "malformed"
  const rolloutId = unescape(match[1]!)
  const attemptId = unescape(match[2]!)
  if (!isAttributionId(rolloutId) || !isAttributionId(attemptId)) return "malformed"
  return { rolloutId, attemptId, rest: match[3] ?? "/" }
}

/** An id that may name a rollout, an attempt or a trace: 1 to 200 visible ASCII characters. */
export const isAttributionId = (value: string | undefined): value is string =>
  value !== undefined && /^[!-~]{1,200}$/.test(value)

const unescape = (text: string): string | undefined => {
  try {
    return decodeURIComponent(text)
  } catch {
    return undefined
  }
}
