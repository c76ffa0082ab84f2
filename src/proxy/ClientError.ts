/** What is answered to bytes that Node's server could not read as a request. */
import { type IncomingMessage, STATUS_CODES } from "node:http"
import type { Duplex } from "node:stream"
import { errorBody } from "../openai/ErrorBody.js"
import { Call } from "./Call.js"
import { type Refusal, refusals } from "./ProxyError.js"

const kinds: Readonly<Record<string, { readonly kind: Refusal; readonly message: string }>> = {
  HPE_HEADER_OVERFLOW: { kind: "headTooLarge", message: "the head of the request is too large" },
  HPE_CHUNK_EXTENSIONS_OVERFLOW: { kind: "malformed", message: "the request's chunk extensions are too large" },
  ERR_HTTP_REQUEST_TIMEOUT: { kind: "stalled", message: "the head of the request did not come in time" }
}

/** The last request on each connection that was refused, perhaps before all of it had come. */
const refusedLast = new WeakMap<Duplex, IncomingMessage>()

export const noteRefused = (request: IncomingMessage): void => void refusedLast.set(request.socket, request)

/** Connections of which no more can be read, and whose last call knows it. Each further piece that comes is an error of its own. */
const unreadable = new WeakSet<Duplex>()

/**
 * Answers in our error shape and closes the connection. A call of this connection whose own body has become unreadable is
 * refused; one whose request had come whole gets its answer first, for the error belongs to what followed it. Returns what
 * was refused, or null when it was a call that was, or nobody is left to answer.
 */
export const answerClientError = (
  error: NodeJS.ErrnoException,
  socket: Duplex,
  calls: Iterable<unknown>
): Refusal | null => {
  const { kind, message } = kinds[error.code ?? ""] ?? {
    kind: "malformed" as const,
    message: `the request is not readable as HTTP/1.1 (${error.code ?? "unknown"})`
  }
  // What follows the head of a request that has been answered gets no answer of its own.
  if (refusedLast.get(socket)?.complete === false) {
    socket.end(() => socket.destroy())
    return null
  }
  // The end of the connection within a request is a client that left.
  const hasLeft = error.code === "HPE_INVALID_EOF_STATE"
  if (unreadable.has(socket) && !hasLeft && socket.writable) return null
  const own = [...calls].filter((call) => call instanceof Call).filter((call) => call.isOn(socket))
  if (own.length > 0 && !hasLeft && socket.writable) {
    unreadable.add(socket)
    own.reduce((last, call) => call.startedAt > last.startedAt ? call : last).endOfInput(message)
    return null
  }
  if (!socket.writable || own.some((call) => call.isAnswering)) {
    socket.destroy()
    return null
  }
  const { code, status } = refusals[kind]
  const body = JSON.stringify(errorBody(message, { code, type: "invalid_request_error" }))
  const head = `HTTP/1.1 ${status} ${STATUS_CODES[status]}`
  const lines = [
    head,
    "content-type: application/json",
    `content-length: ${Buffer.byteLength(body)}`,
    "connection: close"
  ]
  socket.end(`${lines.join("\r\n")}\r\n\r\n${body}`, () => socket.destroy())
  return kind
}
