/** The gate that follows a search: over which examples it is held, against whom, or why not at all. */
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import { hash } from "node:crypto"
import type { RunId } from "../../domain/Ids.js"
import type { ResourceValues } from "../../domain/Resources.js"
import type { Example } from "../../domain/Rollout.js"
import { canonicalJson } from "../../store/canonicalJson.js"
import { GateStore, type GateUse } from "../../store/GateStore.js"
import { ResourceStore } from "../../store/ResourceStore.js"
import { whenWritable } from "../../store/whenWritable.js"
import type { Chance } from "../Chance.js"
import { gate } from "../Gate.js"
import { gatePlan, mayOpen } from "../GatePlan.js"
import type { GateSettings } from "../GateSettings.js"
import type { GateVerdict } from "../GateVerdict.js"
import { keyOf, type TaskExample, type Texts } from "../Search.js"
import { slicesOf } from "../Slices.js"
import { gateFirstSample } from "./gateSamples.js"
import type { DividedExamples } from "./SearchPlan.js"
import type { LeftOut } from "./SearchResult.js"
import type { SearchRun } from "./SearchRun.js"

export interface GateRunOptions {
  readonly runId: RunId
  /** The search that it follows: their rollouts are of one run and one budget. */
  readonly search: SearchRun
  /** What the search found. */
  readonly candidate: Texts
  readonly division: DividedExamples
  /** Every example of the run by its id. */
  readonly examples: ReadonlyMap<string, Example>
  readonly begun: BegunUnder
  readonly settings: GateSettings
  readonly chance: Chance
}

/** What the run was begun under. */
export interface BegunUnder {
  readonly version: number
  readonly resources: ResourceValues
  /** Those of the resources that are searched over. */
  readonly seed: Texts
}

export interface GateRun {
  readonly verdict: GateVerdict | null
  /** Why there is none, in a sentence. */
  readonly noGate: string | null
  /** Null where the candidate was held against the seed. */
  readonly incumbentVersion: number | null
  readonly examples: number
  readonly leftOut: LeftOut
}

export const gateRun = (options: GateRunOptions) =>
  Effect.gen(function*() {
    const gates = yield* GateStore
    const { begun, candidate, chance, division, examples, runId, search, settings } = options
    const use = yield* gates.use(runId, division.pairs.map(({ id }) => id), gateFirstSample)
    const { leftOut, pairs, usedBefore } = freshPairs(division.pairs, use, settings)
    const place = yield* placeOf(options, pairs)
    const noGate = yield* whyNone(options, pairs, place)
    if (noGate !== null) {
      return { verdict: null, noGate, incumbentVersion: null, examples: pairs.length, leftOut } satisfies GateRun
    }
    const opening = yield* whenWritable(gates.open(runId, place.gateSet, usedBefore))
    const incumbent = yield* incumbentOf(opening.incumbent, begun)
    const verdict = yield* search.run(
      gate({
        incumbent,
        candidate,
        examples: pairs,
        plan: gatePlan(pairs.length, opening.k, settings),
        // A search may draw an example more than once; the gate's draws are its own.
        firstSample: gateFirstSample,
        chance,
        slices: new Map(pairs.map(({ id }) => [id, slicesOf(examples.get(id)!)])),
        settings
      }),
      { rolloutsMax: division.gateRollouts, reflectionsMax: 0, stallMax: Infinity }
    )
    return {
      verdict,
      noGate: null,
      incumbentVersion: incumbent === begun.seed ? null : opening.incumbent,
      examples: pairs.length,
      leftOut
    } satisfies GateRun
  })

/** Under what a gate is put on record, and whether it has yet to be paid for: one that was opened before is gone on with. */
interface Place {
  readonly gateSet: string
  readonly isNew: boolean
}

/** A candidate that is the incumbent already is put down under the run's own name: it uses no examples up. */
const placeOf = ({ begun, candidate, runId }: GateRunOptions, pairs: ReadonlyArray<TaskExample>) =>
  Effect.gen(function*() {
    const gates = yield* GateStore
    const own: Place = { gateSet: gateSetOf([runId]), isNew: false }
    if (yield* gates.hasOpened(runId, own.gateSet)) return own
    const gateSet = gateSetOf(pairs.map(({ id }) => id))
    if (yield* gates.hasOpened(runId, gateSet)) return { gateSet, isNew: false } satisfies Place
    const latest = Option.getOrThrow(yield* Effect.flatMap(ResourceStore, ({ latest }) => latest))
    const incumbent = yield* incumbentOf(latest.version, begun)
    return keyOf(incumbent) === keyOf(candidate) ? own : { gateSet, isNew: true } satisfies Place
  })

const whyNone = (
  { begun, candidate, division, search, settings }: GateRunOptions,
  pairs: ReadonlyArray<TaskExample>,
  { isNew }: Place
) =>
  Effect.gen(function*() {
    const { pairs: planned, untestable } = division
    if (keyOf(candidate) === keyOf(begun.seed)) return "nothing better than the seed was found"
    if (planned.length === 0) return untestable ?? "not testable: max_rollouts leaves none for the gate"
    if (pairs.length === 0) {
      return `not testable: an earlier search has seen all ${planned.length} examples of the gate: ` +
        "add new ones to validate"
    }
    const firstBlock = 2 * settings.samples * Math.min(settings.blockPairs, pairs.length)
    return isNew && !(yield* search.affords(firstBlock)) ? "not testable: the budget leaves nothing for the gate" : null
  })

/** What the candidate has to beat: the texts of the latest version, where it is of the same agent, else the seed. */
const incumbentOf = (latest: number, begun: BegunUnder) =>
  Effect.gen(function*() {
    if (latest === begun.version) return begun.seed
    const stored = yield* Effect.flatMap(ResourceStore, ({ get }) => get(latest))
    return comparedTexts(Option.getOrThrow(stored).resources, begun) ?? begun.seed
  })

/**
 * The texts of another version that a gate asks against. A version that differs in more than the components has none: it is of
 * another agent. One with the same names may be too, which nobody can tell.
 */
export const comparedTexts = (
  values: ResourceValues,
  { resources, seed }: Pick<BegunUnder, "resources" | "seed">
): Texts | null => {
  const texts = Object.fromEntries(
    Object.keys(seed).flatMap((name) => typeof values[name] === "string" ? [[name, values[name]] as const] : [])
  )
  const isSameAgent = Object.keys(texts).length === Object.keys(seed).length &&
    canonicalJson({ ...values, ...seed }) === canonicalJson(resources)
  return isSameAgent ? texts : null
}

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

const gateSetOf = (ids: ReadonlyArray<string>) => hash("sha256", ids.toSorted().join("\n"), "hex")
