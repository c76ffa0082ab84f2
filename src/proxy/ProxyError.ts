/** Everything the proxy itself answers with an error. An upstream's 4xx or 5xx is not here: it is an answer, and passes. */
import * as Schema from "effect/Schema"
import type { ServerResponse } from "node:http"
import { errors } from "../http/Undici.js"
import { errorBody } from "../openai/ErrorBody.js"

/** The proxy could not start: its address is taken or refused, or its upstream is no URL. */
export class ProxyStartError extends Schema.TaggedError<ProxyStartError>()("ProxyStartError", {
  detail: Schema.String
}) {
  override get message() {
    return this.detail
  }
}

/** The one place where a refusal or failure gets its HTTP status. */
export const refusals = {
  target: { status: 400, code: "training_proxy_bad_request_target" },
  host: { status: 421, code: "training_proxy_host_not_allowed" },
  origin: { status: 403, code: "training_proxy_origin_not_allowed" },
  attribution: { status: 400, code: "training_proxy_missing_or_invalid_attribution_header" },
  malformed: { status: 400, code: "training_proxy_malformed_request" },
  headTooLarge: { status: 431, code: "training_proxy_request_head_too_large" },
  key: { status: 401, code: "invalid_api_key" },
  keyScope: { status: 403, code: "training_proxy_key_out_of_scope" },
  upstreamKey: { status: 401, code: "training_proxy_upstream_key_missing" },
  stalled: { status: 408, code: "training_proxy_request_timeout" },
  tooLarge: { status: 413, code: "training_proxy_request_too_large" },
  rewrite: { status: 426, code: "training_proxy_rewrite_needs_http" },
  expectation: { status: 417, code: "training_proxy_expectation_failed" },
  connect: { status: 501, code: "training_proxy_connect_not_supported" },
  idle: { status: 408, code: "training_proxy_websocket_idle" },
  shutdown: { status: 503, code: "training_proxy_shutdown" },
  unread: { status: 408, code: "training_proxy_client_stalled" },
  busy: { status: 503, code: "training_proxy_too_many_calls" },
  store: { status: 503, code: "training_proxy_store_unavailable" },
  recording: { status: 503, code: "training_proxy_recording_full" },
  unreachable: { status: 502, code: "training_proxy_upstream_request_failed" },
  unreadable: { status: 502, code: "training_proxy_upstream_response_read_failed" },
  silent: { status: 504, code: "training_proxy_upstream_timeout" },
  overlong: { status: 504, code: "training_proxy_call_timeout" }
} as const

export type Refusal = keyof typeof refusals

/** What a span says of a call that failed. */
export interface CallError {
  readonly code: string
  readonly message: string
}

/** What an error of the upstream connection means to the caller; `headSeen` when the status line had arrived. */
export const failureOf = (error: Error, headSeen: boolean): "unreachable" | "unreadable" | "silent" => {
  if (error instanceof errors.HeadersTimeoutError || error instanceof errors.BodyTimeoutError) return "silent"
  if (headSeen || error instanceof errors.HTTPParserError || senseless.has(causeOf(error)) || isSenseless(error)) {
    return "unreadable"
  }
  return "unreachable"
}

/** How a call ended that was refused or failed so. */
export const stateOf = (kind: Refusal): "timeout" | "refused" | "upstream_error" => {
  if (kind === "silent" || kind === "stalled" || kind === "overlong" || kind === "unread") return "timeout"
  return kind === "tooLarge" || kind === "malformed" ? "refused" : "upstream_error"
}

/** Codes that speak of an answer which came and could not be understood. */
const senseless = new Set(["UND_ERR_HEADERS_OVERFLOW", "UND_ERR_RES_CONTENT_LENGTH_MISMATCH"])

/** An answer that no request asked for: a change of protocol, say. */
const isSenseless = (error: Error) => error instanceof errors.SocketError && error.message.startsWith("bad ")

/** Causes of a call whose connection had been made, or was there from the call before. */
const closed = new Set(["UND_ERR_SOCKET", "ECONNRESET", "EPIPE"])

/** A short cause for logs and spans: the code of the error, and no address that might hold a secret. */
export const causeOf = (error: Error): string => {
  const { code } = error as NodeJS.ErrnoException
  return code === undefined ? error.name : code
}

/** Answers with an error of ours, in OpenAI's shape. */
export const refuse = (outgoing: ServerResponse, kind: Refusal, message: string): void => {
  const { code, status } = refusals[kind]
  const type = status < 500 ? "invalid_request_error" : "proxy_error"
  const body = Buffer.from(JSON.stringify(errorBody(message, { code, type })))
  outgoing.writeHead(status, {
    "content-type": "application/json",
    "content-length": body.length,
    ...(status === 503 ? { "retry-after": "1" } : {}),
    ...(status === 426 ? { upgrade: "HTTP/1.1" } : {})
  })
  outgoing.end(body)
}

/** What a refused caller is told, given what the refusal is put down to. */
export const messageOf = (kind: Refusal, cause: string, timeoutMs: number): string => {
  switch (kind) {
    case "silent":
      return `the upstream sent nothing for ${timeoutMs} ms, as long as --prompt-optimization-proxy-timeout-ms lets it`
    case "unreadable":
      return `the upstream's answer broke off or could not be read (${cause})`
    case "unreachable":
      return closed.has(cause)
        ? `the upstream closed the connection before it had answered (${cause})`
        : `the upstream could not be reached (${cause})`
    default:
      return cause
  }
}
