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
  /** Named by the health endpoint. */
  readonly attributionLogPath: string | null
  /**
   * What happens when the store cannot commit. `required`: a call is refused before it is forwarded, and an answer that
   * cannot be recorded is cut. `best-effort`: calls go on, and what was not recorded is counted.
   */
  readonly recordPolicy: "required" | "best-effort"
  readonly limits: ProxyLimits
}

export interface ProxyLimits {
  /** A larger request is answered 413. */
  readonly requestBytesMax: number
  /** How much of each body the span keeps; the peers always get all of it. */
  readonly recordedBytesMax: number
  /** Calls under way at once; more are answered 503 with `retry-after`. */
  readonly callsMax: number
  readonly connectionsMax: number
  /** How long a client may pause while it sends its request. */
  readonly uploadIdleMs: number
  /** How long calls under way may take to finish at shutdown. */
  readonly shutdownGraceMs: number
}

export const defaultLimits: ProxyLimits = {
  requestBytesMax: 64 * 1024 * 1024,
  recordedBytesMax: 16 * 1024 * 1024,
  callsMax: 1024,
  connectionsMax: 4096,
  uploadIdleMs: 60_000,
  shutdownGraceMs: 10_000
}
