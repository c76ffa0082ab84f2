import type { Attributes } from "../../openai/Attributes.js"
import type { CallRole } from "../../openai/CallRole.js"
import { GenAi } from "../../openai/GenAi.js"
import type { Try } from "./retries.js"
import type { Owner } from "./spanOwner.js"
import type { FinishedSpan, OverWebSocket, Prepared, RewriteOutcome } from "./spans.js"

/** What the recorder itself knows of the call, added to what its bodies say. */
export const withOwnAttributes = (
  span: FinishedSpan,
  state: FinishedSpan["state"],
  owner: Owner | undefined,
  { derived: { attributes }, original, responseContentEncoding }: Prepared,
  logicalCall: Try | null
): Attributes => {
  attributes.put(GenAi.chunks, span.chunks)
  if (span.firstByteUs !== null) {
    const waitedUs = span.firstByteUs - span.startTimeUs
    attributes.put(GenAi.ttfbMs, waitedUs / 1000)
    const wire = attributes.get(GenAi.wire)
    if (wire === "sse" || wire === "ws") attributes.put(GenAi.timeToFirstChunk, waitedUs / 1_000_000)
  }
  if (logicalCall !== null) {
    attributes.put(GenAi.callId, logicalCall.callId)
    attributes.put(GenAi.callAttempt, logicalCall.attempt)
  }
  if (span.clientSequenceId !== null) attributes.put(GenAi.clientSequenceId, span.clientSequenceId)
  if (span.mode != null) attributes.put(GenAi.mode, span.mode)
  if (span.clientKeyId !== undefined) attributes.put(GenAi.clientKeyId, span.clientKeyId)
  if (span.errorCode !== null) {
    attributes.put(GenAi.errorType, span.errorCode)
    attributes.put(GenAi.errorMessage, span.errorMessage)
  } else if (state === "upstream_cut") {
    attributes.put(GenAi.errorType, "stream_error")
    attributes.put(GenAi.errorMessage, "the stream ended before its answer did")
  }
  if (isShort(span.responseContentType)) attributes.put(GenAi.responseContentType, span.responseContentType)
  if (isShort(responseContentEncoding)) attributes.put(GenAi.responseContentEncoding, responseContentEncoding)
  // The optimizer's own call: nothing in its request tells it from an agent's.
  if (owner?.isReflection === 1 && attributes.get(GenAi.callRole) !== undefined) {
    attributes.put(GenAi.callRole, "reflection" satisfies CallRole)
  }
  if (span.replayOf !== undefined) {
    attributes.put(GenAi.replayed, true)
    attributes.put(GenAi.replayOf, span.replayOf)
    attributes.delete(GenAi.usageCost)
  }
  if (span.hasDiverged === true) attributes.put(GenAi.diverged, true)
  if (span.rewrite !== undefined) attributes.putAll(rewriteAttributes(span.rewrite))
  if (span.usageAsked === true) attributes.put(GenAi.usageAsked, true)
  if (original !== null) attributes.put(GenAi.rewriteOriginal, original.sha256)
  if (span.silentMs !== undefined) attributes.put(GenAi.silentMs, span.silentMs)
  if (span.requestTruncated) attributes.put(GenAi.requestTruncated, true)
  if (span.responseTruncated) attributes.put(GenAi.responseTruncated, true)
  if (span.webSocket?.isCall === false) attributes.putAll(connectionAttributes(span.webSocket))
  // The attempt had ended when this call did: evidence of what an agent did after its time, not part of its result.
  if (owner !== undefined && owner.isLive === 0) attributes.put(GenAi.late, true)
  return attributes
}

/** A peer may send headers of any length. */
const isShort = (value: string | null): value is string => value !== null && value.length <= 256

const connectionAttributes = ({ closeCode, requestFrames, responseFrames, unread }: OverWebSocket) => ({
  [GenAi.wire]: "ws",
  [GenAi.requestFrames]: requestFrames,
  [GenAi.responseFrames]: responseFrames,
  ...(closeCode !== null && { [GenAi.closeCode]: closeCode }),
  ...(unread !== null && { [GenAi.unassembled]: unread })
})

const rewriteAttributes = ({ components, matched, missed, version }: RewriteOutcome) => ({
  ...(components.length > 0 && { [GenAi.rewriteComponent]: components }),
  [GenAi.rewriteMatched]: matched,
  ...(missed.length > 0 && { [GenAi.rewriteMissed]: missed }),
  ...(version !== undefined && { [GenAi.rewriteVersion]: version })
})
