import type { IncomingMessage } from "node:http"
import type { Duplex } from "node:stream"
import type { Dispatcher } from "undici"
import type { SpanIntent } from "../store/writer/spans.js"
import { Call, type CallSettings } from "./Call.js"
import * as Headers from "./Headers.js"
import type { Offer } from "./Offer.js"
import type { Opened } from "./SpanRecorder.js"

/** What a handshake hands on once the upstream has taken the offer. */
export interface Taken {
  readonly intent: SpanIntent
  readonly opened: Opened
  readonly upstreamUrl: string
  readonly upstream: Duplex
  /** The answer to the client, to be sent as it is. */
  readonly head: string
}

/** The call that asks an upstream for a WebSocket. Whatever else it is answered is an answer like any other. */
export class Handshake extends Call {
  constructor(
    settings: CallSettings,
    intent: SpanIntent,
    upstreamUrl: string,
    incoming: IncomingMessage,
    offer: Offer,
    private readonly taken: (taken: Taken) => void
  ) {
    super(settings, intent, upstreamUrl, incoming, offer)
  }

  onRequestUpgrade(controller: Dispatcher.DispatchController, _status: number, _headers: unknown, upstream: Duplex) {
    const { intent, opened, upstreamUrl } = this.record
    const headers = Headers.textOf(controller.rawHeaders)
    const isWebSocket = Headers.valueOf(headers, "upgrade")?.trim().toLowerCase() === "websocket"
    if (!isWebSocket) this.fail("unreadable", "it changes to another protocol than WebSocket")
    if (isWebSocket && this.handOver()) {
      this.taken({ intent, opened, upstreamUrl, upstream, head: Headers.toSocketClient(headers) })
    } else upstream.on("error", () => {}).destroy()
  }
}
