import type { StoreTrouble } from "./SpanRecorder.js"

/** What the health endpoint tells. */
export interface Health {
  readonly upstreamUrl: string
  readonly upstreamChatCompletionsUrl: string
  readonly attributionLogPath: string | null
  readonly attributionRequired: boolean
  readonly captureSession: string
  readonly callsUnderWay: number
  readonly callsQueued: number
  readonly calls: number
  readonly callsRefused: number
  readonly spansCommitted: number
  readonly spansLost: number
  /** How it stands, in one word; anything but `ready` and `storage_low` is a 503. */
  readonly status: Status
  /** Why calls cannot be recorded; null while they can. */
  readonly storeFailure: string | null
  /** Free space where the store is, bytes; null until it is known. */
  readonly storeFreeBytes: number | null
  /** Lines that could not be appended to the attribution log. */
  readonly attributionLogLost: number
}

export type Status = "ready" | "storage_low" | (typeof troubles)[StoreTrouble["reason"]]

const troubles = {
  full: "storage_full",
  locked: "store_locked",
  "read-only": "store_read_only",
  corrupt: "store_corrupt",
  gone: "store_gone",
  busy: "store_busy",
  memory: "recording_full",
  io: "store_io_error",
  foreign: "store_unavailable",
  other: "store_unavailable"
} as const

export const statusOf = (trouble: StoreTrouble | null, isLow: boolean): Status => {
  if (trouble !== null) return troubles[trouble.reason]
  return isLow ? "storage_low" : "ready"
}

/** What somebody without a key may know. */
export const bareHealth = ({ status, storeFailure }: Health): { readonly status: number; readonly body: Buffer } => ({
  status: storeFailure === null ? 200 : 503,
  body: Buffer.from(JSON.stringify({ schema_version: 1, status }))
})

/** `GET /training/proxy/health`: 200 while spans are being recorded, 503 while they are not. */
export const healthBytes = (health: Health): { readonly status: number; readonly body: Buffer } => {
  const isReady = health.storeFailure === null
  const body = Buffer.from(JSON.stringify({
    schema_version: 1,
    status: health.status,
    upstream_url: health.upstreamUrl,
    upstream_chat_completions_url: health.upstreamChatCompletionsUrl,
    attribution_log_path: health.attributionLogPath,
    attribution_required: health.attributionRequired,
    capture_session: health.captureSession,
    calls: health.calls,
    calls_under_way: health.callsUnderWay,
    calls_queued: health.callsQueued,
    calls_refused: health.callsRefused,
    spans_committed: health.spansCommitted,
    spans_lost: health.spansLost,
    store_failure: health.storeFailure,
    store_free_bytes: health.storeFreeBytes,
    attribution_log_lost: health.attributionLogLost
  }))
  return { status: isReady ? 200 : 503, body }
}
