/** When two request bodies ask the same. */
import { hash } from "node:crypto"
import { endpointOf } from "../openai/Endpoint.js"
import { isObject, parseJson, utf8Of } from "../openai/Json.js"
import { canonicalJson } from "../store/canonicalJson.js"

/** A longer body is compared byte by byte: to parse it would hold up every other call. */
const parsedBytesMax = 4 * 1024 * 1024

/** Fields of a model call that label it and do not change what is asked; agents make up new ones at each start. */
const labels: ReadonlyArray<string> = [
  "metadata",
  "client_metadata",
  "user",
  "safety_identifier",
  "prompt_cache_key"
]

export interface RequestOfAttempt {
  readonly attemptId: string
  readonly method: string
  readonly path: string
}

/**
 * A hash that is the same for bodies that ask the same: JSON whatever the order of its keys and its white space, without
 * the labels of a model call; a form whatever its boundary. The attempt's own id counts as the same text in each attempt.
 */
export const canonicalHash = ({ attemptId, method, path }: RequestOfAttempt, body: Uint8Array): string => {
  if (body.length > parsedBytesMax) return sha256Of(body)
  const text = Buffer.from(body).toString("latin1").replaceAll(attemptId, "<attempt>")
  const boundary = boundaryOf(text)
  if (boundary !== null) return sha256Of(text.replaceAll(boundary, "<boundary>"))
  const value = parseJson(utf8Of(Buffer.from(text, "latin1")))
  if (value === undefined) return sha256Of(text)
  return sha256Of(canonicalJson(
    isObject(value) && endpointOf(method, path).kind !== "http"
      ? Object.fromEntries(Object.entries(value).filter(([key]) => !labels.includes(key)))
      : value
  ))
}

/** Of a multipart body (RFC 2046, section 5.1.1): its first line, which its last repeats. */
const boundaryOf = (text: string): string | null => {
  const first = /^--([^\r\n]{1,70})\r\n/.exec(text)?.[1]
  return first !== undefined && text.trimEnd().endsWith(`--${first}--`) ? first : null
}

export const sha256Of = (content: Uint8Array | string): string => hash("sha256", content, "hex")
