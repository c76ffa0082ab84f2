/**
 * The Responses API over a WebSocket: each `response.create` is answered with the events that a stream over HTTP has, a message
 * each, on a connection that stays.
 */
import { createHash } from "node:crypto"
import type { IncomingMessage } from "node:http"
import type { Socket } from "node:net"
import { setTimeout as sleep } from "node:timers/promises"
import { isObject, parseJson, textAt } from "../openai/Json.js"
import { closeFrame, controlFrame, FrameReader, textFrame } from "../openai/WebSocketFrames.js"
import { Refusal } from "./ChatRequest.js"
import type { Answer, ServedAnswer } from "./Routes.js"

/** Longest message, in bytes; a longer one closes the connection with 1009. */
const messageBytesMax = 32 * 1024 * 1024

/** RFC 6455, section 4.2.2. */
const acceptOf = (key: string): string =>
  createHash("sha1").update(`${key}258EAFA5-E914-47DA-95CA-C5AB0DC85B11`).digest("base64")

export interface SocketPlan {
  /** The answer to a request's body. */
  readonly ask: (body: Buffer) => Promise<Answer>
  readonly latencyMs: number
  readonly chunkDelayMs: number
  readonly log: (served: ServedAnswer) => void
}

/** One connection, from its handshake on. Requests are answered in the order they came. */
export class ResponsesSocket {
  private readonly reader: FrameReader
  private parts: Array<Uint8Array> = []
  private bytes = 0
  private last: Promise<void> = Promise.resolve()

  private constructor(
    private readonly socket: Socket,
    private readonly plan: SocketPlan
  ) {
    this.reader = new FrameReader({
      begin: () => {
        this.parts = []
        this.bytes = 0
      },
      part: (part) => this.take(part),
      end: () => {
        const message = Buffer.concat(this.parts)
        this.last = this.last.then(() => this.answer(message)).catch(() => void socket.destroy())
      },
      control: (opcode, payload) => {
        if (opcode === 9) this.write(controlFrame(10, payload))
        else if (opcode === 8 && socket.writable) socket.end(controlFrame(8, payload))
      }
    })
  }

  /** Takes the offer of a client, or refuses it as the real server does a path that speaks no WebSocket. */
  static accept(request: IncomingMessage, socket: Socket, head: Uint8Array, plan: SocketPlan): void {
    socket.on("error", () => socket.destroy())
    const key = request.headers["sec-websocket-key"]
    const path = (request.url ?? "").split("?", 1)[0]
    if (path !== "/v1/responses" || key === undefined || request.headers.upgrade?.toLowerCase() !== "websocket") {
      socket.end("HTTP/1.1 404 Not Found\r\ncontent-length: 0\r\nconnection: close\r\n\r\n")
      return
    }
    socket.write(
      "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n" +
        `Sec-WebSocket-Accept: ${acceptOf(key)}\r\n\r\n`
    )
    const opened = new ResponsesSocket(socket, plan)
    if (head.length > 0) socket.unshift(head)
    socket.on("data", (chunk: Buffer) => opened.read(chunk)).on("end", () => socket.end())
  }

  private read(chunk: Uint8Array): void {
    this.reader.read(chunk)
    if (this.reader.failure !== null) this.close(1002)
  }

  private take(part: Uint8Array): void {
    this.bytes += part.length
    if (this.bytes > messageBytesMax) this.close(1009)
    // The reader may be handing out the chunk's own memory.
    else this.parts.push(Buffer.from(part))
  }

  private async answer(message: Buffer): Promise<void> {
    const asked = parseJson(message.toString("utf8"))
    if (!isObject(asked) || textAt(asked, "type") !== "response.create") {
      this.say({ type: "error", status: 400, error: { type: "invalid_request_error", message: "Unknown event." } })
      return
    }
    const { stream_id: lane, type: _, ...body } = asked
    const ofLane = lane === undefined ? {} : { stream_id: lane }
    await this.send(await this.plan.ask(Buffer.from(JSON.stringify({ ...body, stream: true }))), ofLane)
  }

  private async send(answer: Answer, ofLane: object): Promise<void> {
    const { chunkDelayMs, latencyMs, log } = this.plan
    if (latencyMs > 0) await sleep(latencyMs)
    if (answer instanceof Refusal) {
      this.say({ type: "error", status: answer.status, ...answer.body, ...ofLane })
      return
    }
    if (!("events" in answer)) return
    for (const [index, event] of answer.events.entries()) {
      if (index > 0 && chunkDelayMs > 0) await sleep(chunkDelayMs)
      if (index === answer.events.length - 1) log(answer.served)
      const data = event.slice(event.indexOf("data: ") + "data: ".length)
      this.say({ ...JSON.parse(data) as object, ...ofLane })
    }
  }

  private say(event: object): void {
    this.write(textFrame(JSON.stringify(event)))
  }

  private write(bytes: Uint8Array): void {
    if (this.socket.writable) this.socket.write(bytes)
  }

  private close(code: number): void {
    if (this.socket.writable) this.socket.end(closeFrame(code))
    this.socket.pause()
  }
}
