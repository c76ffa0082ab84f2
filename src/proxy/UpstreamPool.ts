import { Pool } from "undici"
import type { ProxyOptions } from "./ProxyOptions.js"

/** undici's own retries, redirects and decompression stay out: what the upstream says is what the client gets. */
export const upstreamPool = (origin: string, { limits, timeoutMs }: ProxyOptions) =>
  new Pool(origin, {
    headersTimeout: timeoutMs,
    bodyTimeout: timeoutMs,
    connect: { timeout: Math.min(timeoutMs, 10_000) },
    connections: limits.callsMax,
    pipelining: 1,
    maxHeaderSize: 64 * 1024
  })
