import { type Endpoint, socketEndpointOf } from "../openai/Endpoint.js"
import { SocketEvent } from "../openai/SocketEvents.js"
import type { FinishedSpan, SpanIntent } from "../store/writer/spans.js"
import type { Message } from "./MessageReader.js"
import { nowUs } from "./nowUs.js"
import type { CallError } from "./ProxyError.js"
import { SocketCall, type SocketSettings } from "./SocketCall.js"
import { newSpanId } from "./SpanIds.js"

/** The model calls under way on one WebSocket connection, told apart from its messages. */
export class SocketCalls {
  private readonly api: Endpoint["api"]
  private readonly calls = new Set<SocketCall>()

  /** `connection` is the connection's own span, which becomes the calls' parent. */
  constructor(
    private readonly settings: SocketSettings,
    private readonly connection: SpanIntent,
    private readonly upstreamUrl: string
  ) {
    this.api = socketEndpointOf(connection.path).api
  }

  /** False for a connection of which we know nothing but its bytes. */
  get isRead(): boolean {
    return this.api !== "other"
  }

  get underWay(): number {
    return this.calls.size
  }

  begin(message: Message, event: SocketEvent): void {
    this.calls.add(this.callOf({ message, event }))
  }

  /**
   * An event of the server: whether it belongs to a call, whether that one has begun with it, and the call that it ends. Such a
   * call is no longer under way here, and it is for the caller to close it.
   */
  take(
    message: Message
  ): { readonly isOfCall: boolean; readonly hasBegun: boolean; readonly ended: SocketCall | null } {
    // One call without a lane of its own needs no search: most events are then not even parsed.
    const event = new SocketEvent(message.bytes, message.type)
    const { size } = this.calls
    const call = event.type?.startsWith("response.") === true || event.type === "error" ? this.find(event) : undefined
    if (call === undefined) return { isOfCall: false, hasBegun: false, ended: null }
    const hasBegun = this.calls.size > size
    const isLast = event.isTerminal || event.type === "error"
    call.add(message, isLast)
    if (event.type === "response.created") call.responseId ??= event.responseId
    if (isLast) this.calls.delete(call)
    return { isOfCall: true, hasBegun, ended: isLast ? call : null }
  }

  /** The connection is over, and with it the calls that it carried. */
  closeAll(
    state: FinishedSpan["state"],
    error: CallError | null,
    isHeldUp: boolean
  ): void {
    for (const call of this.calls) call.close(state, error, isHeldUp, () => {})
    this.calls.clear()
  }

  private find(event: SocketEvent): SocketCall | undefined {
    if (event.type === "error") return this.failed(event)
    if (event.type === "response.created") {
      const waiting = this.first((call) => call.responseId === null && call.streamId === event.streamId) ??
        this.first((call) => call.responseId === null)
      if (waiting !== undefined || this.api !== "realtime" || this.calls.size >= this.settings.callsMax) return waiting
      // A Realtime server answers when it has heard the end of somebody's turn.
      const own = this.callOf(null)
      this.calls.add(own)
      return own
    }
    if (this.calls.size < 2) return this.first(() => true)
    const { responseId, streamId } = event
    return (responseId === null ? undefined : this.first((call) => call.responseId === responseId)) ??
      (streamId === null ? undefined : this.first((call) => call.streamId === streamId)) ??
      this.first((call) => call.responseId !== null) ?? this.first(() => true)
  }

  /** In Realtime an error may be about any message of the client; in Responses it ends a call. */
  private failed(event: SocketEvent): SocketCall | undefined {
    if (this.api === "realtime") {
      const { causeId } = event
      return causeId === null ? undefined : this.first((call) => call.eventId === causeId)
    }
    const { isOfStream, streamId } = event
    if (streamId !== null) return this.first((call) => call.streamId === streamId)
    // A refusal is about a call that has not begun to be answered, where there is one.
    return (isOfStream ? undefined : this.first((call) => call.responseId === null)) ?? this.first(() => true)
  }

  private first(fits: (call: SocketCall) => boolean): SocketCall | undefined {
    for (const call of this.calls) if (fits(call)) return call
    return undefined
  }

  private callOf(asked: { readonly message: Message; readonly event: SocketEvent } | null): SocketCall {
    const { caller, spanId } = this.connection
    return new SocketCall(
      this.settings,
      {
        ...this.connection,
        spanId: newSpanId(),
        parentId: spanId,
        isOverWebSocket: true,
        clientSequenceId: null,
        startTimeUs: nowUs(),
        // A count of tries is the connection's.
        caller: caller === null ? null : { sessionId: caller.sessionId, retryCount: null, idempotencyKey: null }
      },
      this.upstreamUrl,
      asked
    )
  }
}
