import type { Socket } from "node:net"
import type { Duplex } from "node:stream"
import { lineOf, SocketEvent } from "../openai/SocketEvents.js"
import { closeFrame } from "../openai/WebSocketFrames.js"
import type { FinishedSpan } from "../store/writer/spans.js"
import type { UnderWay } from "./CallClock.js"
import type { Taken } from "./Handshake.js"
import { type Message, MessageReader } from "./MessageReader.js"
import { nowUs } from "./nowUs.js"
import type { Offer } from "./Offer.js"
import { type CallError, causeOf, type Refusal, refusals } from "./ProxyError.js"
import { Recording } from "./Recording.js"
import type { SocketCall, SocketSettings } from "./SocketCall.js"
import { SocketCalls } from "./SocketCalls.js"
import { socketEnd } from "./SocketSpan.js"

export interface TunnelSettings extends SocketSettings {
  /** End a connection whose calls cannot be recorded, instead of counting them. */
  readonly recordingRequired: boolean
  readonly idleMs: number
  /** Why a model call must not be made now, or null. */
  readonly trouble: () => readonly [kind: Refusal, message: string] | null
  readonly onEnd: (tunnel: Tunnel) => void
}

/** Close codes (RFC 6455, section 7.4) by which clients know that they may connect again. */
const goingAway = 1001
const tryAgainLater = 1013
/** One that connects again is refused. */
const againstPolicy = 1008
/** How long a client may take to close a connection that is over. */
const lingerMs = 30_000
/** How long an upstream may be silent whose client has ended its side: most end theirs at once. */
const partingMs = 2_000
const keepAliveMs = 60_000

/**
 * A WebSocket connection on its way through: bytes pass both ways untouched, and a copy of them is read.
 *
 * A message of the upstream that ends a model call, and what follows it, leaves once the call's span is committed.
 */
export class Tunnel implements UnderWay {
  place = -1
  private readonly client: Socket
  private readonly upstream: Duplex
  private readonly fromClient: MessageReader
  private readonly fromUpstream: MessageReader
  private readonly calls: SocketCalls
  /** The messages that belong to no model call: texts a line each, anything else as it is. */
  private readonly sent: Recording
  private readonly received: Recording
  /** Bytes for the client that wait for a commit. */
  private held: Array<Uint8Array> = []
  private commitsAwaited = 0
  private isPaused = false
  private clientEnded = false
  /** Who sent the first close frame. */
  private leaver: "client" | "upstream" | null = null
  private firstByteUs: number | null = null
  private chunks = 0
  private isRetiring = false
  /** Set once the connection's end is decided. */
  private isSettled = false
  /** What becomes of the client's connection once nothing is held any more. */
  private finish: (() => void) | null = null

  constructor(private readonly settings: TunnelSettings, private readonly begun: Taken, offer: Offer) {
    const { client, early } = offer.taken()
    this.client = client
    this.upstream = begun.upstream
    this.calls = new SocketCalls(settings, begun.intent, begun.upstreamUrl)
    this.fromClient = new MessageReader(settings.recordedBytesMax, settings.budget, this.calls.isRead)
    this.fromUpstream = new MessageReader(settings.recordedBytesMax, settings.budget, this.calls.isRead)
    this.sent = new Recording(settings.recordedBytesMax, settings.budget)
    this.received = new Recording(settings.recordedBytesMax, settings.budget)
    this.listen()
    client.write(begun.head, "latin1")
    for (const chunk of early) this.pass(chunk)
    client.resume()
    this.upstream.resume()
  }

  readonly startedAt = performance.now()

  /** Its request is whole: what comes over it is frames. */
  readonly heardAt = null

  get sentWhilePaused(): number | null {
    return this.isPaused ? this.client.bytesWritten : null
  }

  isOn(socket: Socket): boolean {
    return this.client === socket
  }

  /** Ends a connection that may not go on; a client that understands the code connects again. */
  fail(kind: Refusal, cause: string): void {
    if (this.isSettled) return
    const error = { code: refusals[kind].code, message: cause }
    const isKey = kind === "key"
    const isStore = kind === "store" || kind === "recording" || kind === "busy"
    const code = isKey ? againstPolicy : isStore ? tryAgainLater : goingAway
    this.settle(isKey || isStore ? "refused" : "timeout", error, () => this.closeClient(code))
    this.upstream.destroy()
  }

  /** At shutdown: a connection without a call under way ends now, any other once it has none. */
  retire(): void {
    this.isRetiring = true
    if (!this.calls.isRead || this.calls.underWay > 0) return
    this.settle("done", null, () => this.closeClient(goingAway))
    this.upstream.destroy()
  }

  abandon(): void {
    this.fail("shutdown", "the proxy was stopped before the connection had ended")
  }

  private listen() {
    const { client, upstream } = this
    client.setKeepAlive(true, keepAliveMs)
    client.setTimeout(this.settings.idleMs)
    client.on("timeout", () => {
      if (this.clientEnded) client.destroy()
      else this.fail("idle", `nothing passed for ${this.settings.idleMs} ms`)
    })
    client.on("data", (chunk) => this.pass(chunk))
    client.on("drain", () => {
      this.isPaused = false
      if (this.commitsAwaited === 0) upstream.resume()
    })
    client.on("end", () => {
      this.clientEnded = true
      client.setTimeout(partingMs)
      upstream.end()
    })
    client.on("error", () => {})
    client.on("close", () => {
      this.settle("client_cancel", null, () => {})
      upstream.destroy()
      this.settings.onEnd(this)
    })
    upstream.on("data", (chunk) => this.answer(chunk))
    upstream.on("drain", () => client.resume())
    upstream.on("end", () => this.settle("upstream_cut", null, () => this.linger()))
    let cause: Error | null = null
    upstream.on("error", (error) => {
      cause = error
    })
    upstream.on("close", () => {
      const error = cause === null ? null : { code: refusals.unreadable.code, message: causeOf(cause) }
      this.settle("upstream_cut", error, () => client.destroy())
    })
  }

  /** From the client to the upstream. */
  private pass(chunk: Uint8Array) {
    if (this.isSettled) return
    const messages = this.fromClient.read(chunk)
    if (this.fromClient.closeCode !== null) this.leaver ??= "client"
    for (const message of messages) {
      const event = this.calls.isRead ? new SocketEvent(message.bytes, message.type) : null
      if (event?.isRequest !== true) {
        keep(this.sent, message)
        continue
      }
      const trouble = this.calls.underWay < this.settings.callsMax
        ? this.settings.trouble()
        : ["busy", `${this.calls.underWay} calls are under way on this connection, the limit`] as const
      if (trouble !== null) {
        // The message's last bytes are not sent on: no call is made that could not be recorded.
        this.upstream.write(chunk.subarray(0, message.start))
        this.fail(...trouble)
        return
      }
      this.calls.begin(message, event)
    }
    if (!this.upstream.write(chunk)) this.client.pause()
  }

  /** From the upstream to the client. */
  private answer(chunk: Uint8Array) {
    if (this.isSettled) return
    this.firstByteUs ??= nowUs()
    this.chunks += 1
    const messages = this.fromUpstream.read(chunk)
    if (this.fromUpstream.closeCode !== null) this.leaver ??= "upstream"
    const ended: Array<SocketCall> = []
    let trouble: ReturnType<TunnelSettings["trouble"]> = null
    let holdFrom = this.commitsAwaited > 0 ? 0 : chunk.length
    for (const message of messages) {
      const { ended: call, hasBegun, isOfCall } = this.calls.isRead ? this.calls.take(message) : ofNoCall
      // Who only talks, and is answered at each pause, asks for nothing that could be refused.
      if (hasBegun) trouble ??= this.settings.trouble()
      if (!isOfCall) keep(this.received, message)
      if (call === null) continue
      ended.push(call)
      holdFrom = Math.min(holdFrom, message.start)
    }
    if (holdFrom > 0) this.send(chunk.subarray(0, holdFrom))
    if (holdFrom < chunk.length) {
      this.held.push(chunk.subarray(holdFrom))
      this.upstream.pause()
      this.commitsAwaited += ended.length
      for (const call of ended) call.close("done", null, this.isPaused, (committed) => this.committed(committed))
    }
    if (trouble !== null) this.fail(...trouble)
  }

  private send(bytes: Uint8Array) {
    if (this.client.write(bytes)) return
    this.upstream.pause()
    this.isPaused = true
  }

  private committed(committed: boolean) {
    this.commitsAwaited -= 1
    if (!committed && this.settings.recordingRequired) {
      this.fail("store", "an answer on this connection could not be recorded")
      this.client.destroy()
      return
    }
    this.proceed()
  }

  /** Lets out what was held, once nothing waits for a commit any more. */
  private proceed() {
    if (this.commitsAwaited > 0) return
    for (const bytes of this.held) this.send(bytes)
    this.held = []
    if (this.finish !== null) this.finish()
    else if (this.isRetiring) this.retire()
    else if (!this.isPaused) this.upstream.resume()
  }

  /** The connection is over: what was under way on it is closed, then its own span, then the client's side. */
  private settle(
    ended: FinishedSpan["state"],
    error: CallError | null,
    finish: () => void
  ) {
    if (this.isSettled) return
    this.isSettled = true
    this.finish = finish
    const isGoodbye = this.leaver !== null && (ended === "client_cancel" || ended === "upstream_cut")
    const isClients = this.leaver === "client" || (this.leaver === null && this.clientEnded)
    const state = ended === "upstream_cut" && isClients ? "client_cancel" : ended
    this.calls.closeAll(!isGoodbye ? state : isClients ? "client_cancel" : "upstream_cut", error, this.isPaused)
    // A client sees a clean end only of what is recorded; one that is told of trouble hears it at once.
    if (error === null) this.commitsAwaited += 1
    this.close(isGoodbye ? "done" : state, error, () => {
      if (error !== null) return
      this.commitsAwaited -= 1
      this.proceed()
    })
    if (error !== null && this.commitsAwaited === 0) this.finish()
  }

  private close(
    state: FinishedSpan["state"],
    error: CallError | null,
    done: () => void
  ) {
    const { fromClient, fromUpstream, received, sent } = this
    fromClient.release()
    fromUpstream.release()
    this.settings.recorder.close(
      {
        ...this.begun.intent,
        ...socketEnd(state, error),
        upstreamUrl: this.begun.upstreamUrl,
        firstByteUs: this.firstByteUs,
        chunks: this.chunks,
        requestBytes: fromClient.bytes,
        responseBytes: fromUpstream.bytes,
        requestTruncated: sent.isTruncated,
        responseTruncated: received.isTruncated,
        wasOpened: !this.begun.opened.cancel(),
        webSocket: {
          isCall: false,
          requestFrames: fromClient.framesRead,
          responseFrames: fromUpstream.framesRead,
          closeCode: this.leaver === "client" ? fromClient.closeCode : fromUpstream.closeCode,
          unread: unreadOf(fromClient.failure, fromUpstream.failure)
        }
      },
      [sent.content, received.content],
      this.begun.opened,
      () => {
        sent.release()
        received.release()
        done()
      }
    )
  }

  /** Says why, where a frame may be added. */
  private closeClient(code: number) {
    if (this.fromUpstream.isBetweenFrames && !this.client.destroyed) this.client.write(closeFrame(code))
    this.linger()
  }

  private linger() {
    this.upstream.end()
    this.client.resume()
    this.client.end()
    this.client.setTimeout(lingerMs, () => this.client.destroy())
  }
}

const ofNoCall = { isOfCall: false, hasBegun: false, ended: null }

const keep = (recording: Recording, { bytes, isText, length }: Message) =>
  isText ? recording.add(lineOf(bytes), length + 1) : recording.add(bytes, length)

const unreadOf = (request: string | null, response: string | null): string | null => {
  const reasons = [request === null ? [] : [`request: ${request}`], response === null ? [] : [`response: ${response}`]]
  return reasons.flat().join("; ") || null
}
