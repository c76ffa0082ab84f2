/** What a better score must not be bought with: tokens, failures, one kind of example. */
import type { Bounds } from "../statistics/Bootstrap.js"
import { ratioBounds } from "../statistics/Fieller.js"
import { isAtMost, mean } from "../statistics/Moments.js"
import { pairedBounds } from "../statistics/PairedBounds.js"
import type { GatePair } from "./GatePair.js"
import type { GateSettings, GuardRailSettings } from "./GateSettings.js"

export interface GuardRail {
  readonly name: "tokens" | "failures" | "slice"
  /** Which slice; null for the other rails. */
  readonly slice: string | null
  readonly n: number
  /** Means of both arms: tokens per rollout, share of failures, score. */
  readonly incumbent: number
  readonly candidate: number
  /** A ratio for tokens, a difference for the others; positive is more of it. */
  readonly change: number
  /** Holds the change with the rail's alpha on either side; `high` is null when nothing bounds it. */
  readonly interval: { readonly low: number; readonly high: number | null }
  /** The largest ratio or rise, or the largest loss as a negative number. */
  readonly bound: number
  /**
   * `kept`: shown to be within the bound, non-inferior. `broken`: the change seen is out of bounds, and a change for the worse
   * is more than luck. Between them the pairs are too few to tell: `suspect` when the change seen is out of bounds, else
   * `unproven`.
   */
  readonly state: "kept" | "unproven" | "suspect" | "broken"
}

export const guardRails = (
  pairs: ReadonlyArray<GatePair>,
  slices: ReadonlyMap<string, ReadonlySet<string>>,
  { draws, guardRails: settings }: Pick<GateSettings, "draws" | "guardRails">,
  seed: number
): ReadonlyArray<GuardRail> => {
  if (pairs.length === 0) return []
  const level = 1 - 2 * settings.alpha
  const differing = (
    name: "failures" | "slice",
    slice: string | null,
    of: ReadonlyArray<GatePair>,
    figure: "failureRate" | "score",
    bound: number
  ): GuardRail => {
    const { first, second } = armsOf(of, figure)
    const incumbent = mean(first)
    const candidate = mean(second)
    const { high, low } = pairedBounds(first, second, { draws, level, seed })
    const change = candidate - incumbent
    // Turned so that up is worse.
    const worse = name === "slice"
      ? { change: -change, low: -high, high: -low, bound: -bound }
      : { change, low, high, bound }
    const state = stateOf(worse, 0)
    return { name, slice, n: of.length, incumbent, candidate, change, interval: { low, high }, bound, state }
  }
  return [
    ...tokensRail(pairs, settings, level),
    differing("failures", null, pairs, "failureRate", settings.failureRateRiseMax),
    ...[...slices].flatMap(([slice, ids]) => {
      const inside = pairs.filter(({ exampleId }) => ids.has(exampleId))
      return inside.length === 0 ? [] : [differing("slice", slice, inside, "score", -settings.sliceLossMax)]
    })
  ]
}

/** The examples of each slice that is large enough to be guarded, in the order of the slices' names. */
export const guardedSlices = (
  slicesByExample: ReadonlyMap<string, ReadonlyArray<string>>,
  exampleIds: ReadonlyArray<string>,
  examplesMin: number
): ReadonlyMap<string, ReadonlySet<string>> => {
  const found = new Map<string, Set<string>>()
  for (const id of exampleIds) {
    for (const slice of slicesByExample.get(id) ?? []) found.set(slice, (found.get(slice) ?? new Set()).add(id))
  }
  return new Map(
    [...found].filter(([, ids]) => ids.size >= examplesMin).toSorted(([one], [other]) => one < other ? -1 : 1)
  )
}

/** None where the incumbent's calls told no tokens: nothing to compare with. */
const tokensRail = (
  pairs: ReadonlyArray<GatePair>,
  { tokensRatioMax, tokensRiseAllowed }: GuardRailSettings,
  level: number
): ReadonlyArray<GuardRail> => {
  const { first, second } = armsOf(pairs, "tokensPerRollout")
  const incumbent = mean(first)
  if (incumbent === 0) return []
  const bound = Math.max(tokensRatioMax, 1 + tokensRiseAllowed / incumbent)
  const candidate = mean(second)
  const change = candidate / incumbent
  const { high, low } = ratioBounds(first, second, level)
  const state = stateOf({ change, low, high, bound }, 1)
  const interval = { low, high: Number.isFinite(high) ? high : null }
  return [{ name: "tokens", slice: null, n: pairs.length, incumbent, candidate, change, interval, bound, state }]
}

const stateOf = (
  { bound, change, high, low }: Bounds & { readonly change: number; readonly bound: number },
  unchanged: number
): GuardRail["state"] => {
  if (isAtMost(high, bound)) return "kept"
  if (isAtMost(change, bound)) return "unproven"
  return low > unchanged ? "broken" : "suspect"
}

const armsOf = (pairs: ReadonlyArray<GatePair>, figure: "score" | "failureRate" | "tokensPerRollout") => ({
  first: pairs.map(({ incumbent }) => incumbent[figure]),
  second: pairs.map(({ candidate }) => candidate[figure])
})
