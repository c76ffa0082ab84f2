import * as Context from "effect/Context"

/** Where the agents of this run reach their model: the run's own proxy. */
export class AgentEndpoint extends Context.Tag("tau/runtime/AgentEndpoint")<AgentEndpoint, {
  /** `http://127.0.0.1:port`, without a trailing slash. */
  readonly origin: string
  /** Good for this run's proxy only; the provider's key never leaves the proxy. */
  readonly apiKey: string
  /** The providers' keys, which an upstream may repeat in an answer: they are taken out of all that is put down of an attempt. */
  readonly secrets: ReadonlyArray<string>
  /** Name of the model to ask for, without the provider. */
  readonly model: string
  /**
   * Why model calls are refused for a while, until there is room to record them; null when they are not. What does not pass by
   * itself is no reason to wait: a store that is gone or damaged is met by the next claim, which says so.
   */
  readonly refusal: () => string | null
}>() {}
