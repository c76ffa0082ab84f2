import type { FinishedSpan } from "../store/writer/spans.js"
import { nowUs } from "./nowUs.js"
import type { CallError } from "./ProxyError.js"

/** What the span of a WebSocket connection and those of the calls made over it have in common when they end now. */
export const socketEnd = (state: FinishedSpan["state"], error: CallError | null) => ({
  state,
  endTimeUs: nowUs(),
  // What the upstream said when it took the connection.
  statusCode: 101,
  errorCode: error?.code ?? null,
  errorMessage: error?.message ?? null,
  requestContentEncoding: null,
  responseContentType: null,
  responseContentEncoding: null,
  isFirst: true
})
