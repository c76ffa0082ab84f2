import type { IncomingMessage } from "node:http"
import type { Readable } from "node:stream"
import type { SpanIntent } from "../store/writer/spans.js"
import type { Call } from "./Call.js"
import * as Headers from "./Headers.js"
import type { Journal } from "./Journal.js"
import type { ProxyLimits } from "./ProxyOptions.js"
import { answerAgain } from "./Replay.js"
import { sendUpstream } from "./RequestBody.js"
import type { Rewriter } from "./Rewriter.js"
import type { Upstream } from "./UpstreamConnections.js"
import { askUsage, mayAskUsage } from "./UsageAsk.js"

/** What all requests of a proxy go through on their way. */
export interface Route {
  readonly upstream: Upstream
  readonly limits: ProxyLimits
  /** Streams are asked for their usage also where their client did not. */
  readonly asksUsage: boolean
  readonly journal: Journal | null
  readonly rewriter: Rewriter | null
}

/** One request that is to go through. */
export interface Outbound {
  readonly intent: SpanIntent
  /** At the upstream, with its query. */
  readonly path: string
  readonly credentials: Headers.Credentials
  readonly isAttributed: boolean
  /** It offers a WebSocket: there is no body, and nothing to put in its place. */
  readonly isOffer: boolean
}

/**
 * A request on its way to the upstream, each step handing its body to the next: `begin` reads it, or has it rewritten; `take`
 * changes and records what was read whole; `answer` asks the journal; `send` sends it.
 */
export class Forwarding {
  private readonly isRetraced: boolean
  private readonly mayAsk: boolean

  constructor(
    private readonly route: Route,
    private readonly request: IncomingMessage,
    private readonly call: Call,
    private readonly outbound: Outbound
  ) {
    const { intent, isOffer } = outbound
    this.isRetraced = !isOffer && route.journal?.concerns(intent) === true
    this.mayAsk = route.asksUsage && mayAskUsage(intent)
  }

  begin(): void {
    const { call, mayAsk, request } = this
    const { limits, rewriter } = this.route
    const { intent, isAttributed, isOffer } = this.outbound
    if (rewriter?.isFor(isAttributed)) {
      if (isOffer) rewriter.passOver(intent)
      else if (rewriter.concerns(intent)) {
        rewriter.send(request, call, intent, this.answer, this.take)
        return
      }
    }
    const wholeBytesMax = this.isRetraced || mayAsk ? limits.recordedBytesMax : 0
    sendUpstream(request, call, limits, this.answer, wholeBytesMax, mayAsk ? this.take : undefined)
  }

  /** The journal compares what is sent with what was sent: after the rewrite, and with the usage asked for. */
  private readonly take = (body: Buffer) => {
    const sent = this.mayAsk ? askUsage(this.call, body, this.request.headers["content-encoding"]) : body
    this.call.record.request.add(sent)
    this.answer(sent)
  }

  private readonly answer = (body: Buffer | Readable | null) => {
    const { journal } = this.route
    // A body too long to be recorded whole has no equal among the recorded.
    if (journal !== null && this.isRetraced && (body === null || Buffer.isBuffer(body))) {
      answerAgain(journal, this.call, this.outbound.intent, body, () => this.send(body))
    } else this.send(body)
  }

  private send(body: Buffer | Readable | null) {
    const { call, request } = this
    const { credentials, isOffer, path } = this.outbound
    const given = isOffer
      ? Headers.toSocketUpstream(request.rawHeaders, credentials)
      : Headers.toUpstream(request.rawHeaders, credentials)
    const headers = call.record.usageAsked ? Headers.uncompressed(given) : given
    this.route.upstream.dispatch(
      {
        path,
        method: request.method ?? "GET",
        headers: call.record.isChanged ? Headers.resized(headers, (body as Buffer).length) : headers,
        body,
        isOffer
      },
      call
    )
    // One that still comes has its end later.
    if (Buffer.isBuffer(body)) call.requestEnded()
  }
}
