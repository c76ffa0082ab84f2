/**
 * The attribution prefix of a request path, `/rollout/<id>/attempt/<id>`, written and read in plain functions. Agents of Agent
 * Lightning have a longer one, `/proxy/rollout/<id>/attempt/<id>/mode/<mode>/openai`, which is read as well.
 */

/** The prefix of a call of this attempt, without a trailing slash; ids may hold any characters. */
export const prefixOf = (rolloutId: string, attemptId: string): string =>
  `/rollout/${encodeURIComponent(rolloutId)}/attempt/${encodeURIComponent(attemptId)}`

export interface PrefixedPath {
  readonly rolloutId: string
  readonly attemptId: string
  /** What the attempt is for, where the prefix says so: `train`, `val` or `test`. */
  readonly mode: string | null
  /** What is left for the upstream: path and query, starting with a slash. */
  readonly rest: string
}

const pattern = /^\/rollout\/([^/?#]*)\/attempt\/([^/?#]*)(\/[^?#]*)?(\?.*)?$/
const lightning = /^\/proxy\/rollout\/([^/?#]*)\/attempt\/([^/?#]*)\/mode\/(train|val|test)\/openai(\/[^?#]*)?(\?.*)?$/

/** The parts of a prefixed path, `"malformed"` when the prefix is there but unusable, or null when there is none. */
export const parsePrefix = (path: string): PrefixedPath | "malformed" | null => {
  const isLightning = path.startsWith("/proxy/rollout/")
  if (!isLightning && !path.startsWith("/rollout/")) return null
  const match = (isLightning ? lightning : pattern).exec(path)
  if (match === null) return "malformed"
  const rolloutId = unescape(match[1]!)
  const attemptId = unescape(match[2]!)
  if (!isAttributionId(rolloutId) || !isAttributionId(attemptId)) return "malformed"
  const [rest = "/", query = ""] = match.slice(isLightning ? 4 : 3)
  return { rolloutId, attemptId, mode: isLightning ? match[3]! : null, rest: rest + query }
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
