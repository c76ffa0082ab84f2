import * as Effect from "effect/Effect"
import { createHash, randomBytes } from "node:crypto"
import { createServer, type IncomingMessage } from "node:http"
import { type AddressInfo, connect, type Socket } from "node:net"
import { FrameReader } from "../../src/openai/WebSocketFrames.js"

interface FrameOptions {
  readonly opcode?: number
  readonly isFinal?: boolean
  readonly mask?: Uint8Array | null
}

/** A frame by the book (RFC 6455, section 5.2). */
export const frame = (
  payload: Uint8Array | string,
  { isFinal = true, mask = null, opcode = 1 }: FrameOptions = {}
): Buffer => {
  const bytes = Buffer.from(payload as string)
  const head = [(isFinal ? 128 : 0) | opcode]
  const bit = mask === null ? 0 : 128
  if (bytes.length < 126) head.push(bit | bytes.length)
  else if (bytes.length < 65536) head.push(bit | 126, bytes.length >> 8, bytes.length & 255)
  else head.push(bit | 127, 0, 0, 0, 0, ...[24, 16, 8, 0].map((shift) => (bytes.length >>> shift) & 255))
  if (mask === null) return Buffer.concat([Buffer.from(head), bytes])
  return Buffer.concat([Buffer.from(head), mask, bytes.map((byte, index) => byte ^ mask[index % 4]!)])
}

/** As a client sends it. */
export const clientFrame = (payload: Uint8Array | string, options: FrameOptions = {}) =>
  frame(payload, { mask: randomBytes(4), ...options })

export const acceptOf = (key: string | undefined) =>
  createHash("sha1").update(`${key}258EAFA5-E914-47DA-95CA-C5AB0DC85B11`).digest("base64")

/** The server's end of a connection. */
export interface Peer {
  readonly request: IncomingMessage
  readonly socket: Socket
  readonly send: (message: string) => void
  /** Everything that has come, as it came. */
  readonly bytes: () => Buffer
  readonly messages: ReadonlyArray<string>
  /** Code of the close frame that has come. */
  readonly closeCode: () => number | null
}

/**
 * A WebSocket server on a free loopback port, closed with the scope. Answers close frames, as servers do; every message is
 * given to `onMessage`. Plain requests are answered 426.
 */
export const webSocketUpstream = (
  onMessage: (peer: Peer, message: string) => void,
  onOpen: (peer: Peer) => void = () => {}
) =>
  Effect.acquireRelease(
    Effect.async<{ readonly server: ReturnType<typeof createServer>; readonly peers: Array<Peer> }>((resume) => {
      const peers: Array<Peer> = []
      const server = createServer((_request, response) => {
        response.writeHead(426, { "x-from": "upstream" })
        response.end("upgrade, please")
      })
      server.on("upgrade", (request, duplex, head) => {
        const peer = peerOf(request, duplex as Socket, onMessage)
        peers.push(peer)
        onOpen(peer)
        if (head.length > 0) duplex.unshift(head)
      })
      server.listen(0, "127.0.0.1", () => resume(Effect.succeed({ server, peers })))
    }),
    ({ peers, server }) =>
      Effect.async<void>((resume) => {
        for (const { socket } of peers) socket.destroy()
        server.close(() => resume(Effect.void))
        server.closeAllConnections()
      })
  ).pipe(Effect.map(({ peers, server }) => ({
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    peers: peers as ReadonlyArray<Peer>
  })))

const peerOf = (request: IncomingMessage, socket: Socket, onMessage: (peer: Peer, message: string) => void): Peer => {
  const chunks: Array<Buffer> = []
  const messages: Array<string> = []
  let parts: Array<Uint8Array> = []
  let closeCode: number | null = null
  const peer: Peer = {
    request,
    socket,
    send: (message) => void socket.write(frame(message)),
    bytes: () => Buffer.concat(chunks),
    messages,
    closeCode: () => closeCode
  }
  const reader = new FrameReader({
    begin: () => {
      parts = []
    },
    part: (part) => parts.push(Buffer.from(part)),
    end: () => {
      const message = Buffer.concat(parts).toString()
      messages.push(message)
      onMessage(peer, message)
    },
    control: (opcode, payload) => {
      if (opcode !== 8) return
      closeCode = payload.length < 2 ? 1005 : Buffer.from(payload).readUInt16BE()
      if (!socket.writableEnded) socket.end(frame(payload, { opcode: 8 }))
    }
  })
  socket.write(
    `HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nX-From: upstream\r\n` +
      `Sec-WebSocket-Accept: ${acceptOf(request.headers["sec-websocket-key"])}\r\n\r\n`
  )
  socket.on("error", () => {}).on("data", (chunk) => {
    chunks.push(chunk)
    reader.read(chunk)
  }).on("end", () => socket.end())
  return peer
}

/** A client that sends exactly what it is told to. */
export interface RawClient {
  readonly socket: Socket
  readonly bytes: () => Buffer
  /** `open`, `clean` once the other side has ended, `broken` after an error. */
  readonly state: () => "open" | "clean" | "broken"
}

export const rawClient = (origin: string) =>
  Effect.acquireRelease(
    Effect.sync((): RawClient => {
      const socket = connect({ port: Number(new URL(origin).port), host: "127.0.0.1", allowHalfOpen: true })
      const chunks: Array<Buffer> = []
      let state: "open" | "clean" | "broken" = "open"
      socket.on("data", (chunk) => chunks.push(chunk)).on("error", () => {
        state = "broken"
      }).on("end", () => {
        if (state === "open") state = "clean"
      })
      return { socket, bytes: () => Buffer.concat(chunks), state: () => state }
    }),
    ({ socket }) => Effect.sync(() => socket.destroy())
  )

export const handshake = (path: string, headers: ReadonlyArray<string> = []) =>
  [
    `GET ${path} HTTP/1.1`,
    "Host: localhost",
    "Connection: Upgrade",
    "Upgrade: websocket",
    "Sec-WebSocket-Version: 13",
    "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==",
    ...headers,
    "",
    ""
  ].join("\r\n")
