/**
 * How a model call says which attempt it belongs to.
 *
 * The runtime writes an attribution into the base URL it hands to the agent; the proxy reads it back from the request path
 * or from headers. Both directions live here so that they cannot drift, and neither side has to import the other.
 */
import * as Schema from "effect/Schema"
import { prefixOf } from "./AttributionPath.js"
import { AttemptId, RolloutId } from "./Ids.js"

/** The attempt that a model call belongs to, and the rollout of it. */
export class Attribution extends Schema.Class<Attribution>("Attribution")({
  rolloutId: RolloutId,
  attemptId: AttemptId
}) {}

/** `http://host:port` becomes the `OPENAI_BASE_URL` of one attempt, ending in `/v1`. */
export const toBaseUrl = (origin: string, { attemptId, rolloutId }: Attribution): string =>
  `${origin}${prefixOf(rolloutId, attemptId)}/v1`
