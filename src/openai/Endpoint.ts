/** Which of the known model endpoints a request is for. */

export type Operation = "chat" | "text_completion" | "embeddings" | "http"

export interface Endpoint {
  readonly kind: "llm" | "embedding" | "http"
  /** Value of `gen_ai.operation.name`; `http` for a request that calls no model in a way we read. */
  readonly operation: Operation
  /** Whose format the bodies are in. */
  readonly api: "chat_completions" | "completions" | "embeddings" | "responses" | "realtime" | "messages" | "other"
}

const other: Endpoint = { kind: "http", operation: "http", api: "other" }

/** By the end of the path: what stands before it (`/v1`, a deployment, an attribution prefix) is the upstream's affair. */
const endpoints: ReadonlyArray<readonly [RegExp, Endpoint]> = [
  [/\/chat\/completions$/, { kind: "llm", operation: "chat", api: "chat_completions" }],
  [/\/completions$/, { kind: "llm", operation: "text_completion", api: "completions" }],
  [/\/embeddings$/, { kind: "embedding", operation: "embeddings", api: "embeddings" }],
  [/\/responses(\/compact)?$/, { kind: "llm", operation: "chat", api: "responses" }],
  // The assistants API has `/threads/{id}/messages`, which is no model call.
  [/(?<!\/threads\/[^/]+)\/messages$/, { kind: "llm", operation: "chat", api: "messages" }]
]

export const withoutQuery = (path: string): string => {
  const query = path.indexOf("?")
  return query === -1 ? path : path.slice(0, query)
}

/** Of the paths asked for lately: an agent asks for the same few all the time. */
const known = new Map<string, Endpoint>()
const knownMax = 256

/** `path` may carry a query. */
export const endpointOf = (method: string, path: string): Endpoint => {
  if (method !== "POST" && method.toUpperCase() !== "POST") return other
  const asked = withoutQuery(path)
  let endpoint = known.get(asked)
  if (endpoint === undefined) {
    const plain = plainPath(asked)
    endpoint = endpoints.find(([pattern]) => pattern.test(plain))?.[1] ?? other
    if (known.size === knownMax) known.clear()
    if (asked.length < 256) known.set(asked, endpoint)
  }
  return endpoint
}

/** A request for an answer that an earlier one began: of `background`, or of a stream that is taken up again. */
export const asksForLaterAnswer = (method: string, path: string): boolean => {
  const pattern = laterAnswers.get(method.toUpperCase())
  return pattern !== undefined && pattern.test(plainPath(path))
}

const laterAnswers: ReadonlyMap<string, RegExp> = new Map([
  ["GET", /\/responses\/[^/]+$/],
  ["POST", /\/responses\/[^/]+\/cancel$/]
])

/** The path with one slash before it and none behind it, without query. A loop: a pattern would try each of many slashes anew. */
const plainPath = (path: string): string => {
  const plain = path.split(/[?#]/, 1)[0]!
  let end = plain.length
  while (plain[end - 1] === "/") end -= 1
  return `/${plain.slice(0, end)}`
}

/** By the end of the path, over a WebSocket. Its model calls are messages, not requests. */
const socketEndpoints: ReadonlyArray<readonly [RegExp, Endpoint]> = [
  [/\/responses$/, { kind: "llm", operation: "chat", api: "responses" }],
  [/\/realtime$|\/live\/sessions(\/[^/]+\/forks)?$/, { kind: "llm", operation: "chat", api: "realtime" }]
]

/** `path` may carry a query. */
export const socketEndpointOf = (path: string): Endpoint => {
  const plain = plainPath(path)
  return socketEndpoints.find(([pattern]) => pattern.test(plain))?.[1] ?? other
}
