/**
 * Who may ask at all, decided before anything of a request is acted on. Plain functions of its head.
 *
 * A page of another site can make a browser call a server on loopback. A name that it made resolve to 127.0.0.1 shows in
 * `Host`, a cross-site request in `Origin` or `Sec-Fetch-Site`. Programs send neither, and pass.
 */
import { createHash, timingSafeEqual } from "node:crypto"
import type { IncomingMessage } from "node:http"
import type { ProblemKind } from "./Problem.js"

export interface AccessOptions {
  /** The address that the server listens on. */
  readonly bindHost: string
  /** Callers must show it as a bearer token; null asks nobody on loopback, and admits nobody off it. */
  readonly token: string | null
  /** Who acts when no token is asked for. */
  readonly localPrincipal: string
}

export interface Refused {
  readonly kind: ProblemKind
  readonly message: string
}

/** Whom the logs name when the token was shown. */
export const tokenPrincipal = "token:dashboard"

/** A token that can be guessed is none. */
export const tokenLengthMin = 16

/** The largest body of an action. */
export const bodyBytesMax = 64 * 1024

export class Access {
  private readonly tokenHash: Buffer | null

  constructor(private readonly options: AccessOptions) {
    this.tokenHash = options.token === null ? null : sha256(options.token)
  }

  /** Who asks, or why the request is refused. */
  admit(request: IncomingMessage): { readonly principal: string } | Refused {
    const { headers } = request
    if (!this.isOwnHost(request)) {
      return { kind: "misdirected", message: "the dashboard does not answer under this host name" }
    }
    if (isForeign(request)) return { kind: "forbidden", message: "pages of other sites may not call the dashboard" }
    const principal = this.principalOf(headers.authorization)
    if (principal === null) {
      return { kind: "unauthorized", message: "the dashboard needs its token: Authorization: Bearer <token>" }
    }
    return { principal }
  }

  private principalOf(authorization: string | undefined): string | null {
    if (this.tokenHash === null) return isLoopback(this.options.bindHost) ? this.options.localPrincipal : null
    const [, shown = ""] = /^Bearer +(\S+)$/i.exec(authorization ?? "") ?? []
    // Hashes have one length, and are compared in constant time.
    return timingSafeEqual(sha256(shown), this.tokenHash) ? tokenPrincipal : null
  }

  private isOwnHost({ headers, rawHeaders, socket }: IncomingMessage): boolean {
    const hosts = rawHeaders.filter((name, index) => index % 2 === 0 && name.toLowerCase() === "host")
    const [, name] = /^(\[[0-9a-f:.]+\]|[^\s/\\@:?#[\]]+)(?::\d{1,5})?$/i.exec(headers.host ?? "") ?? []
    if (name === undefined || hosts.length !== 1) return false
    const host = plain(name)
    return isLoopback(host) || host === plain(this.options.bindHost) || host === plain(socket.localAddress ?? "")
  }
}

/** Whether a request carries what it must for an action: a JSON body of a stated, bounded size. */
export const bodyProblem = ({ headers }: IncomingMessage): Refused | null => {
  if (!/^application\/json *(?:;|$)/i.test(headers["content-type"] ?? "")) {
    return { kind: "mediaType", message: "an action is application/json" }
  }
  if (headers["content-length"] === undefined) {
    return { kind: "lengthRequired", message: "an action states its Content-Length" }
  }
  return Number(headers["content-length"]) > bodyBytesMax
    ? { kind: "tooLarge", message: `an action is at most ${bodyBytesMax} bytes` }
    : null
}

/** A browser's request that no page of this server made. A link that a person follows to it reads, and may. */
const isForeign = ({ headers, method }: IncomingMessage): boolean => {
  const { host = "", origin } = headers
  if (origin !== undefined) return origin.replace(/^https?:\/\//i, "").toLowerCase() !== host.toLowerCase()
  const site = headers["sec-fetch-site"]
  if (site === undefined || site === "same-origin" || site === "none") return false
  return method !== "GET" || headers["sec-fetch-mode"] !== "navigate"
}

/** Whether only this machine can reach a server that listens there. */
export const isLoopback = (host: string): boolean => {
  const name = plain(host)
  return name === "localhost" || name.endsWith(".localhost") || name === "::1" || /^127(?:\.\d{1,3}){3}$/.test(name)
}

/** Lower case, without brackets, a closing dot and the prefix of an IPv4 address in IPv6. */
const plain = (host: string) => host.toLowerCase().replace(/^\[|\]$|\.$/g, "").replace(/^::ffff:(?=[\d.]+$)/, "")

const sha256 = (text: string) => createHash("sha256").update(text).digest()
