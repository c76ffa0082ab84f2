/**
 * Which headers travel from one hop to the next, over raw header lists: names and values in turn, so that order, case and
 * repetitions stay as they were.
 */

import { HeaderNames } from "./HeaderNames.js"
import { isOwnKey, keyOfProtocol } from "./KeyRing.js"

/** Headers of one hop (RFC 9110, section 7.6.1), and those the proxy sets itself. */
const ofThisHop = [
  "connection",
  "keep-alive",
  "proxy-authenticate",
  "proxy-authorization",
  "proxy-connection",
  "te",
  "trailer",
  "transfer-encoding",
  "upgrade"
]
const hopByHop = new HeaderNames(ofThisHop)

/** Spoken between an agent and this proxy; the upstream must not see them. */
const attribution = ["x-rollout-id", "x-attempt-id", "x-sequence-id", "x-trace-id"]
const notForUpstream = new HeaderNames([...ofThisHop, ...attribution, "host", "expect", "http2-settings"])
const keyCarriers = new HeaderNames(["authorization", "api-key", "x-api-key"])
/** Where no key of ours is looked for; one that is there all the same stops here. */
const otherKeyCarriers = new HeaderNames(["x-goog-api-key", "x-auth-token", "ocp-apim-subscription-key"])
const protocolOffer = new HeaderNames(["sec-websocket-protocol"])

/** Names that a `Connection` header may not drop: they carry meaning end to end. */
const kept = /^(authorization|content-|host$|x-api-key$|api-key$)/

export interface Credentials {
  /** Which of the caller's keys are good for this proxy only, and stop here. */
  readonly strip: "all" | "own" | "none"
  /** The provider's key, set in place of the caller's. */
  readonly key: string | null
  /** Where the provider looks for its key. */
  readonly keyHeader: KeyHeader
  /** The id of the key of ours that the caller showed; absent where it showed none. */
  readonly clientKeyId?: string
}

export type KeyHeader = "authorization" | "x-api-key" | "api-key"

/** Request headers for the upstream. */
export const toUpstream = (raw: ReadonlyArray<string>, credentials: Credentials): Array<string> => {
  const { key, keyHeader, strip } = credentials
  const named = connectionNames(raw)
  const headers: Array<string> = []
  for (let index = 0; index < raw.length; index += 2) {
    const name = raw[index]!
    if (notForUpstream.has(name) || named?.has(name.toLowerCase()) === true) continue
    if (keyCarriers.has(name)) {
      if (strip === "all" || key !== null || (strip === "own" && isOwnKey(raw[index + 1]!))) continue
    } else if (otherKeyCarriers.has(name) && isOwnKey(raw[index + 1]!)) continue
    const value = protocolOffer.has(name) ? withoutKey(raw[index + 1]!, credentials) : raw[index + 1]!
    if (value !== "" || raw[index + 1] === "") headers.push(name, value)
  }
  if (key !== null) headers.push(keyHeader, keyHeader === "authorization" ? `Bearer ${key}` : key)
  return headers
}

/** Headers that speak of the bytes of a body which is not the one that is sent. */
const ofBytes = new Set(["content-md5", "digest", "content-digest", "repr-digest"])

/** Request headers for a body of another length than the client's. */
export const resized = (headers: ReadonlyArray<string>, length: number): Array<string> => {
  const resized: Array<string> = []
  for (let index = 0; index < headers.length; index += 2) {
    const name = headers[index]!.toLowerCase()
    if (ofBytes.has(name)) continue
    resized.push(headers[index]!, name === "content-length" ? String(length) : headers[index + 1]!)
  }
  return resized
}

/** Request headers for an answer that is to be read on its way: it must not be compressed. */
export const uncompressed = (headers: ReadonlyArray<string>): Array<string> => without(headers, "accept-encoding")

/** Response headers for a body of which something may be taken out. */
export const unsized = (headers: ReadonlyArray<string>): Array<string> => without(resized(headers, 0), "content-length")

const without = (headers: ReadonlyArray<string>, name: string): Array<string> =>
  headers.filter((_, index) => headers[index - index % 2]!.toLowerCase() !== name)

/** Response headers for the client; `isShared` when the proxy itself says which web pages may read the answer. */
export const toClient = (raw: ReadonlyArray<string>, isShared = false): Array<string> => {
  const named = connectionNames(raw)
  const headers: Array<string> = []
  for (let index = 0; index < raw.length; index += 2) {
    const name = raw[index]!
    if (hopByHop.has(name) || named?.has(name.toLowerCase()) === true) continue
    if (isShared && /^access-control-/i.test(name)) continue
    headers.push(name, raw[index + 1]!)
  }
  return headers
}

/**
 * Response headers in an order in which Node writes them all as they are: behind a `content-length` it reads a `content-disposition` as
 * UTF-8, so that the name of a file would leave as another one, or as none that a header may have, over which Node throws.
 */
export const lengthLast = (headers: Array<string>): Array<string> => {
  const disposition = listOf(headers, "content-disposition")
  if (disposition === null || !/[\u0080-\u00FF]/.test(disposition)) return headers
  const length = valueOf(headers, "content-length")
  return length === null ? headers : [...without(headers, "content-length"), "content-length", length]
}

/** The handshake of a WebSocket for the upstream. The offer of extensions stays here: what they change could not be recorded. */
export const toSocketUpstream = (raw: ReadonlyArray<string>, credentials: Credentials): Array<string> =>
  without(toUpstream(raw, credentials), "sec-websocket-extensions")

/** Browsers cannot set headers on a WebSocket: OpenAI takes the key as a protocol that is offered. */
const withoutKey = (protocols: string, { key, strip }: Credentials): string => {
  if (strip === "none" && key === null) return protocols
  return protocols.split(",").filter((name) => {
    const shown = keyOfProtocol(name)
    return shown === null || (strip === "own" && key === null && !isOwnKey(shown))
  }).join(",").trim()
}

/** The answer to a WebSocket handshake, for the client. */
export const toSocketClient = (raw: ReadonlyArray<string>): string => {
  const headers = toClient(raw)
  let head = "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
  for (let index = 0; index < headers.length; index += 2) head += `${headers[index]}: ${headers[index + 1]}\r\n`
  return `${head}\r\n`
}

/** Trailers that may be sent on. Those that frame a message (RFC 9110, section 6.5.1), or are no header text, are dropped. */
export const trailersOf = (raw: ReadonlyArray<string>): Array<[string, string]> => {
  const headers = toClient(raw)
  const trailers: Array<[string, string]> = []
  for (let index = 0; index < headers.length; index += 2) {
    const [name, value] = [headers[index]!, headers[index + 1]!]
    if (!/^content-/i.test(name) && /^[\t\u0020-\u007E\u0080-\u00FF]*$/.test(value)) trailers.push([name, value])
  }
  return trailers
}

/** A reason phrase that may be sent on: what is not Latin-1 text is dropped, for it would not pass (RFC 9112, section 4). */
export const phraseOf = (message = ""): string =>
  /^[\u0020-\u007E]*$/.test(message) ? message : message.replaceAll(/[^\t\u0020-\u007E\u0080-\u00FF]/g, "")

/** Whether a body may follow the head of this answer. */
export const hasBody = (method: string | undefined, status: number): boolean =>
  method !== "HEAD" && status !== 204 && status !== 304

/** Those of a controller, whose type knows of other kinds as well. */
export const textOf = (raw: unknown): ReadonlyArray<string> => Array.isArray(raw) ? raw as Array<string> : []

/** Value of the first header of that lower-case name. */
export const valueOf = (raw: ReadonlyArray<string>, name: string): string | null => {
  for (let index = 0; index < raw.length; index += 2) {
    if (raw[index]!.length === name.length && raw[index]!.toLowerCase() === name) return raw[index + 1]!
  }
  return null
}

/** Values of all headers of that lower-case name, as one list; null when there are none. */
export const listOf = (raw: ReadonlyArray<string>, name: string): string | null => {
  let list: string | null = null
  for (let index = 0; index < raw.length; index += 2) {
    if (raw[index]!.length !== name.length || raw[index]!.toLowerCase() !== name) continue
    list = list === null ? raw[index + 1]! : `${list}, ${raw[index + 1]!}`
  }
  return list
}

/** Further headers of this hop, which any number of `Connection` headers may name; null when there are none. */
const connectionNames = (raw: ReadonlyArray<string>): ReadonlySet<string> | null => {
  let names: Set<string> | null = null
  for (let index = 0; index < raw.length; index += 2) {
    if (raw[index]!.length !== 10 || raw[index]!.toLowerCase() !== "connection") continue
    const value = raw[index + 1]!
    if (value === "keep-alive" || value === "close") continue
    names ??= new Set()
    for (const name of value.split(",")) {
      const plain = name.trim().toLowerCase()
      if (!kept.test(plain)) names.add(plain)
    }
  }
  return names
}
