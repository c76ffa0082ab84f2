/** A whole search: from the config to a promoted version, or to the reason why there is none. */
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import type { RunId } from "../../domain/Ids.js"
import type { RunConfig } from "../../domain/RunConfig.js"
import { SearchFailed } from "../../domain/SearchFailed.js"
import type { GateStore } from "../../store/GateStore.js"
import { ResourceStore } from "../../store/ResourceStore.js"
import type { RunStore } from "../../store/RunStore.js"
import { SearchStore } from "../../store/SearchStore.js"
import type { StoreError } from "../../store/StoreError.js"
import { whenWritable } from "../../store/whenWritable.js"
import { Chance } from "../Chance.js"
import { type Found, keyOf, type Task } from "../Search.js"
import { searching } from "./Algorithm.js"
import { type BegunUnder, type GateRun, gateRun } from "./GateRun.js"
import type { Reflector } from "./Reflector.js"
import { divided, type DividedExamples, gateSettings, reflectionsMax } from "./SearchPlan.js"
import type { SearchResult } from "./SearchResult.js"
import { SearchRun } from "./SearchRun.js"
import { type SearchExamples, searchExamples, seedOf } from "./SearchTask.js"
import { Spending } from "./Spending.js"
import { type Spent, type Standing, Watched } from "./Standing.js"

export interface ProgramOptions {
  readonly runId: RunId
  readonly config: RunConfig
  /** The version that the run was begun under. */
  readonly resourcesVersion: number
  /** Who makes the best version the latest whatever the gate says; null leaves it to the gate. */
  readonly forcedBy: string | null
  readonly onProgress: () => void
  readonly onEnqueued: () => void
  /** Told where the search stands. */
  readonly onStanding: (standing: Standing) => void
}

/** Of the batches of a search that keeps a budget by what its calls turn out to use: 1 rollout, 4, 20, 100. */
const growthMax = 4

/** Changes whenever the same answers may lead to other decisions. */
const version = 5

/** One that has ended is not begun anew: its result is on record. */
export const searchProgram = (
  options: ProgramOptions
): Effect.Effect<
  SearchResult,
  SearchFailed | StoreError,
  GateStore | SearchStore | ResourceStore | RunStore | Reflector
> =>
  Effect.gen(function*() {
    const store = yield* SearchStore
    const ended = yield* store.result(options.runId)
    if (ended !== null) return JSON.parse(ended) as SearchResult

    const stored = yield* Effect.flatMap(ResourceStore, ({ get }) => get(options.resourcesVersion))
    const { resources } = Option.getOrThrow(stored)
    const seed = yield* seedOf(options.config, resources)
    const examples = searchExamples(options.config, resources)
    if (examples.train.length === 0 || examples.validate.length === 0) {
      return yield* new SearchFailed({ reason: "task", detail: "a search needs examples in optimize and in validate" })
    }
    return yield* searched(options, { version: options.resourcesVersion, resources, seed }, examples)
  })

/** Searches, holds the gate, and puts down what came of them. */
const searched = (options: ProgramOptions, begun: BegunUnder, examples: SearchExamples) =>
  Effect.gen(function*() {
    const { config, runId } = options
    const { optimizer } = config
    const { seed } = begun
    const chance = new Chance(optimizer.seed)
    const division = divided(config, examples)
    const spending = new Spending({
      tokensMax: optimizer.max_tokens ?? Infinity,
      usdMax: optimizer.max_usd ?? Infinity,
      secondsMax: optimizer.max_seconds ?? Infinity
    }, optimizer.prices)
    const watched = new Watched(seed)
    const run = new SearchRun({
      runId,
      resources: begun.resources,
      seed,
      examples: examples.byId,
      optimizer: `${optimizer.algorithm}@${version}`,
      attemptsMax: config.max_attempts,
      spending,
      onProgress: () => {
        options.onProgress()
        tell()
      },
      onEvent: (event) => watched.see(event),
      onEnqueued: options.onEnqueued
    })
    const spent = (): Spent => ({
      rollouts: run.spent.rollouts,
      reflections: run.spent.reflections,
      tokens: spending.tokens,
      usd: spending.usd
    })
    const tell = () => options.onStanding({ ...watched.standing, ...spent() })

    const task: Task = { seed, train: examples.train, selection: division.selection, chance }
    const found = yield* run.run(searching(task, optimizer), {
      rolloutsMax: optimizer.max_rollouts - division.gateRollouts,
      reflectionsMax: reflectionsMax(config),
      stallMax: optimizer.stallLimit,
      cached: optimizer.cache ?? true,
      ...(spending.isReserving && { growthMax })
    }, division.gateRollouts)

    watched.phase = "gate"
    const gate = yield* gateRun({
      runId,
      search: run,
      candidate: found.best,
      division,
      examples: examples.byId,
      begun,
      settings: gateSettings(config),
      chance
    })

    const result = yield* putDown(options, begun, { division, found, gate, search: run, spent: spent() })
    watched.phase = "ended"
    tell()
    return result
  })

interface Outcome {
  readonly division: DividedExamples
  readonly found: Found
  readonly gate: GateRun
  readonly search: SearchRun
  readonly spent: Spent
}

/** Makes the best version the latest where the gate, or else whoever forces it, says so; and ends the search with its result. */
const putDown = (
  { config, forcedBy, runId }: ProgramOptions,
  begun: BegunUnder,
  { division, found, gate, search, spent }: Outcome
) =>
  Effect.gen(function*() {
    const store = yield* SearchStore
    const isSeed = keyOf(found.best) === keyOf(begun.seed)
    const best = isSeed ? 0 : search.numberOf(found.best)
    const bestVersion = yield* store.versionOf(runId, best)
    const isPromoted = gate.verdict?.decision === "promote"
    const isForced = !isPromoted && !isSeed && forcedBy !== null
    const promotedVersion = isPromoted || isForced ? bestVersion : null
    const result: SearchResult = {
      algorithm: config.optimizer.algorithm,
      reason: found.reason,
      best,
      bestMean: found.mean,
      seedVersion: begun.version,
      bestVersion,
      promotedVersion,
      isForced,
      selectionExamples: division.selection.length,
      gateExamples: gate.examples,
      gateLeftOut: gate.leftOut,
      gateRollouts: division.gateRollouts,
      spent,
      gate: gate.verdict,
      incumbentVersion: gate.incumbentVersion,
      noGate: gate.noGate
    }
    const stored = yield* whenWritable(store.end(
      runId,
      JSON.stringify(result),
      promotedVersion === null ? null : {
        version: promotedVersion,
        decision: isForced ? "forced" : "gate",
        principal: isForced ? forcedBy : null
      }
    ))
    return JSON.parse(stored) as SearchResult
  })
