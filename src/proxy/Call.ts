import type { IncomingMessage, ServerResponse } from "node:http"
import type { Dispatcher } from "undici"
import { errors } from "../http/Undici.js"
import { UsageFilter } from "../openai/UsageFilter.js"
import type { FinishedSpan, SpanIntent } from "../store/writer/spans.js"
import { AnswerBody } from "./AnswerBody.js"
import { AnswerEnd } from "./AnswerEnd.js"
import { AnswerHead } from "./AnswerHead.js"
import { breakOff, breakOffNow } from "./BreakOff.js"
import { CallRecord, type RecordSettings } from "./CallRecord.js"
import * as Headers from "./Headers.js"
import { type CallError, causeOf, failureOf, messageOf, type Refusal, refusals, refuse, stateOf } from "./ProxyError.js"
import { ReadOn } from "./ReadOn.js"

/** What every call of a proxy shares. */
export interface CallSettings extends RecordSettings {
  /** Cut an answer that could not be recorded, instead of counting it. */
  readonly recordingRequired: boolean
  readonly timeoutMs: number
  /** How far an answer is read on after its client has left, to learn what it cost; null to cancel it at once. */
  readonly drain: { readonly ms: number; readonly bytesMax: number } | null
  readonly onEnd: (call: Call) => void
}

/**
 * How far the end of a call has come. What happens to a call that is `over` changes nothing any more.
 *
 * - `open`: not decided. To `committing` once the answer is whole, else to `over`: failed, cancelled or handed over.
 * - `committing`: the store has the answer. To `committed`, or to `over` where it had to be recorded and could not be.
 * - `committed`: the answer's end has left, and what follows passes. To `over` once that has ended, and is handed in.
 */
type Phase = "open" | "committing" | "committed" | "over"

/**
 * One call on its way through, whose every event is a plain function.
 *
 * Bytes pass as they come. What must wait is only the end (`AnswerEnd`), or the close where it cannot be told. It leaves once the
 * span is committed, so an answer that an agent has seen whole is never lost.
 */
export class Call implements Dispatcher.DispatchHandler {
  readonly record: CallRecord
  place = -1
  heardAt: number | null = null
  private readonly body: AnswerBody
  private controller: Dispatcher.DispatchController | null = null
  private readonly ending = new AnswerEnd()
  private filter: UsageFilter | null = null
  /** It goes out with the first byte, or with the end of an empty answer. */
  private head: AnswerHead | null = null
  readonly startedAt = performance.now()
  private informational = 0
  private phase: Phase = "open"
  /** Bytes of the answer that its commit took in. */
  private committedBytes = 0
  private upstream: "answering" | "ended" | "broke" = "answering"
  private trailers: Array<[string, string]> | null = null
  /** Set once the client has left and the answer is read on. */
  private readOn: ReadOn | null = null
  /** Runs while the blank line of the terminal event is waited for. */
  private blankLineTimer: NodeJS.Timeout | null = null

  constructor(
    private readonly settings: CallSettings,
    intent: SpanIntent,
    upstreamUrl: string,
    private readonly incoming: IncomingMessage,
    private readonly outgoing: ServerResponse
  ) {
    this.body = new AnswerBody(outgoing, this.pauseUpstream, this.resumeUpstream)
    this.record = new CallRecord(settings, intent, upstreamUrl)
    outgoing.sendDate = false
    outgoing.on("close", this.clientClosed)
    // A response queued behind another one of its connection never closes by itself.
    incoming.socket.on("close", this.clientClosed)
    // One that sends no more is answered no more: Node has closed the other direction as well.
    incoming.socket.on("end", this.clientClosed)
  }

  private stopListening() {
    this.outgoing.off("close", this.clientClosed)
    this.incoming.socket.off("close", this.clientClosed)
    this.incoming.socket.off("end", this.clientClosed)
  }

  onRequestStart(controller: Dispatcher.DispatchController) {
    this.controller = controller
    if (this.phase !== "open") this.abort()
  }

  onResponseStart(controller: Dispatcher.DispatchController, status: number, _parsed: unknown, message?: string) {
    if (this.phase !== "open") return
    // Informational answers are for this hop.
    if (status < 200) {
      this.informational += 1
      if (this.informational > informationalMax) {
        this.fail("unreadable", `over ${informationalMax} informational answers`)
      }
      return
    }
    this.record.begin(status)
    const isShared = this.outgoing.hasHeader("access-control-allow-origin")
    const head = this.head = new AnswerHead(status, Headers.textOf(controller.rawHeaders), message, isShared)
    this.ending.sizedTo = head.length
    if (!Headers.hasBody(this.incoming.method, status) || this.ending.sizedTo === 0) return
    if (head.isCoded) {
      this.fail("unreadable", "a transfer coding that was not asked for")
      return
    }
    if (head.isOf("text/event-stream")) this.scan()
    else if (head.length === null && head.isOf("application/json") && head.isPlain) this.ending.scanJson()
    if (this.readOn !== null) return
    // The head of a sized answer goes with its first byte: until then a broken upstream can still be told as an error.
    if (!this.ending.isStream && this.ending.sizedTo !== null) return
    head.send(this.outgoing)
    // A head is Latin-1; `flushHeaders` would write it as UTF-8.
    if (!this.outgoing.destroyed) this.outgoing.write("", "latin1")
  }

  onResponseData(controller: Dispatcher.DispatchController, received: Buffer) {
    if (this.phase === "over") return
    const { record } = this
    record.add(received)
    // Some servers stream events under another content type.
    if (record.chunks === 1 && !this.ending.isStream && eventField.test(received.toString("latin1", 0, 12))) this.scan()
    const chunk = this.filter?.filter(received) ?? received
    if (chunk.length === 0) return
    if (this.readOn !== null) {
      this.ending.goesOn(chunk)
      if (this.ending.isWhole || this.readOn.isTooFar(record.answerBytes)) this.cancel()
      return
    }
    // What follows a committed terminal event is no answer any more, and often the blank line that a client waits for.
    if (this.phase === "committed") {
      this.body.write(chunk)
      return
    }
    if (this.body.isHolding) {
      this.body.hold(chunk)
      if (this.ending.goesOn(chunk)) this.body.letGo()
      else this.commitWhenWhole(controller)
      return
    }
    const holdFrom = this.ending.holdFrom(chunk, record.answerBytes)
    if (holdFrom > 0) this.head?.send(this.outgoing)
    if (holdFrom === chunk.length) {
      this.body.write(chunk)
      return
    }
    if (holdFrom > 0) this.body.write(chunk.subarray(0, holdFrom))
    this.body.hold(chunk.subarray(holdFrom))
    this.commitWhenWhole(controller)
  }

  onResponseEnd(controller: Dispatcher.DispatchController) {
    this.upstream = "ended"
    const trailers = Headers.textOf(controller.rawTrailers)
    if (trailers.length > 0) this.trailers = Headers.trailersOf(trailers)
    this.flush()
    if (this.phase === "committed") this.release()
    else if (this.readOn !== null) this.cancel()
    else if (this.phase === "open") this.commit()
  }

  onResponseError(_controller: Dispatcher.DispatchController, error: Error) {
    if (this.phase === "open") {
      if (this.readOn !== null) this.cancel()
      else this.fail(failureOf(error, this.record.statusCode !== null), causeOf(error))
      return
    }
    // Broken after its terminal event: the client gets all of the answer, and the broken connection as well.
    this.upstream = "broke"
    this.flush()
    if (this.phase === "committed") this.release()
  }

  /** The answer is an error of ours, or a broken connection when part of the upstream's answer has left already. */
  fail(kind: Refusal, cause: string) {
    // All of the answer has left: what an upstream that does not close sends behind it is broken off.
    if (this.phase === "committed") this.abort()
    if (this.phase !== "open" || this.outgoing.destroyed) return
    const { code, status } = refusals[kind]
    const message = messageOf(kind, cause, this.settings.timeoutMs)
    const state = stateOf(kind)
    const isStarted = this.outgoing.headersSent
    this.giveUp()
    if (!isStarted) this.record.statusCode = status
    this.close(isStarted && state === "upstream_error" ? "upstream_cut" : state, { code, message }, (committed) => {
      if (isStarted && kind === "unread") breakOffNow(this.outgoing)
      else if (isStarted) {
        // Half of a terminal event might be taken for all of it.
        if (!this.ending.isStream && (committed || !this.settings.recordingRequired)) this.body.letGo()
        breakOff(this.outgoing)
      } else refuse(this.outgoing, kind, message)
      this.end()
    })
  }

  /** Its end is decided: nothing need be sent any more. */
  get isOver(): boolean {
    return this.phase !== "open"
  }

  isOn(socket: unknown): boolean {
    return this.incoming.socket === socket
  }

  get isAnswering(): boolean {
    return this.outgoing.headersSent
  }

  /** Nothing that its connection still carries can be read: the answer is the last, and a request that is not whole is refused. */
  endOfInput(message: string) {
    this.outgoing.shouldKeepAlive = false
    this.outgoing.once("finish", () => this.incoming.socket.end())
    if (!this.incoming.complete) this.fail("malformed", message)
  }

  get sentWhilePaused(): number | null {
    return this.body.sentWhilePaused
  }

  /** Ends a call that outlived the proxy's patience at shutdown. */
  abandon() {
    if (this.phase === "open") {
      this.giveUp()
      const message = "the proxy was stopped before the call had ended"
      this.close("timeout", { code: "training_proxy_shutdown", message }, () => this.end())
    }
    breakOffNow(this.outgoing)
  }

  /** False when it is over already; else its end is the affair of whoever takes it over. */
  protected handOver(): boolean {
    if (this.readOn !== null) this.cancel()
    if (this.phase !== "open") return false
    this.phase = "over"
    this.stopListening()
    return true
  }

  /**
   * A client acts on the terminal event at once, whether or not the upstream closes after it. Its blank line may come in a
   * chunk of its own, and belongs into the same commit; it is not waited for long, as not every server sends one.
   */
  private commitWhenWhole(controller: Dispatcher.DispatchController) {
    if (!this.ending.isWhole || this.phase !== "open") return
    const commit = () => {
      if (this.phase !== "open") return
      controller.pause()
      this.commit()
    }
    if (this.ending.isClosed) commit()
    else this.blankLineTimer ??= setTimeout(commit, blankLineMs)
  }

  /** A compressed stream cannot be scanned as it passes: only its close waits for the commit. */
  private scan() {
    if (this.head?.isPlain !== true) return
    this.ending.scanEvents()
    if (!this.record.usageAsked) return
    this.filter = new UsageFilter()
    this.ending.sizedTo = null
    this.head.unsize()
  }

  /** What was held back of a stream because more of it might have come. */
  private flush() {
    const rest = this.filter?.end()
    if (rest === undefined || rest.length === 0) return
    if (this.phase === "committed") this.body.write(rest)
    else this.body.hold(rest)
  }

  private readonly pauseUpstream = () => {
    if (this.upstream !== "ended") this.controller?.pause()
  }

  private readonly resumeUpstream = () => {
    this.controller?.resume()
  }

  private commit() {
    this.phase = "committing"
    const bytes = this.record.answerBytes
    this.close("done", null, (committed) => {
      if (!committed && this.settings.recordingRequired) {
        this.giveUp()
        breakOffNow(this.outgoing)
        this.end()
        return
      }
      this.phase = "committed"
      this.committedBytes = bytes
      this.head?.send(this.outgoing)
      if (this.upstream === "answering") {
        this.body.letGo()
        this.controller?.resume()
      } else this.release()
    })
  }

  /** The upstream has come to its end: once everything has passed, the connection ends as the upstream's did. */
  private release() {
    const end = () => {
      if (this.upstream === "broke") {
        this.body.letGo()
        breakOff(this.outgoing)
      } else this.body.end(this.trailers)
      this.end()
    }
    if (this.record.answerBytes === this.committedBytes) {
      end()
      return
    }
    // Bytes after the terminal event are rare, and part of the answer all the same.
    this.phase = "over"
    this.body.letGo()
    this.close("done", null, end, false)
  }

  private readonly clientClosed = () => {
    if (this.outgoing.writableFinished || this.readOn !== null) return
    if (this.phase !== "open") {
      this.abort()
      // Else its commit ends it: what it holds is the store's until then.
      if (this.phase === "committed") this.end()
    } else if (this.settings.drain !== null && this.incoming.complete) {
      const silentMs = this.record.silentMs(this.body.isHeldUp) ?? performance.now() - this.startedAt
      this.readOn = new ReadOn(this.settings.drain, this.record.answerBytes, silentMs, () => this.cancel())
      this.body.giveUp()
      this.controller?.resume()
    } else this.cancel()
  }

  /** The client has left, and no more of the answer is read. */
  private cancel() {
    if (this.phase !== "open") return
    this.giveUp()
    this.close("client_cancel", null, () => this.end())
  }

  private giveUp() {
    // Before the abort, which reports an error of its own at once.
    this.phase = "over"
    this.abort()
    // Nobody takes what is left of the request, and many clients read an answer only once they have sent it.
    this.incoming.unpipe()
    this.incoming.resume()
  }

  private abort() {
    this.controller?.abort(new errors.RequestAbortedError())
  }

  private end() {
    this.readOn?.end()
    if (this.blankLineTimer !== null) clearTimeout(this.blankLineTimer)
    this.record.release()
    this.stopListening()
    this.settings.onEnd(this)
  }

  /** All of what is sent upstream is recorded. */
  requestEnded() {
    if (this.phase === "open") this.record.requestEnded(this.incoming.headers["content-encoding"])
  }

  private close(
    state: FinishedSpan["state"],
    error: CallError | null,
    done: (committed: boolean) => void,
    isFirst = true
  ) {
    const { head, incoming, readOn, record } = this
    record.close({
      state,
      error,
      head,
      requestEncoding: incoming.headers["content-encoding"],
      wasReadOn: readOn?.hasRead(record.answerBytes) === true,
      silentMs: state === "client_cancel" ? readOn?.silentMs ?? record.silentMs(this.body.isHeldUp) ?? 0 : 0,
      isFirst
    }, done)
  }
}

/** Most informational answers (1xx) before an answer: each sets the patience with the upstream back to its beginning. */
const informationalMax = 100

/** How long the blank line of a terminal event may take that came without it. */
const blankLineMs = 20

/** The start of an event stream, in Latin-1, perhaps behind the three bytes of a mark. */
const eventField = /^(?:\u00EF\u00BB\u00BF)?(?:data|event|id|retry|):/
