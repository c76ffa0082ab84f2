/** The search of a run, put together: its optimizer, its reflection model, and how it tells where it stands. */
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import { compact, counted } from "../domain/Figures.js"
import { priceOf } from "../domain/Prices.js"
import type { RunConfig } from "../domain/RunConfig.js"
import { searchProgress } from "../optimizer/report/searchProgress.js"
import { searchProgram } from "../optimizer/run/Program.js"
import { Reflector } from "../optimizer/run/Reflector.js"
import { storedStanding } from "../optimizer/run/reportOf.js"
import { notBegun, type Standing } from "../optimizer/run/Standing.js"
import type { ProxyOptions } from "../proxy/ProxyOptions.js"
import type { SearchPart } from "../runtime/SearchPart.js"
import type { GateStore } from "../store/GateStore.js"
import type { ResourceStore } from "../store/ResourceStore.js"
import type { RunStore } from "../store/RunStore.js"
import type { SearchReader } from "../store/SearchReader.js"
import type { SearchStore } from "../store/SearchStore.js"
import { UsageError } from "./CliError.js"
import type { OptimizeMode } from "./Mode.js"
import { localPrincipal } from "./Principal.js"
import type { Environment } from "./Providers.js"
import { sideEndpoints, type SideModel, sideModel } from "./SideModel.js"

export interface SearchPartOptions {
  readonly mode: OptimizeMode
  readonly config: RunConfig
  /** Of the run's own proxy. */
  readonly proxy: ProxyOptions
  /** Null when nothing is searched for. */
  readonly reflection: SideModel | null
}

/** Null for a config that searches nothing. */
export const searchPart = (options: SearchPartOptions) =>
  Effect.gen(function*() {
    const { config, mode, reflection } = options
    const { optimizer } = config
    if (reflection === null) return null
    const reflector = yield* Layer.build(yield* reflectorOf(options, reflection))
    const services = Context.merge(
      yield* Effect.context<GateStore | SearchReader | SearchStore | ResourceStore | RunStore>(),
      reflector
    )
    let standing: Standing = notBegun
    const pace = new Pace(optimizer)
    const part: SearchPart = {
      title: `${optimizer.algorithm} with at most ${counted(optimizer.max_rollouts, "rollout")}`,
      recall: (runId) =>
        storedStanding(runId).pipe(
          Effect.provide(services),
          Effect.match({
            onFailure: () => {},
            onSuccess: (stored) => {
              standing = stored
            }
          })
        ),
      run: ({ begun, onEnqueued, onProgress }) =>
        searchProgram({
          runId: begun.runId,
          config,
          resourcesVersion: begun.resourcesVersion,
          forcedBy: mode.force ? localPrincipal() : null,
          onProgress,
          onEnqueued,
          onStanding: (now) => {
            // What is on record is gone through again: until that is done, the record knows more.
            if (now.rollouts >= standing.rollouts && now.reflections >= standing.reflections) standing = now
          }
        }).pipe(Effect.provide(services), Effect.asVoid),
      state: () => ({ algorithm: optimizer.algorithm, ...standing }),
      line: (progress, elapsedMs, { columns }) => {
        // A budget counts a rollout that is about to be made; whoever waits for a batch sees what of it has ended.
        const rolloutsEnded = progress.succeeded + progress.failed
        const told = searchProgress({
          best: standing.best?.mean ?? null,
          low: standing.best?.low ?? null,
          high: standing.best?.high ?? null,
          tried: standing.tried,
          accepted: standing.accepted,
          gate: standing.phase === "gate" ? standing.gate : null,
          rolloutsEnded,
          rolloutsFailed: progress.failed,
          rolloutsMax: optimizer.max_rollouts,
          otherBudgets: [
            ...(optimizer.max_usd === undefined ? [] : [`$${standing.usd.toFixed(2)}/$${optimizer.max_usd}`]),
            ...(optimizer.max_tokens === undefined
              ? []
              : [`${compact(standing.tokens)}/${compact(optimizer.max_tokens)} tokens`])
          ],
          secondsLeft: pace.secondsLeft(standing.phase, rolloutsEnded, elapsedMs)
        }, columns - 1)
        return progress.desired === "pause" ? `paused · ${told}`.slice(0, columns - 1) : told
      }
    }
    return part
  })

/** How long the search may take at the pace of this start, by its rollouts or by the clock; null while nobody can tell. */
class Pace {
  /** Steps of earlier starts are gone through at once: the pace is measured after them. */
  private from: { readonly rollouts: number; readonly ms: number } | null = null

  constructor(private readonly optimizer: RunConfig["optimizer"]) {}

  secondsLeft(phase: Standing["phase"], rollouts: number, elapsedMs: number): number | null {
    if (phase === "ended") return null
    if (this.from === null) {
      if (elapsedMs >= 2_000) this.from = { rollouts, ms: elapsedMs }
      return null
    }
    const done = rollouts - this.from.rollouts
    if (done < 10) return null
    const { max_rollouts: rolloutsMax, max_seconds: secondsMax = Infinity } = this.optimizer
    const byRollouts = (rolloutsMax - rollouts) * (elapsedMs - this.from.ms) / done / 1_000
    return Math.max(0, Math.min(byRollouts, secondsMax - elapsedMs / 1_000))
  }
}

/** A limit in dollars means nothing where nobody knows what a call costs. */
const checkPrices = ({ optimizer, scoring }: RunConfig, mode: OptimizeMode) => {
  const { max_usd, prices, reflection_model } = optimizer
  if (max_usd === undefined) return Effect.void
  const judges = (scoring ?? []).flatMap((scorer) =>
    scorer.kind === "judge" && scorer.model !== undefined ? [scorer.model] : []
  )
  const unknown = [mode.modelRef, reflection_model ?? mode.modelRef, ...judges].find((model) =>
    priceOf(prices, model) === undefined
  )
  return unknown === undefined ? Effect.void : new UsageError({
    detail: `${mode.configPath}: ` +
      `$.optimizer.max_usd needs the price of ${unknown}: give it in $.optimizer.prices, in dollars per million tokens`
  })
}

/** Where a config's reflection model is; null when nothing is searched for. Fails before anything is written. */
export const reflectionModel = (config: RunConfig, mode: OptimizeMode, environment: Environment) => {
  const { optimizer } = config
  return optimizer.algorithm === "evaluate"
    ? Effect.succeed(null)
    : Effect.zipRight(
      checkPrices(config, mode),
      sideModel(mode, optimizer.reflection_model ?? mode.modelRef, environment, optimizer.reflection_url)
    )
}

const reflectorOf = ({ config, proxy }: SearchPartOptions, reflection: SideModel) =>
  Effect.gen(function*() {
    const endpoints = yield* sideEndpoints([reflection], proxy)
    const { apiKey, model, origin, secrets } = endpoints.get(reflection.modelRef)!
    return Reflector.layer({
      origin,
      apiKey,
      secrets,
      model,
      parameters: config.optimizer.reflection_parameters ?? {},
      timeoutSecs: config.attempt_timeout_secs
    })
  })
