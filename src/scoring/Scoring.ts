/** The configured scorers, asked one after the other, and the weighted mean of what they say. */
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import { Reward, type Scorable, Scorer, ScoringFailed } from "../domain/Reward.js"
import type { ScorerConfig } from "../domain/RunConfig.js"
import { withoutSecrets } from "../openai/Secrets.js"
import { commandScorer } from "./CommandScorer.js"
import { contains } from "./Contains.js"
import { exactMatch } from "./ExactMatch.js"
import { httpScorer } from "./HttpScorer.js"
import { jsonEqual } from "./JsonEqual.js"
import { type JudgeModel, judgeScorer } from "./JudgeScorer.js"
import { numeric } from "./Numeric.js"
import { regex } from "./Regex.js"
import type { Refused, Verdict } from "./Verdict.js"

/** The scorers as a config names them, and what they need of their surroundings. */
export interface ScoringConfig {
  /** Without it, `exact_match` for the examples whose `expected` is a text, and no score for the others. */
  readonly scoring?: ReadonlyArray<ScorerConfig> | undefined
  /** Folder of the config file, where relative paths start. */
  readonly baseDir: string
  /** Where the model that a `judge` names is asked, the run's own without a name. A `judge` fails where this is missing. */
  readonly judgeModel?: (model: string | undefined) => JudgeModel
}

/** The scorers of a config as the one that a runner asks. */
export const layer = (config: ScoringConfig): Layer.Layer<Scorer> => Layer.succeed(Scorer, scorerOf(config))

/** The same without a layer, for a scorer that asks another. Scores fail with `ScoringFailed` where one scorer cannot judge. */
export const scorerOf = ({ scoring, ...surroundings }: ScoringConfig): Scorer["Type"] => {
  const judges = scoring === undefined ? undefined : named(scoring).map((entry) => judge(entry, surroundings))
  return {
    score: (scorable) =>
      Effect.map(
        Effect.forEach(judges ?? unconfigured(scorable.example), (one) => one(scorable)),
        (weighed) => ({ rewards: weighed.map(({ reward }) => reward), score: weightedMean(weighed) })
      )
  }
}

interface Weighed {
  readonly reward: Reward
  readonly weight: number
}
type Judge = (scorable: Scorable) => Effect.Effect<Weighed, ScoringFailed>

interface Named {
  readonly config: ScorerConfig
  readonly name: string
}

/** Rewards are kept by name, so a name that is taken gets a number: `contains`, `contains_2`. */
const named = (scoring: ReadonlyArray<ScorerConfig>): ReadonlyArray<Named> => {
  const taken = new Set<string>()
  return scoring.map((config) => {
    const base = config.name ?? config.kind
    let name = base
    for (let n = 2; taken.has(name); n += 1) name = `${base}_${n}`
    taken.add(name)
    return { config, name }
  })
}

type Surroundings = Omit<ScoringConfig, "scoring">

const judge = ({ config, name }: Named, surroundings: Surroundings): Judge => {
  // What a program or a server says when it fails may show its keys.
  const failed = (why: string | Refused) => {
    const [detail, permanent] = typeof why === "string" ? [why, false] : [why.refused, true]
    return new ScoringFailed({ scorer: name, detail: withoutSecrets(detail).text, permanent })
  }
  const verdict = judgement(config, surroundings)
  return (scorable) =>
    verdict(scorable).pipe(
      Effect.map(({ feedback, value }) => ({ reward: new Reward({ name, value, feedback }), weight: config.weight })),
      Effect.mapError(failed)
    )
}

const judgement = (
  config: ScorerConfig,
  { baseDir, judgeModel }: Surroundings
): (scorable: Scorable) => Effect.Effect<Verdict, string | Refused> => {
  if (config.kind === "judge") {
    return judgeModel === undefined
      ? () => Effect.fail("there is no model to judge with here")
      : judgeScorer(config, judgeModel(config.model))
  }
  /** A missing reference is a mistake in the data; a silent 0 would look like a bad agent. */
  const withReference =
    (decide: (output: string, reference: unknown) => Effect.Effect<Verdict, string>) =>
    ({ example, output }: Scorable) =>
      Object.hasOwn(example, config.expected)
        ? decide(output, example[config.expected])
        : Effect.fail(`the example has no field ${JSON.stringify(config.expected)} to compare with`)
  switch (config.kind) {
    case "exact_match":
      return withReference((output, reference) => Effect.succeed(exactMatch(output, reference)))
    case "contains":
      return withReference((output, reference) => contains(output, reference, { ignoreCase: config.ignore_case }))
    case "regex": {
      const { flags, pattern } = config
      return pattern === undefined
        ? withReference((output, reference) => regex(output, reference, flags))
        : ({ output }) => regex(output, pattern, flags)
    }
    case "numeric": {
      const options = { tolerance: config.tolerance, thousandsSeparator: config.thousands_separator }
      return withReference((output, reference) => numeric(output, reference, options))
    }
    case "json_equal":
      return withReference((output, reference) => Effect.succeed(jsonEqual(output, reference)))
    case "command":
      return commandScorer(config, baseDir)
    case "http":
      return httpScorer(config)
  }
}

const exact = judge({ config: { kind: "exact_match", weight: 1, expected: "expected" }, name: "exact_match" }, {
  baseDir: ""
})

const unconfigured = (example: Scorable["example"]): ReadonlyArray<Judge> =>
  typeof example["expected"] === "string" ? [exact] : []

/** Null without scorers, and when all of them weigh nothing. */
const weightedMean = (weighed: ReadonlyArray<Weighed>): number | null => {
  const heaviest = Math.max(0, ...weighed.map(({ weight }) => weight))
  if (heaviest === 0) return null
  // Huge weights must not add up to infinity. To divide by a power of two rounds nothing: 3 and 1 stay what they are.
  const unit = 2 ** Math.min(1023, Math.floor(Math.log2(heaviest)))
  const total = weighed.reduce((sum, { weight }) => sum + weight / unit, 0)
  const sum = weighed.reduce((sum, { reward, weight }) => sum + reward.value * (weight / unit), 0)
  // Never above 1: each product and each sum is rounded to at most what full marks are rounded to.
  return sum / total
}
