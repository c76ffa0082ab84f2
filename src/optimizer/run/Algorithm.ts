/** The optimizer that a config names, with the settings that it gives. */
import * as Struct from "effect/Struct"
import type { OptimizerConfig } from "../../domain/OptimizerConfig.js"
import { gepa, type GepaSettings } from "../Gepa.js"
import { rgepa, type RgepaSettings } from "../Rgepa.js"
import type { Found, Steps, Task } from "../Search.js"
import { apo, type ApoSettings } from "../TextualGradient.js"

export const searching = (task: Task, optimizer: OptimizerConfig): Steps<Found> => {
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

/** Without those that the config leaves to the algorithm. */
const given = <Settings>(settings: { readonly [K in keyof Settings]?: Settings[K] | undefined }): Partial<Settings> =>
  Object.fromEntries(Object.entries(settings).filter(([, value]) => value !== undefined)) as Partial<Settings>

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
