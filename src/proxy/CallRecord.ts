import { aheadBytesMin } from "../store/RequestAhead.js"
import type { FinishedSpan, RewriteOutcome, SpanIntent } from "../store/writer/spans.js"
import type { AnswerHead } from "./AnswerHead.js"
import { nowUs } from "./nowUs.js"
import { peculiarityOf } from "./Peculiarity.js"
import type { CallError } from "./ProxyError.js"
import { Recording } from "./Recording.js"
import type { RecordingBudget } from "./RecordingBudget.js"
import type { Opened, SpanRecorder } from "./SpanRecorder.js"

export interface RecordSettings {
  readonly recorder: SpanRecorder
  readonly recordedBytesMax: number
  readonly budget: RecordingBudget
}

/** How a call ended, for its span. */
export interface CallEnd {
  readonly state: FinishedSpan["state"]
  readonly error: CallError | null
  /** Null where no answer had begun. */
  readonly head: AnswerHead | null
  readonly requestEncoding: string | undefined
  readonly wasReadOn: boolean
  /** So long had its client waited for more of it when it left. */
  readonly silentMs: number
  /** False where more came after the end that was committed. */
  readonly isFirst: boolean
}

/** What is put down of one call: its intent at once, its bodies as they pass, and its span when it ends. */
export class CallRecord {
  readonly request: Recording
  /** The span whose answer the call is given again; null when it goes upstream. */
  replayOf: string | null = null
  /** It is the first call of its attempt that differs from the attempt before. */
  hasDiverged = false
  /** What the rules of `rewrite` came to; null where there are none. */
  rewrite: RewriteOutcome | null = null
  /** The request asks for its usage although its client did not: what comes of that is kept from the client. */
  usageAsked = false
  /** The request goes on whole or not at all: what is held of it keeps new calls out, rather than being let go. */
  isHeldAlways = false
  statusCode: number | null = null
  /** Pieces in which the answer came. */
  chunks = 0
  readonly opened: Opened
  /** The request as the client sent it, where another one is sent on. */
  private original: Recording | null = null
  private readonly answer: Recording
  /** Bytes of the request that are held until it is whole, before any of it is recorded. */
  private held = 0
  private firstByteUs: number | null = null
  /** Bytes of the answer when its span was handed in. */
  private answeredBytes = 0
  /** When something of the answer came last, its head or a piece, on `performance.now()`; null before its head. */
  private heardAt: number | null = null

  constructor(
    private readonly settings: RecordSettings,
    readonly intent: SpanIntent,
    readonly upstreamUrl: string
  ) {
    this.request = new Recording(settings.recordedBytesMax, settings.budget)
    this.answer = new Recording(settings.recordedBytesMax, settings.budget)
    this.opened = settings.recorder.open(intent)
  }

  /** The head of the answer has come. */
  begin(status: number): void {
    this.statusCode = status
    this.heardAt = performance.now()
  }

  /** Takes a piece of the answer in. */
  add(chunk: Buffer): void {
    this.firstByteUs ??= nowUs()
    this.heardAt = performance.now()
    this.chunks += 1
    this.answer.add(chunk)
  }

  /** How long a client has waited for more of the answer, unless it holds that up itself; null while none has begun. */
  silentMs(isHeldUp: boolean): number | null {
    return this.heardAt === null ? null : isHeldUp ? 0 : performance.now() - this.heardAt
  }

  /** How long the answer is so far, kept or not. */
  get answerBytes(): number {
    return this.answer.bytes
  }

  /** Whether there is memory to hold so much of the request until it is whole; then it counts as recorded. */
  holds(bytes: number): boolean {
    const { budget } = this.settings
    if (!this.isHeldAlways && bytes - this.held > budget.roomFor(this.held)) return false
    budget.used += bytes - this.held
    this.held = bytes
    return true
  }

  /** It is held no longer. */
  letGo(): void {
    this.settings.budget.used -= this.held
    this.held = 0
  }

  /** Another body than the client's is sent on: its own is kept beside it. */
  keepOriginal(body: Uint8Array): void {
    this.original = new Recording(this.settings.recordedBytesMax, this.settings.budget)
    this.original.add(body)
  }

  /** Other bytes than the client's are sent on. */
  get isChanged(): boolean {
    return this.original !== null || this.usageAsked
  }

  /** The request is whole: it may be read while its answer is made. */
  requestEnded(contentEncoding: string | undefined): void {
    const { intent, opened, request, settings, upstreamUrl } = this
    if (request.size < aheadBytesMin) return
    const asked = { ...intent, upstreamUrl, requestContentEncoding: contentEncoding ?? null }
    settings.recorder.readAhead(opened, asked, request.size, () => request.take())
  }

  /** Hands the span in; `done` is told whether it is committed. */
  close(
    { error, head, isFirst, requestEncoding, silentMs, state, wasReadOn }: CallEnd,
    done: (committed: boolean) => void
  ): void {
    const { intent } = this
    const wasOpened = !this.opened.cancel()
    // Spelt out: a spread into a record this wide costs as much as the rest of the call's bookkeeping.
    const span: FinishedSpan = {
      spanId: intent.spanId,
      traceId: intent.traceId,
      parentId: intent.parentId,
      rolloutId: intent.rolloutId,
      attemptId: intent.attemptId,
      clientSequenceId: intent.clientSequenceId,
      mode: intent.mode,
      clientKeyId: intent.clientKeyId,
      processId: intent.processId,
      method: intent.method,
      path: intent.path,
      startTimeUs: intent.startTimeUs,
      caller: intent.caller,
      secrets: intent.secrets,
      state,
      endTimeUs: nowUs(),
      statusCode: this.statusCode,
      errorCode: error?.code ?? null,
      errorMessage: error?.message ?? null,
      upstreamUrl: this.upstreamUrl,
      firstByteUs: this.firstByteUs,
      chunks: this.chunks,
      requestBytes: this.request.bytes,
      responseBytes: this.answer.bytes,
      requestTruncated: this.request.isTruncated,
      responseTruncated: this.answer.isTruncated,
      requestContentEncoding: requestEncoding ?? null,
      responseContentType: head?.contentType ?? null,
      responseContentEncoding: head?.contentEncoding ?? null,
      isFirst,
      wasOpened,
      isRequestAhead: this.opened.ahead?.isSent === true
    }
    if (!isFirst) this.settings.recorder.answeredMore(this.answer.bytes - this.answeredBytes)
    this.answeredBytes = this.answer.bytes
    const special = peculiarityOf(this.replayOf, this.hasDiverged, this.rewrite, this.usageAsked, wasReadOn, silentMs)
    this.settings.recorder.close(
      special === null ? span : { ...span, ...special },
      this.original === null
        ? [this.request.content, this.answer.content]
        : [this.request.content, this.answer.content, this.original.content],
      this.opened,
      done
    )
  }

  /** The call is over: its bodies are no longer held for it. */
  release(): void {
    this.letGo()
    this.opened.ahead?.over()
    this.request.release()
    this.answer.release()
    this.original?.release()
  }
}
