import type { Dispatcher } from "undici"
import type { SpanIntent } from "../store/writer/spans.js"
import type { Call } from "./Call.js"
import type { Journal, RecordedAnswer } from "./Journal.js"

/** Answers a call from an earlier attempt where the journal can; else `send` is called, and the call goes upstream. */
export const answerAgain = (
  journal: Journal,
  call: Call,
  { attemptId, method, path, rolloutId }: SpanIntent,
  body: Buffer | null,
  send: () => void
): void => {
  void journal.ask({ attemptId, method, path, rolloutId, body: body ?? Buffer.alloc(0) }).then((verdict) => {
    call.record.hasDiverged = verdict === "diverged"
    if (typeof verdict === "string") {
      send()
      return
    }
    call.record.replayOf = verdict.spanId
    new Replay(call, verdict).start()
  })
}

/** What is sent in one turn of the event loop. */
const turnBytes = 64 * 1024

/** Says which span an answer was recorded under; on replayed answers only. */
const replayedHeader = "x-tau-replayed"

/**
 * Gives a recorded answer to a call as an upstream would: its head, its bytes, its end. A stream comes event by event, as
 * fast as the client takes it.
 */
class Replay implements Dispatcher.DispatchController {
  readonly rawHeaders: Array<string>
  readonly rawTrailers: Array<string> = []
  aborted = false
  paused = false
  reason: Error | null = null
  private readonly isStream: boolean
  private sent = 0
  private isScheduled = false
  private isEnded = false

  constructor(
    private readonly call: Call,
    private readonly answer: RecordedAnswer
  ) {
    const { body, contentEncoding, contentType, spanId, status } = answer
    this.isStream = contentType?.toLowerCase().startsWith("text/event-stream") === true
    const hasLength = !this.isStream && status !== 204 && status !== 304
    this.rawHeaders = [
      ...(contentType === null ? [] : ["content-type", contentType]),
      ...(contentEncoding === null ? [] : ["content-encoding", contentEncoding]),
      ...(hasLength ? ["content-length", String(body.length)] : []),
      replayedHeader,
      spanId
    ]
  }

  start(): void {
    this.call.onRequestStart(this)
    if (this.aborted) return
    this.call.onResponseStart(this, this.answer.status, {}, "")
    this.schedule()
  }

  /** Told to the call, as undici tells it: one whose answer is being committed has no other end. */
  abort(reason: Error): void {
    if (this.aborted || this.isEnded) return
    this.aborted = true
    this.reason = reason
    this.call.onResponseError(this, reason)
  }

  pause(): void {
    this.paused = true
  }

  resume(): void {
    this.paused = false
    this.schedule()
  }

  private schedule() {
    if (this.isScheduled) return
    this.isScheduled = true
    setImmediate(() => {
      this.isScheduled = false
      this.proceed()
    })
  }

  private proceed() {
    if (this.isEnded) return
    const body = Buffer.from(this.answer.body.buffer, this.answer.body.byteOffset, this.answer.body.length)
    const turnEnd = this.sent + turnBytes
    while (this.sent < body.length && this.sent < turnEnd) {
      if (this.aborted || this.paused) return
      const end = this.isStream ? endOfEvent(body, this.sent) : Math.min(body.length, turnEnd)
      const piece = body.subarray(this.sent, end)
      this.sent = end
      this.call.onResponseData(this, piece)
    }
    if (this.aborted || this.paused) return
    if (this.sent < body.length) {
      this.schedule()
      return
    }
    this.isEnded = true
    this.call.onResponseEnd(this)
  }
}

/** Behind the next blank line, or the end. A compressed stream has none, and goes in larger pieces. */
const endOfEvent = (body: Buffer, from: number): number => {
  const end = Math.min(from + turnBytes, body.length)
  for (
    let place = body.indexOf(lineFeed, from);
    place !== -1 && place < end;
    place = body.indexOf(lineFeed, place + 1)
  ) {
    if (body[place + 1] === lineFeed) return place + 2
    if (body[place + 1] === carriageReturn && body[place + 2] === lineFeed) return place + 3
  }
  return end
}

const lineFeed = 10
const carriageReturn = 13
