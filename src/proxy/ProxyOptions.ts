import type { IncomingMessage, ServerResponse } from "node:http"
import type { RewriteRule } from "../domain/Rewrite.js"

/** What a proxy is told, and every limit it has. Sizes in bytes, times in milliseconds. */
export interface ProxyOptions {
  readonly bind: { readonly host: string; readonly port: number }
  /** OpenAI-compatible base, with or without a trailing `/v1`. */
  readonly upstreamUrl: string
  /** How long the upstream may stay silent: to its first byte, then between bytes. */
  readonly timeoutMs: number
  /** Calls that name no attempt are refused; otherwise they are recorded under a capture session. */
  readonly attributionRequired: boolean
  /** A bearer key that callers must show, or null to pass theirs on. */
  readonly clientKey: string | null
  /** The provider's key, which replaces the caller's on the way up; null passes the caller's on. */
  readonly upstreamKey: string | null
  /**
   * Keys of the store (`tau keys`) that clients may show; absent where `clientKey` is all there is. `required`: nobody passes
   * without one. `upstreamKey` is the provider's key for calls that showed one, since that one stops here.
   */
  readonly keys?: { readonly required: boolean; readonly upstreamKey: string | null }
  /** Further names, without port, under which clients may call: loopback names and the address it listens on always may. */
  readonly allowedHosts?: ReadonlyArray<string>
  /** Origins of web pages that may call, such as `https://app.example`; none by default. */
  readonly allowedOrigins?: ReadonlyArray<string>
  /** Lower-case names of request headers whose values are recorded nowhere, wherever else they stand; those that carry keys by default. */
  readonly secretHeaders?: ReadonlyArray<string>
  /** Named by the health endpoint. */
  readonly attributionLogPath: string | null
  /**
   * What happens when the store cannot commit. `required`: a call is refused before it is forwarded, and an answer that
   * cannot be recorded is cut. `best-effort`: calls go on, and what was not recorded is counted.
   */
  readonly recordPolicy: "required" | "best-effort"
  /** What an answer is worth once its client has left: nothing, or to be read to its end, so that its usage is known. */
  readonly onDisconnect: "cancel" | "drain"
  /**
   * Whether the usage of a streamed chat is asked for where its client says nothing of it, and kept from that client. As the
   * client sent it by default.
   */
  readonly streamUsage?: "as-sent" | "ask"
  /** Which attempts of a run have their calls answered from earlier ones; none without it. */
  readonly replay?: "after-crash" | "always"
  /** Where resources live in the requests of agents, which are put there. */
  readonly rewrite?: ReadonlyArray<RewriteRule>
  /** Whose: each attempt's own, by default, or in every call those of the version that a gate or a person has chosen. */
  readonly rewriteFor?: "attempts" | "everybody"
  /** Told to whoever runs the proxy: one line, once per incident. */
  readonly warn: (message: string) => void
  /** Answers requests whose path begins with `/dashboard/`; without it they go upstream like any other. */
  readonly admin?: Admin
  readonly limits: ProxyLimits
}

export interface Admin {
  readonly handle: (request: IncomingMessage, response: ServerResponse) => void
  /** Ends answers that would go on for ever: the proxy is about to stop. */
  readonly close: () => void
}

/** What a proxy takes and holds at the most. Sizes in bytes, times in milliseconds. */
export interface ProxyLimits {
  /** A larger request is answered 413. */
  readonly requestBytesMax: number
  /** How much of each body the span keeps; the peers always get all of it. */
  readonly recordedBytesMax: number
  /** Recorded bytes in memory over all calls; what exceeds them passes unrecorded, and the span says so. */
  readonly recordingBytesMax: number
  /** Changes that wait to be written; with more, no call is recorded. */
  readonly spansWaitingMax: number
  /** Calls under way at once; more wait in the queue. */
  readonly callsMax: number
  /** Calls that wait for one under way to end; more are answered 503 with `retry-after`. */
  readonly queueMax: number
  /** Longest wait in the queue; then 503 as well. */
  readonly queueMs: number
  readonly connectionsMax: number
  /** Longest head of a request, from its method to its blank line; a longer one is answered 431. */
  readonly headBytesMax: number
  /** How long a client may take over the head of its request. */
  readonly headMs: number
  /** How long a client may pause while it sends its request. */
  readonly uploadIdleMs: number
  /** How long a client may leave an answer unread while more of it waits. */
  readonly clientIdleMs: number
  /** Longest call from its first byte to its last, and longest WebSocket connection. */
  readonly callMs: number
  /** How long a WebSocket connection may be silent in both directions. */
  readonly socketIdleMs: number
  /** Model calls under way at once on one WebSocket connection. */
  readonly socketCallsMax: number
  /** How long and how far an answer is read on after its client has left. */
  readonly drainMs: number
  readonly drainBytesMax: number
  /** Less free space than this where the store is: health says so. */
  readonly freeBytesLow: number
  /** A longer write-ahead log is warned of. */
  readonly walBytesHigh: number
  /** How long calls under way may take to finish at shutdown. */
  readonly shutdownGraceMs: number
}

/** Those of the `tau` command. */
export const defaultLimits: ProxyLimits = {
  requestBytesMax: 128 * 1024 * 1024,
  recordedBytesMax: 16 * 1024 * 1024,
  recordingBytesMax: 256 * 1024 * 1024,
  spansWaitingMax: 10_000,
  callsMax: 1024,
  queueMax: 1024,
  queueMs: 10_000,
  connectionsMax: 4096,
  headBytesMax: 16 * 1024,
  headMs: 10_000,
  uploadIdleMs: 60_000,
  clientIdleMs: 300_000,
  callMs: 3_600_000,
  socketIdleMs: 1_800_000,
  socketCallsMax: 64,
  drainMs: 60_000,
  drainBytesMax: 16 * 1024 * 1024,
  freeBytesLow: 256 * 1024 * 1024,
  walBytesHigh: 256 * 1024 * 1024,
  shutdownGraceMs: 10_000
}
