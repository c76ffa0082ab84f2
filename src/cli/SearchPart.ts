/** The search of a run, put together: its optimizer, its reflection model, and how it tells where it stands. */
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import type { RunConfig } from "../domain/RunConfig.js"
import { priceOf } from "../optimizer/run/Prices.js"
import { searchProgram, type Standing } from "../optimizer/run/Program.js"
import { Reflector } from "../optimizer/run/Reflector.js"
import { Proxy } from "../proxy/Proxy.js"
import type { ProxyOptions } from "../proxy/ProxyOptions.js"
import { AgentEndpoint } from "../runtime/AgentEndpoint.js"
import { compact, elapsed } from "../runtime/progressLine.js"
import type { SearchPart } from "../runtime/Run.js"
import type { ResourceStore } from "../store/ResourceStore.js"
import type { RunStore } from "../store/RunStore.js"
import { SearchStore } from "../store/SearchStore.js"
import { UsageError } from "./CliError.js"
import type { OptimizeMode } from "./Mode.js"
import { upstreamOf } from "./OptimizeCommand.js"
import { localPrincipal } from "./Principal.js"
import type { Environment } from "./Providers.js"
import { parseModel } from "./SearchRules.js"

export interface SearchPartOptions {
  readonly mode: OptimizeMode
  readonly config: RunConfig
  /** Of the run's own proxy. */
  readonly proxy: ProxyOptions
  readonly environment: Environment
}

/** Null for a config that searches nothing. */
export const searchPart = (options: SearchPartOptions) =>
  Effect.gen(function*() {
    const { config, mode } = options
    const { optimizer } = config
    if (optimizer.algorithm === "evaluate") return null
    yield* checkPrices(options)
    const reflector = yield* Layer.build(yield* reflectorOf(options))
    const services = Context.merge(yield* Effect.context<SearchStore | ResourceStore | RunStore>(), reflector)
    let standing: Standing = { phase: "search", rollouts: 0, reflections: 0, tokens: 0, usd: 0 }
    const part: SearchPart = {
      title: `${optimizer.algorithm} with at most ${optimizer.max_rollouts} rollouts`,
      run: ({ begun, onEnqueued, onProgress }) =>
        searchProgram({
          runId: begun.runId,
          config,
          resourcesVersion: begun.resourcesVersion,
          forcedBy: mode.force ? localPrincipal() : null,
          onProgress,
          onEnqueued,
          onStanding: (now) => {
            standing = now
          }
        }).pipe(Effect.provide(services), Effect.asVoid),
      state: () => ({ algorithm: optimizer.algorithm, ...standing }),
      line: (progress, elapsedMs, { columns }) => {
        const facts = [
          standing.phase === "gate" ? "gate" : optimizer.algorithm,
          `${standing.rollouts}/${optimizer.max_rollouts} rollouts`,
          `${standing.reflections} reflections`,
          progress.failed === 0 ? null : `${progress.failed} failed`,
          progress.desired === "pause" ? "paused" : null,
          elapsed(elapsedMs),
          `${compact(progress.inputTokens + progress.outputTokens)} tokens`
        ].filter((fact) => fact !== null)
        return facts.join(" · ").slice(0, columns - 1)
      }
    }
    return part
  })

/** A limit in dollars means nothing where nobody knows what a call costs. */
const checkPrices = ({ config, mode }: SearchPartOptions) => {
  const { max_usd, prices = {}, reflection_model } = config.optimizer
  if (max_usd === undefined) return Effect.void
  const unknown = [mode.modelRef, reflection_model ?? mode.modelRef].find((model) =>
    priceOf(prices, model) === undefined
  )
  return unknown === undefined ? Effect.void : new UsageError({
    detail:
      `$.optimizer.max_usd needs the price of ${unknown}: give it in $.optimizer.prices, in dollars per million tokens`
  })
}

/** The reflection model is called through a proxy of the run: the run's own where that one knows its upstream, else another. */
const reflectorOf = ({ config, environment, mode, proxy }: SearchPartOptions) =>
  Effect.gen(function*() {
    const endpoint = yield* AgentEndpoint
    const { attempt_timeout_secs: timeoutSecs, optimizer } = config
    const parameters = optimizer.reflection_parameters ?? {}
    const apiKey = endpoint.apiKey
    const model = parseModel(optimizer.reflection_model ?? mode.modelRef)
    if (typeof model === "string") return yield* new UsageError({ detail: `$.optimizer.reflection_model: ${model}` })
    const { reflection_url: url } = optimizer
    const isHere = model.provider === mode.model.provider && url === undefined
    if (isHere) {
      const name = model.provider === "sim" ? `sim/${model.name}` : model.name
      return Reflector.layer({ origin: endpoint.origin, apiKey, model: name, parameters, timeoutSecs })
    }
    const upstream = yield* upstreamOf(
      { model, modelRef: optimizer.reflection_model ?? mode.modelRef, proxy: {} as OptimizeMode["proxy"] },
      url === undefined ? {} : { upstream_url: url },
      environment
    )
    const other = Proxy.layer({
      ...proxy,
      bind: { host: "127.0.0.1", port: 0 },
      upstreamUrl: upstream.url,
      upstreamKey: upstream.key ?? null
    })
    return Layer.unwrapEffect(Effect.map(Proxy, ({ origin }) =>
      Reflector.layer({ origin, apiKey, model: upstream.model, parameters, timeoutSecs }))).pipe(
        Layer.provide(Layer.fresh(other))
      )
  })
