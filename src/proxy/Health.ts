/** What the health endpoint tells. */
export interface Health {
  readonly upstreamUrl: string
  readonly upstreamChatCompletionsUrl: string
  readonly attributionLogPath: string | null
  readonly attributionRequired: boolean
  readonly captureSession: string
  readonly callsUnderWay: number
  readonly calls: number
  readonly callsRefused: number
  readonly spansCommitted: number
  readonly spansLost: number
  /** Why the last span could not be committed; null once one is again. */
  readonly storeFailure: string | null
}

/** `GET /training/proxy/health`: 200 while spans are being recorded, 503 while they are not. */
export const healthBytes = (health: Health): { readonly status: number; readonly body: Buffer } => {
  const isReady = health.storeFailure === null
  const body = Buffer.from(JSON.stringify({
    schema_version: 1,
    status: isReady ? "ready" : "store_unavailable",
    upstream_url: health.upstreamUrl,
    upstream_chat_completions_url: health.upstreamChatCompletionsUrl,
    attribution_log_path: health.attributionLogPath,
    attribution_required: health.attributionRequired,
    capture_session: health.captureSession,
    calls: health.calls,
    calls_under_way: health.callsUnderWay,
    calls_refused: health.callsRefused,
    spans_committed: health.spansCommitted,
    spans_lost: health.spansLost,
    store_failure: health.storeFailure
  }))
  return { status: isReady ? 200 : 503, body }
}
