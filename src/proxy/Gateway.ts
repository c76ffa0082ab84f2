import type { IncomingMessage, ServerResponse } from "node:http"
import type { Duplex } from "node:stream"
import { attemptName } from "../domain/AttemptName.js"
import { withoutQuery } from "../openai/Endpoint.js"
import { upstreamPath, type UpstreamUrl } from "../openai/UpstreamUrl.js"
import type { StoreProcess } from "../store/Sqlite.js"
import type { Writer } from "../store/Writer.js"
import type { SpanIntent } from "../store/writer/spans.js"
import { Admission } from "./Admission.js"
import { Call, type CallSettings } from "./Call.js"
import { CallClock, type UnderWay } from "./CallClock.js"
import { type CallIdentity, identify } from "./CallIdentity.js"
import { CallQueue } from "./CallQueue.js"
import { answerClientError, noteRefused } from "./ClientError.js"
import { Forwarding, type Route } from "./Forwarding.js"
import { Handshake } from "./Handshake.js"
import type * as Headers from "./Headers.js"
import { bareHealth, type Health, healthBytes, statusOf } from "./Health.js"
import type { Journal } from "./Journal.js"
import type { KeyRing } from "./KeyRing.js"
import type { Connection } from "./Listener.js"
import { Members } from "./Members.js"
import { Metrics } from "./Metrics.js"
import { nowUs } from "./nowUs.js"
import { Offer } from "./Offer.js"
import { type Refusal, refuse } from "./ProxyError.js"
import type { ProxyOptions } from "./ProxyOptions.js"
import { RecordingBudget } from "./RecordingBudget.js"
import { answerCors, type RequestGuard, requestGuard } from "./RequestGuard.js"
import { pathWithoutSecrets } from "./RequestSecrets.js"
import type { Rewriter } from "./Rewriter.js"
import { newSpanId, randomHex } from "./SpanIds.js"
import { SpanRecorder } from "./SpanRecorder.js"
import { StoreWatch } from "./StoreWatch.js"
import { Tunnel, type TunnelSettings } from "./Tunnel.js"
import { askForBody } from "./Upgrades.js"
import type { Upstream } from "./UpstreamConnections.js"

/** Decides over each request; plain functions from here on. */
export class Gateway {
  readonly captureSession: string
  private readonly route: Route
  private readonly settings: CallSettings
  private readonly tunnelSettings: Omit<TunnelSettings, "trouble">
  readonly underWay = new Members<UnderWay>()
  private readonly queue: CallQueue
  private readonly clock: CallClock
  private readonly budget: RecordingBudget
  private readonly metrics = new Metrics()
  private readonly recorder: SpanRecorder
  private readonly watch: StoreWatch
  private readonly admission: Admission
  private readonly guard: RequestGuard
  readonly connections = new Members<Connection>()
  private handled = 0
  private refused = 0

  constructor(
    private readonly options: ProxyOptions,
    private readonly upstream: UpstreamUrl,
    connections: Upstream,
    private readonly writer: Writer["Type"],
    private readonly process: Pick<StoreProcess["Type"], "id" | "path" | "begun">,
    journal: Journal | null,
    ring: KeyRing | null,
    rewriter: Rewriter | null
  ) {
    this.captureSession = `capture-${new Date().toISOString().slice(0, 19).replaceAll(/[-:]/g, "")}-${randomHex(3)}`
    this.admission = new Admission(options, upstream.origin, ring)
    const { allowedHosts = [], allowedOrigins = [], limits, onDisconnect } = options
    this.guard = requestGuard({ bindHost: options.bind.host, allowedHosts, allowedOrigins })
    this.queue = new CallQueue(limits.queueMax, limits.queueMs)
    this.clock = new CallClock(this.underWay, this.connections, limits)
    this.budget = new RecordingBudget(limits.recordingBytesMax)
    this.recorder = new SpanRecorder(writer, process, this.metrics, this.budget, options)
    this.watch = new StoreWatch(process.path, this.recorder, limits, options.warn)
    this.route = { upstream: connections, limits, asksUsage: options.streamUsage === "ask", journal, rewriter }
    this.settings = {
      recorder: this.recorder,
      recordedBytesMax: limits.recordedBytesMax,
      budget: this.budget,
      recordingRequired: options.recordPolicy === "required",
      timeoutMs: options.timeoutMs,
      drain: onDisconnect === "drain" ? { ms: limits.drainMs, bytesMax: limits.drainBytesMax } : null,
      onEnd: (call) => this.ended(call)
    }
    this.tunnelSettings = {
      ...this.settings,
      callsMax: limits.socketCallsMax,
      idleMs: limits.socketIdleMs,
      onEnd: (tunnel) => this.ended(tunnel)
    }
  }

  close(): void {
    this.clock.close()
    this.route.rewriter?.close()
    this.watch.close()
    this.metrics.close()
  }

  /** At shutdown nobody waits for a place any more, and connections without a call under way are closed. */
  retire(): void {
    this.options.admin?.close()
    this.queue.refuseAll()
    for (const each of this.underWay) if (each instanceof Tunnel) each.retire()
  }

  private ended(call: UnderWay) {
    if (this.underWay.delete(call)) this.queue.startNext()
  }

  health(): Health {
    const trouble = this.recorder.failure()
    return {
      upstreamUrl: `${this.upstream.origin}${this.upstream.basePath}`,
      upstreamChatCompletionsUrl: this.upstream.origin + upstreamPath(this.upstream.basePath, "/v1/chat/completions"),
      attributionLogPath: this.options.attributionLogPath,
      attributionRequired: this.options.attributionRequired,
      captureSession: this.captureSession,
      callsUnderWay: this.underWay.size,
      callsQueued: this.queue.size,
      calls: this.handled,
      callsRefused: this.refused,
      spansCommitted: this.recorder.counters.committed,
      spansLost: this.recorder.counters.lost,
      status: statusOf(trouble, this.watch.isLow),
      storeFailure: trouble?.message ?? null,
      storeFreeBytes: this.watch.freeBytes,
      attributionLogLost: this.writer.health().logLost
    }
  }

  private metricsText(): string {
    const { commits, logLost, waiting, waitingBytes } = this.writer.health()
    return this.metrics.text({
      connections: this.connections.size,
      callsUnderWay: this.underWay.size,
      callsQueued: this.queue.size,
      spansCommitted: this.recorder.counters.committed,
      spansLost: this.recorder.counters.lost,
      requestsWaiting: waiting,
      waitingBytes,
      recordedBytes: this.budget.used,
      recordingsCut: this.budget.cuts,
      commits,
      storeFailed: this.recorder.failure() !== null,
      logLinesLost: logLost,
      walBytes: this.watch.walBytes,
      freeBytes: this.watch.freeBytes,
      rewrites: this.route.rewriter?.counts ?? []
    })
  }

  handle(request: IncomingMessage, response: ServerResponse): void {
    const problem = this.guard(request)
    if (problem !== null) return this.refuse(response, problem.kind, problem.message)
    if (answerCors(request, response) || this.answerItself(request, response)) return
    if (request.httpVersionMajor < 1) return this.refuse(response, "malformed", "HTTP/1.1 is spoken here")
    const identity = identify(request)
    if (typeof identity === "string") return this.refuse(response, "attribution", identity)
    const misfit = this.misfit(identity, response)
    if (misfit !== null) return this.refuse(response, ...misfit)
    const credentials = this.admission.credentialsFor(request, identity)
    if (Array.isArray(credentials)) return this.refuse(response, ...credentials)
    const { callsMax, requestBytesMax } = this.options.limits
    if (Number(request.headers["content-length"] ?? 0) > requestBytesMax) {
      return this.refuse(response, "tooLarge", `the request is larger than ${requestBytesMax} bytes`)
    }
    if (this.underWay.size < callsMax) return this.admit(request, response, identity, credentials)
    // Its key may be revoked, or expire, while it waits.
    const admit = () => this.admit(request, response, identity, credentials, this.denial(request, identity))
    const refuse = () => this.refuse(response, "busy", `${this.underWay.size} calls are under way, the limit`)
    if (!this.queue.enter(request.socket, admit, refuse)) refuse()
  }

  /** Why a call of this identity is none for this proxy; null when it is. */
  private misfit({ attribution, path }: CallIdentity, response: ServerResponse): Grounds | null {
    // The guard has seen the path with its prefix, and what goes upstream must mean one thing as well.
    if (path.startsWith("//")) return ["target", "the path behind the attribution prefix begins with two slashes"]
    if (attribution === null && this.options.attributionRequired) {
      return ["attribution", "x-rollout-id and x-attempt-id (or a /rollout/<id>/attempt/<id> prefix) are required"]
    }
    const { rewriter } = this.route
    return response instanceof Offer && rewriter?.isFor(attribution !== null) && rewriter.declines(path)
      ? ["rewrite", "texts are replaced here, which is done over HTTP only"]
      : null
  }

  /** What the proxy tells of itself, and the dashboard. False for all that is the upstream's to answer. */
  private answerItself(request: IncomingMessage, response: ServerResponse): boolean {
    const { method, url = "" } = request
    const { admin } = this.options
    if (url.startsWith(healthPath) && (url.length === healthPath.length || url[healthPath.length] === "?")) {
      const { body, status } = this.admission.mayWatch(request) ? healthBytes(this.health()) : bareHealth(this.health())
      answerWith(response, status, "application/json", body)
    } else if (url === "/metrics" && (method === "GET" || method === "HEAD")) {
      if (this.admission.mayWatch(request)) answerWith(response, 200, metricsType, Buffer.from(this.metricsText()))
      else this.refuse(response, "key", "the metrics of this proxy need a key")
    } else if (admin !== undefined && url.startsWith("/dashboard/")) {
      if (expectsContinue(request)) askForBody(response)
      admin.handle(request, response)
    } else return false
    return true
  }

  /** There is a place for the call: it is forwarded if it can be recorded, or need not be. */
  private admit(
    request: IncomingMessage,
    response: ServerResponse,
    identity: CallIdentity,
    credentials: Headers.Credentials,
    denial: Grounds | null = null
  ) {
    const trouble = denial ?? this.trouble()
    if (trouble === null) {
      this.forward(request, response, identity, credentials)
      return
    }
    this.refuse(response, ...trouble)
    this.queue.startNext()
  }

  /** Why a call is refused that shows this request's keys; null when it is not. */
  private denial(request: IncomingMessage, identity: CallIdentity): Grounds | null {
    const credentials = this.admission.credentialsFor(request, identity)
    return Array.isArray(credentials) ? credentials : null
  }

  /** Why no call can be recorded that must be; null when one may be made. */
  private trouble(): Grounds | null {
    if (this.options.recordPolicy !== "required") return null
    const trouble = this.recorder.failure()
    if (trouble === null) return null
    if (trouble.reason === "memory") return ["recording", trouble.message]
    return ["store", `the store cannot record this call (${statusOf(trouble, false)}): it was not forwarded`]
  }

  private forward(
    request: IncomingMessage,
    response: ServerResponse,
    identity: CallIdentity,
    credentials: Headers.Credentials
  ) {
    this.handled += 1
    const path = upstreamPath(this.upstream.basePath, identity.path)
    const intent = this.intentOf(request, identity, credentials)
    const call = this.callOf(intent, identity, this.upstream.origin + withoutQuery(path), request, response)
    this.underWay.add(call)
    if (expectsContinue(request)) askForBody(response)
    new Forwarding(this.route, request, call, {
      intent,
      path,
      credentials,
      isAttributed: identity.attribution !== null,
      isOffer: response instanceof Offer
    }).begin()
  }

  private callOf(
    intent: SpanIntent,
    identity: CallIdentity,
    upstreamUrl: string,
    request: IncomingMessage,
    response: ServerResponse
  ): Call {
    if (!(response instanceof Offer)) return new Call(this.settings, intent, upstreamUrl, request, response)
    const handshake: Handshake = new Handshake(this.settings, intent, upstreamUrl, request, response, (taken) => {
      this.underWay.delete(handshake)
      // Its key may be revoked, or expire, while the connection is open.
      const trouble = () => this.denial(request, identity) ?? this.trouble()
      this.underWay.add(new Tunnel({ ...this.tunnelSettings, trouble }, taken, response))
    })
    return handshake
  }

  private intentOf(request: IncomingMessage, identity: CallIdentity, credentials: Headers.Credentials): SpanIntent {
    const { attribution } = identity
    return {
      spanId: newSpanId(),
      traceId: identity.traceId,
      parentId: identity.parentId,
      rolloutId: attribution?.rolloutId ?? this.captureSession,
      attemptId: attribution?.attemptId ?? attemptName(this.captureSession, 1),
      clientSequenceId: identity.sequenceId,
      mode: identity.mode,
      clientKeyId: credentials.clientKeyId,
      processId: this.process.id,
      method: request.method ?? "GET",
      path: pathWithoutSecrets(identity.path),
      startTimeUs: nowUs(),
      caller: identity.caller,
      secrets: this.admission.secretsOf(request, identity, credentials)
    }
  }

  refuse(response: ServerResponse, ...refusal: Grounds): void {
    this.refused += 1
    // A client that waits for a 100 may send its body all the same, or not: what follows could not be told apart.
    if (response.req.headers.expect !== undefined) response.shouldKeepAlive = false
    noteRefused(response.req)
    this.metrics.refuse(refusal[0])
    refuse(response, ...refusal)
  }

  clientError(error: NodeJS.ErrnoException, socket: Duplex): void {
    const refused = answerClientError(error, socket, this.underWay)
    if (refused === null) return
    this.refused += 1
    this.metrics.refuse(refused)
  }
}

type Grounds = readonly [kind: Refusal, message: string]

const expectsContinue = ({ headers, httpVersionMinor }: IncomingMessage) =>
  headers.expect !== undefined && httpVersionMinor === 1

const healthPath = "/training/proxy/health"
const metricsType = "text/plain; version=0.0.4; charset=utf-8"

const answerWith = (response: ServerResponse, status: number, type: string, body: Buffer) => {
  response.writeHead(status, { "content-type": type, "content-length": body.length })
  response.end(body)
}
