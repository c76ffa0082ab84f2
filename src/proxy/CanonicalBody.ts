/** When two request bodies ask the same. */
import { isUtf8 } from "node:buffer"
import { hash } from "node:crypto"
import { endpointOf } from "../openai/Endpoint.js"
import { isObject, parseJson, utf8Of } from "../openai/Json.js"
import { endOfText } from "../openai/jsonBytes.js"
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
  const bytes = Buffer.from(text, "latin1")
  // What is not UTF-8 would all be the same character.
  const value = isUtf8(bytes) ? parseJson(withLongNumbers(utf8Of(bytes))) : undefined
  if (value === undefined) return sha256Of(text)
  return sha256Of(canonicalJson(
    isObject(value) && endpointOf(method, path).kind !== "http"
      ? Object.fromEntries(Object.entries(value).filter(([key]) => !labels.includes(key)))
      : value
  ))
}

/** The JSON with its long numbers as texts: parsed, many of them would be one and the same number. */
const withLongNumbers = (json: string): string => {
  if (!/\d{16}/.test(json)) return json
  let exact = ""
  for (let at = 0; at < json.length;) {
    const open = json.indexOf("\"", at)
    const end = open === -1 ? json.length : open
    exact += json.slice(at, end).replaceAll(/-?\d[\d.eE+-]{15,}/g, "\"number $&\"")
    at = open === -1 ? end : endOfText(json, open)
    exact += json.slice(end, at)
  }
  return exact
}

/** Of a multipart body (RFC 2046, section 5.1.1): its first line, which its last repeats. */
const boundaryOf = (text: string): string | null => {
  const first = /^--([^\r\n]{1,70})\r\n/.exec(text)?.[1]
  return first !== undefined && text.trimEnd().endsWith(`--${first}--`) ? first : null
}

export const sha256Of = (content: Uint8Array | string): string => hash("sha256", content, "hex")
