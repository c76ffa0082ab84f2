/** A model besides the run's own, such as a judge's: asked through the run's proxy where that leads to it, else through one of its own. */
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import { Proxy } from "../proxy/Proxy.js"
import type { ProxyOptions } from "../proxy/ProxyOptions.js"
import { AgentEndpoint } from "../runtime/AgentEndpoint.js"
import type { OptimizeMode } from "./Mode.js"
import { type Environment, modelRefOf } from "./Providers.js"
import { upstreamOf } from "./Upstream.js"

/** Where a model is asked, and the upstream of the proxy that it needs; null where the run's proxy will do. */
export interface SideModel {
  readonly modelRef: string
  /** Null for the run's model. */
  readonly name: string | null
  readonly upstream: { readonly url: string; readonly model: string; readonly key: string | undefined } | null
}

/** Finds the upstream; fails, before anything is written, when its key is missing. */
export const sideModel = (
  mode: OptimizeMode,
  modelRef: string,
  environment: Environment,
  /** Where it is, when the config says so. */
  url?: string
) =>
  Effect.gen(function*() {
    if (modelRef === mode.modelRef && url === undefined) return { modelRef, name: null, upstream: null }
    // What names it has been checked with the rest of the config.
    const { name, provider } = modelRefOf(modelRef)!
    // A provider's models share an address. Simulated ones do not: each is a server of its own.
    if (provider === mode.model.provider && provider !== "sim" && url === undefined) {
      return { modelRef, name, upstream: null }
    }
    const asked = { model: { provider, name }, modelRef, config: url, dryRun: mode.dryRun }
    const upstream = yield* upstreamOf(asked, environment, "name another model in the config")
    return { modelRef, name, upstream }
  })

/** Answers where each model is asked. The proxies that this takes are closed with the scope. */
export const sideEndpoints = Effect.fnUntraced(function*(
  models: ReadonlyArray<SideModel>,
  options: ProxyOptions
) {
  const own = yield* AgentEndpoint
  const endpoints = new Map<string, AgentEndpoint["Type"]>()
  for (const { modelRef, name, upstream } of models) {
    if (upstream === null) {
      endpoints.set(modelRef, { ...own, model: name ?? own.model })
      continue
    }
    // Histories are the business of the run's proxy: through another one, no call is answered from them.
    const { admin: _, replay: __, ...rest } = options
    const proxy = Proxy.layer({
      ...rest,
      bind: { host: "127.0.0.1", port: 0 },
      // All write the same store: what is the matter with it, the run's proxy says.
      warn: () => {},
      upstreamUrl: upstream.url,
      upstreamKey: upstream.key ?? null
    })
    const { origin } = Context.get(yield* Layer.build(proxy), Proxy)
    endpoints.set(modelRef, { ...own, origin, model: upstream.model })
  }
  return endpoints
})
