/**
 * Which requests this proxy answers at all, decided before anything else is read of them: those that a program sent here on
 * purpose, not a web page that the machine's user happens to look at.
 *
 * A page of another site can make a browser call a server on loopback. A name that it made resolve to 127.0.0.1 shows in `Host`,
 * a plain cross-site request in `Origin` or `Sec-Fetch-Site`. Programs send neither, and pass.
 */
import type { IncomingMessage, ServerResponse } from "node:http"
import { hostName, isLoopbackName, isSame, plainHost } from "../http/HostName.js"
import { withoutQuery } from "../openai/Endpoint.js"
import type { Refusal } from "./ProxyError.js"

export interface GuardOptions {
  /** The address that the proxy listens on. */
  readonly bindHost: string
  /** Further names, without port, under which clients may reach it. */
  readonly allowedHosts: ReadonlyArray<string>
  /** Origins of web pages that may call it, such as `https://app.example`. */
  readonly allowedOrigins: ReadonlyArray<string>
}

export interface GuardRefusal {
  readonly kind: Extract<Refusal, "target" | "host" | "origin" | "malformed">
  readonly message: string
}

/** Decides over a request, a WebSocket's upgrade too: null when it may pass. */
export type RequestGuard = (request: IncomingMessage) => GuardRefusal | null

export const requestGuard = ({ allowedHosts, allowedOrigins, bindHost }: GuardOptions): RequestGuard => {
  const hosts = new Set([bindHost, ...allowedHosts].map((host) => plainHost(host)))
  const origins = new Set(allowedOrigins.map((origin) => origin.toLowerCase()))
  // Almost every request shows the same few values, and they are compared as they are.
  const known = new Set<string>()
  return (request) => {
    const target = targetProblem(request.url ?? "")
    if (target !== null) return { kind: "target", message: target }
    const { headers } = request
    // Node undoes `chunked` alone; a body sent on without the name of a coding that is left would mean something else.
    const coding = headers["transfer-encoding"]
    if (coding !== undefined && coding.toLowerCase() !== "chunked") {
      return { kind: "malformed", message: "the only transfer coding of requests here is chunked" }
    }
    const host = headers.host ?? ""
    if (!known.has(host) || hasSecondHost(request.rawHeaders)) {
      const problem = hostProblem(request, hosts)
      if (problem !== null) return problem
      if (known.size < knownMax) known.add(host)
    }
    const { origin } = headers
    if (origin !== undefined) {
      if (origins.has(origin.toLowerCase()) || isSame(origin, host)) return null
      return { kind: "origin", message: "web pages of another origin may not call this proxy" }
    }
    return headers["sec-fetch-site"] === "cross-site"
      ? { kind: "origin", message: "web pages of another site may not call this proxy" }
      : null
  }
}

const knownMax = 64

/** What is wrong with a request target, or null. It is sent on as it is, so it must mean one thing to everybody. */
const targetProblem = (target: string): string | null => {
  if (target.charCodeAt(0) !== slash) return "the request target must be a path on this server"
  if (!unusual.test(target)) return null
  const path = withoutQuery(target)
  if (path.startsWith("//")) return "the path begins with two slashes"
  if (/[\\#]|%(?:00|0a|0d)/i.test(path)) return "the path has a backslash, a fragment or a control character"
  return dots.test(path) ? "the path has a segment of dots" : null
}

const slash = 47
/** What a path needs to be looked at more closely; most have none of it before their query. */
const unusual = /^\/\/|^[^?]*(?:[\\#%]|\/\.)/
/** `.` and `..` between slashes of any spelling, which some servers resolve and others do not. */
const dots = /(?:[/\\]|%2f|%5c)(?:\.|%2e){1,2}(?:$|[/\\;]|%2f|%5c)/i

const hasSecondHost = (raw: ReadonlyArray<string>): boolean => {
  let count = 0
  for (let index = 0; index < raw.length; index += 2) {
    if (raw[index]!.length === 4 && raw[index]!.toLowerCase() === "host") count += 1
  }
  return count > 1
}

const hostProblem = (
  { headers, rawHeaders, socket }: IncomingMessage,
  hosts: ReadonlySet<string>
): GuardRefusal | null => {
  const { host } = headers
  if (host === undefined || host === "") return { kind: "target", message: "the request names no host" }
  if (hasSecondHost(rawHeaders)) return { kind: "target", message: "the request names more than one host" }
  const name = hostName(host)
  const isKnown = name !== null &&
    (isLoopbackName(name) || hosts.has(name) || name === plainHost(socket.localAddress ?? ""))
  if (isKnown) return null
  return {
    kind: "host",
    message: "this proxy does not answer under that host name; "
      + "--prompt-optimization-proxy-allowed-hosts names more than it knows"
  }
}

/**
 * Lets the page of an allowed origin read the answer (the Fetch standard's CORS protocol). True when the request was a
 * preflight, which is answered here and goes no further.
 */
export const answerCors = ({ headers, method }: IncomingMessage, response: ServerResponse): boolean => {
  const { origin } = headers
  if (origin === undefined) return false
  response.setHeader("access-control-allow-origin", origin)
  response.setHeader("vary", "Origin")
  const asked = headers["access-control-request-method"]
  if (method !== "OPTIONS" || asked === undefined) {
    response.setHeader("access-control-expose-headers", exposed)
    return false
  }
  response.setHeader("access-control-allow-methods", asked)
  const wanted = headers["access-control-request-headers"]
  if (typeof wanted === "string") response.setHeader("access-control-allow-headers", wanted)
  response.setHeader("access-control-max-age", "600")
  response.writeHead(204)
  response.end()
  return true
}

const exposed = "x-request-id, retry-after, openai-processing-ms, openai-version, x-ratelimit-limit-requests, "
  + "x-ratelimit-limit-tokens, x-ratelimit-remaining-requests, x-ratelimit-remaining-tokens, x-ratelimit-reset-requests, "
  + "x-ratelimit-reset-tokens"
