/** What a search sets out to do: its examples, divided, and what its gate costs and can find. */
import * as Either from "effect/Either"
import type { ResourceValues } from "../../domain/Resources.js"
import type { RunConfig } from "../../domain/RunConfig.js"
import { gatePlan } from "../GatePlan.js"
import { defaultGateSettings, type GateSettings } from "../GateSettings.js"
import type { TaskExample } from "../Search.js"
import { splitValidate } from "../Split.js"
import { type SearchExamples, searchExamples, seedOf } from "./SearchTask.js"

/** The gate's settings as a config gives them. */
export const gateSettings = ({ gate }: RunConfig): GateSettings => ({
  ...defaultGateSettings,
  alpha: gate.alpha,
  fraction: gate.fraction,
  minRewardDelta: gate.min_reward_delta,
  samples: gate.samples,
  guardRails: {
    ...defaultGateSettings.guardRails,
    tokensRatioMax: gate.tokens_ratio_max,
    tokensRiseAllowed: gate.tokens_rise_allowed,
    failureRateRiseMax: gate.failure_rate_rise_max,
    sliceLossMax: gate.slice_loss_max,
    sliceExamplesMin: gate.slice_examples_min
  }
})

export interface DividedExamples {
  readonly selection: ReadonlyArray<TaskExample>
  /** The pairs that the gate may run: no more than a third of the budget goes into it. */
  readonly pairs: ReadonlyArray<TaskExample>
  readonly untestable: string | null
  readonly gateRollouts: number
}

/** Not the search's: another seed must not show a search what the gate of an earlier one kept. */
const splitSeed = 1

export const divided = (
  config: RunConfig,
  { train, validate }: Pick<SearchExamples, "train" | "validate">
): DividedExamples => {
  const settings = gateSettings(config)
  const { gate, selection, untestable } = splitValidate(validate, splitSeed, settings, train)
  const pairs = gate.slice(0, Math.floor(config.optimizer.max_rollouts / (6 * settings.samples)))
  return { selection, pairs, untestable, gateRollouts: 2 * settings.samples * pairs.length }
}

/** How many reflections a search may ask for: what its config says, else one for every five rollouts. */
export const reflectionsMax = ({ optimizer }: Pick<RunConfig, "optimizer">): number =>
  optimizer.max_reflections ?? Math.ceil(optimizer.max_rollouts / 5)

/** The figures of a search that is yet to begin. */
export const searchPlan = (config: RunConfig, resources: ResourceValues) => {
  const examples = searchExamples(config, resources)
  const { gateRollouts, pairs, selection, untestable } = divided(config, examples)
  const { detectableGain, power } = gatePlan(pairs.length, 1, gateSettings(config))
  const components = Object.keys(Either.getOrElse(seedOf(config, resources), () => ({})))
  return {
    components,
    /** Texts that stay as they are. */
    others: Object.keys(resources).filter((name) => typeof resources[name] === "string" && !components.includes(name)),
    train: examples.train.length,
    selection: selection.length,
    gatePairs: pairs.length,
    gateRollouts,
    untestable,
    power,
    detectableGain,
    reflectionsMax: reflectionsMax(config)
  }
}
