/** What a request shows that must not be written down, wherever else it turns up: an upstream may repeat a key in its answer. */
import { HeaderNames } from "./HeaderNames.js"
import { keyOfProtocol } from "./KeyRing.js"

/** Where the APIs of today take a key. */
export const keyHeaders: ReadonlyArray<string> = [
  "authorization",
  "proxy-authorization",
  "api-key",
  "x-api-key",
  "x-goog-api-key",
  "x-auth-token",
  "ocp-apim-subscription-key",
  "cookie"
]

/** Where a browser puts a key that it cannot send otherwise. */
const protocolHeader = "sec-websocket-protocol"

/** Most texts that are looked for in what is recorded of one call. */
const secretsMax = 16
/** A shorter text is in too many others; one that a rule asks for may be shorter. */
const keyLengthMin = 8
const namedLengthMin = 4
/** A shorter text without a digit is a word that stands for a key where none is needed, such as `not-needed`. */
const wordLengthMax = 15

export class RequestSecrets {
  private readonly names: HeaderNames
  private readonly usual = new HeaderNames(keyHeaders)
  private readonly looked: HeaderNames

  /** `names` are lower-case. */
  constructor(names: ReadonlyArray<string>) {
    this.names = new HeaderNames(names)
    this.looked = new HeaderNames([...names, protocolHeader])
  }

  /** The secrets of a request with these raw headers and this path, and the key that goes up in place of its own. */
  of(raw: ReadonlyArray<string>, path: string, upstreamKey: string | null): ReadonlyArray<string> {
    const secrets: Array<string> = []
    const add = (text: string, lengthMin = keyLengthMin) => {
      const isLong = text.length >= lengthMin
      const isKey = lengthMin < keyLengthMin || text.length > wordLengthMax || /\d/.test(text)
      if (!isLong || !isKey) return
      for (const form of formsOf(text)) if (secrets.length < secretsMax && !secrets.includes(form)) secrets.push(form)
    }
    if (upstreamKey !== null) add(upstreamKey)
    for (let index = 0; index < raw.length; index += 2) {
      if (!this.looked.has(raw[index]!)) continue
      const name = raw[index]!.toLowerCase()
      if (name === protocolHeader) add(keyOfProtocol(raw[index + 1]!) ?? "")
      if (!this.names.has(name)) continue
      const value = raw[index + 1]!.trim()
      if (!this.usual.has(name)) add(value, namedLengthMin)
      else if (name === "cookie") { for (const pair of value.split(";")) add(pair.slice(pair.indexOf("=") + 1).trim()) }
      else for (const credential of credentialsIn(value)) add(credential)
    }
    if (path.includes("?")) { for (const value of secretParameters(path)) add(value) }
    return secrets
  }
}

/** What stands behind the scheme of an `Authorization`, and what an upstream may read out of it (RFC 9110, 11.4; RFC 7617). */
const credentialsIn = (value: string): ReadonlyArray<string> => {
  // Not by a pattern: it would try each place of a long word anew.
  const last = value.slice(Math.max(value.lastIndexOf(" "), value.lastIndexOf("\t")) + 1)
  if (/^basic\s/i.test(value)) {
    const pair = Buffer.from(last, "base64").toString()
    const colon = pair.indexOf(":")
    return [last, pair.slice(0, Math.max(colon, 0)), pair.slice(colon + 1)]
  }
  if (!value.includes(",") && !last.includes("=\"")) return [last]
  const parameters = value.slice(value.search(/\s/) + 1).split(",").map((text) => text.trim())
  const secret = parameters.filter((text) => !publicParameter.test(text))
  return [last, ...secret.map((text) => text.slice(text.indexOf("=") + 1))]
}

/** Of `Digest` and `OAuth`: the request's own address, and whose users there are. A record without them would be of another call. */
const publicParameter = /^(?:uri|realm)\s*=/i

/** A secret as it is, and as JSON quotes it; of one that is itself in quotes, as a cookie may be, what they hold. */
const formsOf = (text: string): ReadonlyArray<string> => {
  const inner = /^"(.{8,})"$/.exec(text)?.[1] ?? text
  return [
    inner,
    ...(/["\\]/.test(inner) ? [JSON.stringify(inner).slice(1, -1)] : []),
    // A header is read as Latin-1, whatever its sender meant, and what repeats it as bytes of UTF-8 or as their text.
    ...(/[\u0080-\u00FF]/.test(inner)
      ? [Buffer.from(inner).toString("latin1"), Buffer.from(inner, "latin1").toString()]
      : [])
  ]
}

/** Some APIs take their key as a query parameter: its value is not for the record. */
export const pathWithoutSecrets = (path: string): string => {
  const start = path.indexOf("?")
  if (start === -1) return path
  const parameters = parametersOf(path).map(({ isSecret, name, text }) => isSecret ? `${name}=REDACTED` : text)
  return `${path.slice(0, start)}?${parameters.join("")}`
}

/** As they are written, which is how an upstream may quote a URL, and as they are meant. */
const secretParameters = (path: string): ReadonlyArray<string> =>
  parametersOf(path).flatMap(({ isSecret, name, text }) => {
    const value = text.slice(name.length + 1)
    return isSecret ? [value, decoded(value)] : []
  })

/** The parameters of a path's query, each behind what parts it from the one before it; one without a value is no secret. */
const parametersOf = (path: string) =>
  path.slice(path.indexOf("?") + 1).split(/([&;])/).map((text) => {
    const equals = text.indexOf("=")
    const name = equals === -1 ? text : text.slice(0, equals)
    return { text, name, isSecret: equals !== -1 && secretName.test(decoded(name)) }
  })

const secretName = /key|token|secret|passw|pwd|auth|jwt|bearer|signature|^sig$|credential|^code$/i

const decoded = (text: string): string => {
  try {
    return decodeURIComponent(text)
  } catch {
    return text
  }
}
