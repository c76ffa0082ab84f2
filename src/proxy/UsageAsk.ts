import { endpointOf } from "../openai/Endpoint.js"
import { withUsageAsked } from "../openai/UsageRequest.js"
import type { SpanIntent } from "../store/writer/spans.js"
import type { Call } from "./Call.js"
import { isPlain } from "./RequestBody.js"

/** Whether a stream of this call would have a usage that must be asked for. */
export const mayAskUsage = ({ method, path }: SpanIntent): boolean => {
  const { api } = endpointOf(method, path)
  return api === "chat_completions" || api === "completions"
}

/** The body that is sent on for the one that the client sent; the call knows from here on what its client must not see. */
export const askUsage = (call: Call, body: Buffer, encoding: string | undefined): Buffer => {
  const asking = isPlain(encoding) ? withUsageAsked(body) : null
  call.record.usageAsked = asking !== null
  return asking ?? body
}
