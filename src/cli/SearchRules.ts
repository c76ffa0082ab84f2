/** What must hold for a search: that it has something to search over, and that its settings are those of its algorithm. */
import { pathOf } from "../domain/JsonText.js"
import type { Algorithm, OptimizerConfig } from "../domain/OptimizerConfig.js"
import type { ResourceValues } from "../domain/Resources.js"
import type { Example } from "../domain/Rollout.js"
import type { RunConfig } from "../domain/RunConfig.js"
import { shown } from "../domain/shown.js"
import { parseUpstream } from "../openai/UpstreamUrl.js"
import { divided } from "../optimizer/run/SearchPlan.js"
import { searchExamples } from "../optimizer/run/SearchTask.js"
import type { Problem } from "./ConfigShape.js"
import { modelProblems } from "./ModelRule.js"
import { nearest } from "./Suggestion.js"

/** Settings that only some algorithms know; all others are for every search. */
const owners: { readonly [Key in keyof OptimizerConfig]?: ReadonlyArray<Algorithm> } = {
  samples: ["evaluate"],
  beam: ["apo"],
  branch: ["apo"],
  rounds: ["apo"],
  gradient_batch: ["apo"],
  val_batch: ["apo"],
  bandit: ["apo"],
  minibatch: ["gepa", "rgepa"],
  proposals: ["gepa", "rgepa"],
  selection: ["gepa"],
  selector: ["gepa"],
  componentSelector: ["gepa"],
  acceptance: ["gepa"],
  perfectScore: ["gepa"],
  skipPerfectScore: ["gepa"],
  merge: ["gepa"],
  mergesMax: ["gepa"],
  rng: ["gepa"],
  cache: ["gepa"],
  block: ["rgepa"],
  dropZ: ["rgepa"],
  dropMargin: ["rgepa"],
  pBest: ["rgepa"],
  pPrune: ["rgepa"],
  patchMerge: ["rgepa"],
  lag: ["rgepa"],
  corpusPass: ["rgepa"],
  rejectedMemory: ["rgepa"],
  hypotheses: ["rgepa"],
  tieBreakSamples: ["rgepa"]
}

/** Of no use to `evaluate`, which searches nothing. */
const searchOnly: ReadonlyArray<keyof OptimizerConfig> = [
  "components",
  "reflection_model",
  "reflection_url",
  "reflection_parameters",
  "max_reflections",
  "max_tokens",
  "max_usd",
  "max_seconds",
  "target",
  "stallLimit"
]

/** `given` are the keys of `optimizer` that its author wrote: a default is nobody's mistake. */
export const searchProblems = (config: RunConfig, given: ReadonlyArray<string>): ReadonlyArray<Problem> => {
  const { algorithm } = config.optimizer
  const misplaced = given.flatMap((key): ReadonlyArray<Problem> => {
    const of = owners[key as keyof OptimizerConfig]
    const isMisplaced = of === undefined
      ? algorithm === "evaluate" && searchOnly.includes(key as keyof OptimizerConfig)
      : !of.includes(algorithm)
    if (!isMisplaced) return []
    const meant = of === undefined ? "a search" : of.map(shown).join(" and ")
    return [{
      path: pathOf("$.optimizer", key),
      text: `expected a setting of ${shown(algorithm)}, found ${shown(key)}, which is of ${meant}`
    }]
  })
  if (algorithm === "evaluate") {
    return [
      ...misplaced,
      ...(given.includes("max_rollouts") ? evaluationProblems(config) : []),
      ...(config.optimizer.samples === undefined ? [] : sampleProblems(config, config.optimizer.samples))
    ]
  }
  return [
    ...misplaced,
    ...(["optimize", "validate"] as const).flatMap((key) =>
      config[key].length > 0
        ? []
        : [{ path: pathOf("$", key), text: `expected examples, found none: ${shown(algorithm)} searches on them` }]
    ),
    // Without resources of its own the run is under the latest version, which only the store knows.
    ...(config.resources === undefined ? [] : componentProblems(config.optimizer, config.resources, "\"resources\"")),
    ...unscoredProblems(config),
    ...budgetProblems(config),
    ...crossingProblems(config.optimizer),
    ...parameterProblems(config),
    ...parentProblems(config.optimizer),
    ...modelProblems(config.optimizer.reflection_model, "$.optimizer.reflection_model"),
    ...urlProblems(config.optimizer.reflection_url)
  ]
}

/** Of another algorithm it is misplaced already. */
const crossingProblems = ({ algorithm, merge, mergesMax }: OptimizerConfig): ReadonlyArray<Problem> =>
  algorithm !== "gepa" || mergesMax === undefined || merge === true ? [] : [{
    path: "$.optimizer.mergesMax",
    text: `expected "merge": true beside it, without which nothing is crossed, found ${merge ?? "none"}`
  }]

/** Whether the search has texts to search over; `where` names the resources. */
export const componentProblems = (
  optimizer: OptimizerConfig,
  resources: ResourceValues,
  where: string
): ReadonlyArray<Problem> => {
  const texts = Object.keys(resources).filter((name) => typeof resources[name] === "string")
  if (texts.length === 0) {
    const text = `expected a text to optimize, a system_prompt say, found none in ${where}`
    return [{ path: "$.resources", text }]
  }
  const components: ReadonlyArray<string> = optimizer.components ?? []
  return components.flatMap((name, index) => {
    const path = pathOf("$.optimizer.components", index)
    if (components.slice(0, index).includes(name)) {
      return [{ path, text: `expected each component once, found ${shown(name)} again` }]
    }
    if (texts.includes(name)) return []
    const meant = nearest(name, texts)
    const hint = meant === undefined ? "" : `; did you mean ${shown(meant)}?`
    return [{
      path,
      text: `expected the name of a text in ${where}, found ${shown(name)}${hint}`
    }]
  })
}

/** A search compares scores: an example that has none would count as a miss of every candidate. Without scorers only texts are compared. */
const unscoredProblems = (config: RunConfig): ReadonlyArray<Problem> =>
  config.scoring !== undefined ? [] : examplesOf(config).flatMap(([path, example]): ReadonlyArray<Problem> => {
    if (!Object.hasOwn(example, "expected")) return [missingReference(path, "expected")]
    return typeof example["expected"] === "string" ? [] : [{
      path: pathOf(path, "expected"),
      text: `expected a text, for "scoring" names no scorer, found ${shown(example["expected"])}`
    }]
  })

/** All examples of a config, each with its path. */
export const examplesOf = (config: RunConfig): ReadonlyArray<readonly [path: string, example: Example]> =>
  (["optimize", "validate"] as const).flatMap((key) =>
    config[key].map((example, index) => [pathOf(pathOf("$", key), index), example] as const)
  )

export const missingReference = (path: string, field: string): Problem => ({
  path,
  text: `expected the field ${shown(field)} to score an answer by, found none`
})

/** An evaluation is never cut short: half of the examples would have another mean. */
const evaluationProblems = ({ optimize, optimizer, validate }: RunConfig): ReadonlyArray<Problem> => {
  const { max_rollouts: max, samples = 1 } = optimizer
  const all = (optimize.length + validate.length) * samples
  return max >= all ? [] : [{
    path: "$.optimizer.max_rollouts",
    text: `expected at least the ${all} rollouts of all examples, found ${max}`
  }]
}

/** An evaluation is begun with all of its rollouts, each with its example, in one text. */
const begunCharsMax = 256 * 1024 * 1024

const sampleProblems = (config: RunConfig, samples: number): ReadonlyArray<Problem> => {
  const chars = JSON.stringify([config.optimize, config.validate]).length
  return samples * chars <= begunCharsMax ? [] : [{
    path: "$.optimizer.samples",
    text: `expected at most ${Math.floor(begunCharsMax / chars)} for examples of ${chars} characters, found ${samples}`
  }]
}

/** The seed's own evaluation and the gate must fit. */
const budgetProblems = (config: RunConfig): ReadonlyArray<Problem> => {
  const { gateRollouts, selection } = divided(config, searchExamples(config, config.resources ?? {}))
  const { max_rollouts: max } = config.optimizer
  const least = selection.length + gateRollouts
  return max > least ? [] : [{
    path: "$.optimizer.max_rollouts",
    text:
      `expected more than the ${selection.length} rollouts of the selection examples and ${gateRollouts} of the gate, ` +
      `found ${max}`
  }]
}

const ownParameters = new Set(["model", "messages", "stream", "response_format"])

const parameterProblems = ({ optimizer }: RunConfig): ReadonlyArray<Problem> =>
  Object.keys(optimizer.reflection_parameters ?? {}).filter((key) => ownParameters.has(key)).map((key) => ({
    path: pathOf("$.optimizer.reflection_parameters", key),
    text: `expected a parameter that is not tau's own, found ${shown(key)}`
  }))

/** An iteration of rgepa has one parent. */
const parentProblems = ({ algorithm, proposals }: OptimizerConfig): ReadonlyArray<Problem> =>
  algorithm !== "rgepa" || proposals === undefined || proposals.parents === 1 ? [] : [{
    path: "$.optimizer.proposals.parents",
    text: `expected 1 parent for "rgepa", found ${proposals.parents}; "lag" runs iterations side by side`
  }]

const urlProblems = (url: string | undefined): ReadonlyArray<Problem> => {
  const parsed = url === undefined ? undefined : parseUpstream(url)
  return typeof parsed === "string" ? [{ path: "$.optimizer.reflection_url", text: parsed }] : []
}
