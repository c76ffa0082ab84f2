import { lineOf, type SocketEvent } from "../openai/SocketEvents.js"
import type { FinishedSpan, SpanIntent } from "../store/writer/spans.js"
import type { Message } from "./MessageReader.js"
import { nowUs } from "./nowUs.js"
import { silentMsMin } from "./Peculiarity.js"
import type { CallError } from "./ProxyError.js"
import { Recording } from "./Recording.js"
import type { RecordingBudget } from "./RecordingBudget.js"
import { socketEnd } from "./SocketSpan.js"
import type { Opened, SpanRecorder } from "./SpanRecorder.js"

/** What all connections of a proxy share. */
export interface SocketSettings {
  readonly recorder: SpanRecorder
  readonly recordedBytesMax: number
  readonly budget: RecordingBudget
  readonly callsMax: number
}

/** One model call made over a WebSocket: the message that asked for it, and the events of its answer, a line each. */
export class SocketCall {
  readonly streamId: string | null
  readonly eventId: string | null
  responseId: string | null = null
  private readonly request: Recording
  private readonly response: Recording
  private readonly last: Recording
  private readonly opened: Opened
  private firstByteUs: number | null = null
  /** When it began, or something of its answer came last, on `performance.now()`. */
  private heardAt = performance.now()
  private events = 0
  private responseBytes = 0
  private isTruncated = false

  /** `asked` is null for a response that the server began of its own accord. */
  constructor(
    private readonly settings: SocketSettings,
    private readonly intent: SpanIntent,
    private readonly upstreamUrl: string,
    asked: { readonly message: Message; readonly event: SocketEvent } | null
  ) {
    const { budget, recordedBytesMax, recorder } = settings
    this.request = new Recording(recordedBytesMax, budget)
    this.response = new Recording(recordedBytesMax, budget)
    this.last = new Recording(recordedBytesMax, budget)
    this.streamId = asked?.event.streamId ?? null
    this.eventId = asked?.event.eventId ?? null
    if (asked !== null) this.request.add(asked.message.bytes, asked.message.length)
    this.opened = recorder.open(intent)
  }

  /**
   * Keeps an event while there is room, whole or not at all: half a line could not be read. The last one has room of its
   * own, for it tells what the call came to.
   */
  add({ bytes, length }: Message, isLast: boolean): void {
    this.firstByteUs ??= nowUs()
    this.heardAt = performance.now()
    this.events += 1
    this.responseBytes += length + 1
    const { budget, recordedBytesMax } = this.settings
    const place = isLast ? this.last : this.response
    const room = Math.min(recordedBytesMax - place.bytes, budget.room)
    if (bytes.length === length && room > length && (isLast || !this.isTruncated)) {
      place.add(lineOf(bytes))
      return
    }
    if (!this.isTruncated) budget.cuts += 1
    this.isTruncated = true
  }

  /** `isHeldUp` where the client itself takes what comes more slowly than that. */
  close(
    state: FinishedSpan["state"],
    error: CallError | null,
    isHeldUp: boolean,
    done: (committed: boolean) => void
  ): void {
    const silentMs = state === "client_cancel" && !isHeldUp ? Math.round(performance.now() - this.heardAt) : 0
    const wasOpened = !this.opened.cancel()
    const { last, request, response } = this
    this.settings.recorder.close(
      {
        ...this.intent,
        ...socketEnd(state, error),
        upstreamUrl: this.upstreamUrl,
        firstByteUs: this.firstByteUs,
        chunks: this.events,
        requestBytes: request.bytes,
        responseBytes: this.responseBytes,
        requestTruncated: request.isTruncated,
        responseTruncated: this.isTruncated,
        wasOpened,
        ...(silentMs >= silentMsMin && { silentMs }),
        webSocket: { isCall: true, requestFrames: 0, responseFrames: 0, closeCode: null, unread: null }
      },
      [request.content, last.bytes === 0 ? response.content : Buffer.concat([response.content, last.content])],
      this.opened,
      (committed) => {
        for (const recording of [request, response, last]) recording.release()
        done(committed)
      }
    )
  }
}
