import * as Effect from "effect/Effect"
import { WebSocket } from "undici"
import { toBaseUrl } from "../../src/domain/Attribution.js"
import { Proxy } from "../../src/proxy/Proxy.js"
import { attribution } from "./proxy.js"
import { eventually } from "./upstream.js"
import { handshake, type Peer, type RawClient, rawClient } from "./webSocket.js"

export const base = Effect.map(Proxy, ({ origin }) => toBaseUrl(origin, attribution))
export const path = (rest: string) => `/rollout/r1/attempt/r1:attempt-1${rest}`
export const event = (type: string, fields: object = {}) => JSON.stringify({ type, ...fields })
export const response = (id: string, fields: object = {}) => ({
  object: "response",
  id,
  status: "completed",
  model: "gpt-ws",
  output: [{ type: "message", content: [{ type: "output_text", text: "hello" }] }],
  usage: { input_tokens: 5, output_tokens: 2 },
  ...fields
})

/** Answers each `response.create` with the events of a short answer. */
export const answering = (peer: Peer, message: string) => {
  const asked = JSON.parse(message) as { type: string; stream_id?: string; model: string }
  if (asked.type !== "response.create") return
  const id = `resp-${peer.messages.length}`
  const lane = asked.stream_id === undefined ? {} : { stream_id: asked.stream_id }
  peer.send(event("response.created", { response: { id, object: "response" }, ...lane }))
  peer.send(event("response.output_text.delta", { delta: "hello", output_index: 0, item_id: "i", ...lane }))
  peer.send(event("response.completed", { response: response(id), ...lane }))
}

/** A client of the WHATWG kind, with all that it has heard. */
const webSocketClient = (url: string, headers: Record<string, string>) =>
  Effect.acquireRelease(
    Effect.sync(() => {
      const socket = new WebSocket(url.replace(/^http/, "ws"), { headers })
      const messages: Array<string> = []
      let closed: number | undefined
      let isOpen = false
      socket.addEventListener("message", ({ data }) => messages.push(String(data)))
      socket.addEventListener("close", ({ code }) => {
        closed = code
      })
      socket.addEventListener("open", () => {
        isOpen = true
      })
      socket.addEventListener("error", () => {})
      return { socket, messages, closed: () => closed, isOpen: () => isOpen || undefined }
    }),
    ({ socket }) => Effect.sync(() => socket.close())
  )

export const connected = (rest: string, headers: Record<string, string> = {}) =>
  Effect.gen(function*() {
    const client = yield* webSocketClient((yield* base).replace(/\/v1$/, "") + rest, headers)
    yield* eventually("the connection", Effect.sync(client.isOpen))
    return client
  })

export const until = (what: string, read: () => unknown) =>
  eventually(what, Effect.sync(() => read() === true ? true : undefined))

/** The headers of a client that would speak HTTP/2 without TLS. */
export const h2c = "Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABk\r\n"

/** A client of the proxy that has sent these bytes. */
export const sending = (text: string) =>
  Effect.gen(function*() {
    const client = yield* rawClient((yield* Proxy).origin)
    client.socket.write(text)
    return client
  })

/** A client that has sent its handshake, and whose offer was taken. */
export const rawConnected = (rest: string) =>
  Effect.gen(function*() {
    const client = yield* sending(handshake(path(rest)))
    yield* until("the 101", () => client.bytes().includes("\r\n\r\n"))
    return client
  })

export const afterHead = (client: RawClient) => client.bytes().subarray(client.bytes().indexOf("\r\n\r\n") + 4)

export const echo = (peer: Peer, message: string) => peer.send(`you said ${message}`)
