/** A whole search: from the config to a promoted version, or to the reason why there is none. */
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import * as Struct from "effect/Struct"
import { createHash } from "node:crypto"
import type { RunId } from "../../domain/Ids.js"
import type { OptimizerConfig } from "../../domain/OptimizerConfig.js"
import { priceOf } from "../../domain/Prices.js"
import type { ResourceValues } from "../../domain/Resources.js"
import type { RunConfig } from "../../domain/RunConfig.js"
import { SearchFailed } from "../../domain/SearchFailed.js"
import { canonicalJson } from "../../store/canonicalJson.js"
import { GateStore, type GateUse } from "../../store/GateStore.js"
import { ResourceStore } from "../../store/ResourceStore.js"
import type { RunStore } from "../../store/RunStore.js"
import { SearchStore } from "../../store/SearchStore.js"
import type { StoreError } from "../../store/StoreError.js"
import { Chance } from "../Chance.js"
import { gate } from "../Gate.js"
import { gatePlan, mayOpen } from "../GatePlan.js"
import type { GateSettings } from "../GateSettings.js"
import type { GateVerdict } from "../GateVerdict.js"
import { gepa, type GepaSettings } from "../Gepa.js"
import { rgepa, type RgepaSettings } from "../Rgepa.js"
import { type Found, keyOf, piloted, type Steps, type Task, type TaskExample, type Texts } from "../Search.js"
import { slicesOf } from "../Slices.js"
import { apo, type ApoSettings } from "../TextualGradient.js"
import { gateFirstSample } from "./gateSamples.js"
import type { Reflector } from "./Reflector.js"
import { divided, gateSettings, reflectionsMax } from "./SearchPlan.js"
import { SearchRun } from "./SearchRun.js"
import { searchExamples, seedOf } from "./SearchTask.js"
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

/** What a search came to, as it is stored. */
export interface SearchResult {
  readonly algorithm: string
  readonly reason: string
  /** Candidate numbers; the seed is 0. */
  readonly best: number
  readonly bestMean: number | null
  readonly seedVersion: number
  readonly bestVersion: number | null
  readonly promotedVersion: number | null
  /** It became the latest against the gate, or without one. */
  readonly isForced: boolean
  readonly selectionExamples: number
  readonly gateExamples: number
  readonly gateLeftOut: LeftOut
  /** What of `max_rollouts` was kept back for the gate; missing in results of before it was told. */
  readonly gateRollouts?: number
  readonly spent: Spent
  readonly gate: GateVerdict | null
  /** The version that the gate held the best one against where that was not the seed; missing in results of before it was told. */
  readonly incumbentVersion?: number | null
  /** Why no gate was held, in a sentence; null when one was. */
  readonly noGate: string | null
}

/** Examples of the gate's part that it did without: an earlier search had seen them, or earlier gates have worn them out. */
export interface LeftOut {
  readonly seen: number
  readonly wornOut: number
}

/** Changes whenever the same answers may lead to other decisions. */
const version = 2

export const searchProgram = (
  options: ProgramOptions
): Effect.Effect<
  SearchResult,
  SearchFailed | StoreError,
  GateStore | SearchStore | ResourceStore | RunStore | Reflector
> =>
  Effect.gen(function*() {
    const store = yield* SearchStore
    const gates = yield* GateStore
    const { config, resourcesVersion, runId } = options
    const ended = yield* store.result(runId)
    if (ended !== null) return JSON.parse(ended) as SearchResult

    const stored = yield* Effect.flatMap(ResourceStore, ({ get }) => get(resourcesVersion))
    const resources = Option.getOrThrow(stored).resources
    const seed = yield* seedOf(config, resources)
    const examples = searchExamples(config, resources)
    if (examples.train.length === 0 || examples.validate.length === 0) {
      return yield* new SearchFailed({ reason: "task", detail: "a search needs examples in optimize and in validate" })
    }
    const { optimizer } = config
    const settings = gateSettings(config)
    const chance = new Chance(optimizer.seed)
    const { gateRollouts, pairs: planned, selection, untestable } = divided(config, examples)
    const spending = new Spending({
      tokensMax: optimizer.max_tokens ?? Infinity,
      usdMax: optimizer.max_usd ?? Infinity,
      secondsMax: optimizer.max_seconds ?? Infinity
    }, (model) => priceOf(optimizer.prices ?? {}, model))
    const watched = new Watched(seed)
    const run = new SearchRun({
      runId,
      resources,
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
    const task: Task = { seed, train: examples.train, selection, chance }
    const steps = searching(task, optimizer)
    // Without the memo the first example would be run twice.
    const found = yield* run.run(spending.isReserving && optimizer.cache !== false ? piloted(task, steps) : steps, {
      rolloutsMax: optimizer.max_rollouts - gateRollouts,
      reflectionsMax: reflectionsMax(config),
      stallMax: optimizer.stallLimit,
      cached: optimizer.cache ?? true
    }, gateRollouts)
    watched.phase = "gate"
    const isSeed = keyOf(found.best) === keyOf(seed)
    const use = yield* gates.use(runId, planned.map(({ id }) => id), gateFirstSample)
    const { leftOut, pairs, usedBefore } = freshPairs(planned, use, settings)
    const pairsSet = gateSetOf(pairs.map(({ id }) => id))
    // A candidate that is the incumbent already is put down under the run's own name: it uses no examples up.
    const ownSet = gateSetOf([runId])
    const latest = Option.getOrThrow(yield* Effect.flatMap(ResourceStore, ({ latest }) => latest))
    const isIdentical = (yield* gates.hasOpened(runId, ownSet)) || (!(yield* gates.hasOpened(runId, pairsSet)) &&
      keyOf(yield* incumbentOf(latest.version, resourcesVersion, resources, seed)) === keyOf(found.best))
    const gateSet = isIdentical ? ownSet : pairsSet
    const isOpen = isIdentical || (yield* gates.hasOpened(runId, gateSet))
    const noGate = isSeed
      ? "nothing better than the seed was found"
      : planned.length === 0
      ? untestable ?? "not testable: max_rollouts leaves none for the gate"
      : pairs.length === 0
      ? `not testable: an earlier search has seen all ${planned.length} examples of the gate: add new ones to validate`
      : !isOpen && !(yield* run.affords(2 * settings.samples * Math.min(settings.blockPairs, pairs.length)))
      ? "not testable: the budget leaves nothing for the gate"
      : null
    const opening = noGate === null ? yield* gates.open(runId, gateSet, usedBefore) : null
    const incumbent = opening === null ? seed : yield* incumbentOf(opening.incumbent, resourcesVersion, resources, seed)
    const verdict = opening === null ? null : yield* run.run(
      gate({
        incumbent,
        candidate: found.best,
        examples: pairs,
        untestable: null,
        plan: gatePlan(pairs.length, opening.k, settings),
        // A search may draw an example more than once; the gate's draws are its own.
        firstSample: gateFirstSample,
        chance,
        slices: new Map(pairs.map(({ id }) => [id, slicesOf(examples.byId.get(id)!)])),
        settings
      }),
      { rolloutsMax: gateRollouts, reflectionsMax: 0, stallMax: Infinity }
    )
    const best = isSeed ? 0 : run.numberOf(found.best)
    const bestVersion = yield* store.versionOf(runId, best)
    const isPromoted = verdict?.decision === "promote"
    const isForced = !isPromoted && !isSeed && options.forcedBy !== null
    const promoted = isPromoted || isForced ? bestVersion : null
    const result: SearchResult = {
      algorithm: optimizer.algorithm,
      reason: found.reason,
      best,
      bestMean: found.mean,
      seedVersion: resourcesVersion,
      bestVersion,
      promotedVersion: promoted,
      isForced,
      selectionExamples: selection.length,
      gateExamples: pairs.length,
      gateLeftOut: leftOut,
      gateRollouts,
      spent: spent(),
      gate: verdict,
      incumbentVersion: opening === null || incumbent === seed ? null : opening.incumbent,
      noGate
    }
    yield* store.end(
      runId,
      JSON.stringify(result),
      promoted === null ? null : {
        version: promoted,
        decision: isForced ? "forced" : "gate",
        principal: isForced ? options.forcedBy : null
      }
    )
    watched.phase = "ended"
    tell()
    return result
  })

/**
 * What the candidate has to beat: the texts of the latest version, where it is of the same agent; a version that differs in more
 * than the components is none, and the seed it is.
 */
const incumbentOf = (latest: number, begunUnder: number, resources: ResourceValues, seed: Texts) =>
  Effect.gen(function*() {
    if (latest === begunUnder) return seed
    const stored = yield* Effect.flatMap(ResourceStore, ({ get }) => get(latest))
    const values = Option.getOrThrow(stored).resources
    const texts = Object.fromEntries(
      Object.keys(seed).flatMap((name) => typeof values[name] === "string" ? [[name, values[name]] as const] : [])
    )
    const isSameAgent = Object.keys(texts).length === Object.keys(seed).length &&
      canonicalJson({ ...values, ...seed }) === canonicalJson(resources)
    return isSameAgent ? texts : seed
  })

/**
 * The pairs that are still good for a gate, and how often they were used. Where the examples together have been used too often,
 * those that no gate has looked at are a gate of their own, if there are any.
 */
const freshPairs = (
  planned: ReadonlyArray<TaskExample>,
  { openings, seen, used }: GateUse,
  { alpha }: GateSettings
) => {
  const unseen = planned.filter(({ id }) => !seen.includes(id))
  const unused = unseen.filter(({ id }) => !used.includes(id))
  const isWornOut = !mayOpen(alpha, openings + 1) && unused.length > 0
  const pairs = isWornOut ? unused : unseen
  const leftOut: LeftOut = { seen: planned.length - unseen.length, wornOut: unseen.length - pairs.length }
  return { pairs, usedBefore: isWornOut ? 0 : openings, leftOut }
}

const gateSetOf = (ids: ReadonlyArray<string>) => createHash("sha256").update(ids.toSorted().join("\n")).digest("hex")

/** The settings that the config gives; the algorithm knows the others. */
const given = <Settings>(settings: { readonly [K in keyof Settings]?: Settings[K] | undefined }): Partial<Settings> =>
  Object.fromEntries(Object.entries(settings).filter(([, value]) => value !== undefined)) as Partial<Settings>

const searching = (task: Task, optimizer: OptimizerConfig): Steps<Found> => {
  const { algorithm, proposals, seed, ...settings } = optimizer
  switch (algorithm) {
    case "gepa":
      return gepa(task, given<GepaSettings>({ ...Struct.pick(settings, ...gepaKeys), proposals, rngSeed: seed }))
    case "apo":
      return apo(
        task,
        given<ApoSettings>({
          beamWidth: settings.beam,
          branchFactor: settings.branch,
          beamRounds: settings.rounds,
          gradientBatch: settings.gradient_batch,
          valBatch: settings.val_batch,
          bandit: settings.bandit,
          target: settings.target
        })
      )
    default:
      return rgepa(
        task,
        given<RgepaSettings>({ ...Struct.pick(settings, ...rgepaKeys), proposals: proposals?.perParent })
      )
  }
}

/** Settings that the config gives under the algorithm's own names. */
const gepaKeys = [
  "acceptance",
  "componentSelector",
  "merge",
  "mergesMax",
  "minibatch",
  "perfectScore",
  "rng",
  "selection",
  "selector",
  "skipPerfectScore",
  "target"
] as const satisfies ReadonlyArray<keyof GepaSettings>
const rgepaKeys = [
  "block",
  "corpusPass",
  "dropMargin",
  "dropZ",
  "hypotheses",
  "lag",
  "minibatch",
  "pBest",
  "pPrune",
  "patchMerge",
  "rejectedMemory",
  "target",
  "tieBreakSamples"
] as const satisfies ReadonlyArray<keyof RgepaSettings>
