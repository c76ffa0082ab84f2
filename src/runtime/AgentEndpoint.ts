import * as Context from "effect/Context"

/** Where the agents of this run reach their model: the run's own proxy. */
export class AgentEndpoint extends Context.Tag("tau/runtime/AgentEndpoint")<AgentEndpoint, {
  /** `http://127.0.0.1:port`, without a trailing slash. */
  readonly origin: string
  /** Good for this run's proxy only; the provider's key never leaves the proxy. */
  readonly apiKey: string
  /** Name of the model to ask for, without the provider. */
  readonly model: string
  /** Why model calls are refused now, for want of a place to record them; null when they are not. */
  readonly refusal: () => string | null
}>() {}
