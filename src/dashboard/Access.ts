/**
 * Who may ask at all, decided before anything of a request is acted on. Plain functions of its head.
 *
 * A page of another site can make a browser call a server on loopback. A name that it made resolve to 127.0.0.1 shows in
 * `Host`, a cross-site request in `Origin` or `Sec-Fetch-Site`. Programs send neither, and pass.
 */
import { createHash, timingSafeEqual } from "node:crypto"
import type { IncomingMessage } from "node:http"
import { hostName, isLoopback, isLoopbackName, isSame, plainHost } from "../http/HostName.js"
import type { ProblemKind } from "./Problem.js"

export interface AccessOptions {
  /** The address that the server listens on. */
  readonly bindHost: string
  /** Further names, without port, under which clients may reach it. */
  readonly allowedHosts?: ReadonlyArray<string> | undefined
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
const tokenPrincipal = "token:dashboard"

const otherName = "the dashboard does not answer under this host name: --allowed-hosts of tau dashboard, or "
  + "--prompt-optimization-proxy-allowed-hosts of a proxy, names more than it knows"

/** A token that can be guessed is none. */
export const tokenLengthMin = 16

/** The largest body of an action. */
const bodyBytesMax = 64 * 1024

/** What a browser may do with an answer: nothing but show it to the page that asked. */
export const answerHeaders = [
  ["content-security-policy", "default-src 'none'; frame-ancestors 'none'"],
  ["x-content-type-options", "nosniff"],
  ["referrer-policy", "no-referrer"],
  ["cache-control", "no-store"],
  ["cross-origin-resource-policy", "same-origin"]
] as const

/** Decides by the head of a request alone, and says who asks. */
export class Access {
  private readonly tokenHash: Buffer | null
  private readonly hosts: ReadonlySet<string>

  constructor(private readonly options: AccessOptions) {
    this.hosts = new Set([options.bindHost, ...options.allowedHosts ?? []].map(plainHost))
    this.tokenHash = options.token === null ? null : sha256(options.token)
  }

  /** Who asks, or why the request is refused. */
  admit(request: IncomingMessage): { readonly principal: string } | Refused {
    const { headers } = request
    if (!this.isOwnHost(request)) {
      return { kind: "misdirected", message: otherName }
    }
    if (isForeign(request)) return { kind: "forbidden", message: "pages of other sites may not call the dashboard" }
    const principal = this.principalOf(headers.authorization)
    if (principal === null) {
      const message = this.tokenHash === null
        ? "the dashboard needs a token where other machines reach it, and none is set: TAU_DASHBOARD_TOKEN"
        : "the dashboard needs its token: Authorization: Bearer <token>"
      return { kind: "unauthorized", message }
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
    const host = hostName(headers.host ?? "")
    if (host === null || hosts.length !== 1) return false
    return isLoopbackName(host) || this.hosts.has(host) ||
      host === plainHost(socket.localAddress ?? "")
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
  if (origin !== undefined) return !isSame(origin, host)
  const site = headers["sec-fetch-site"]
  if (site === undefined || site === "same-origin" || site === "none") return false
  return method !== "GET" || headers["sec-fetch-mode"] !== "navigate"
}

const sha256 = (text: string) => createHash("sha256").update(text).digest()
