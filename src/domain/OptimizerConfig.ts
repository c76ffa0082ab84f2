/** The keys `optimizer` and `gate` of a run's config. Names follow the papers where they have any. */
import * as Schema from "effect/Schema"
import { atLeastZero, optional, positive, share, upTo, whole, withDefault } from "./configKeys.js"

/** How a run looks for better texts; `evaluate` looks for none. */
export const Algorithm = Schema.Literal("evaluate", "apo", "gepa", "rgepa")
export type Algorithm = typeof Algorithm.Type

/** Of what is begun at the same time, and so is in memory at once. */
const atOnceMax = 1_000
/** Examples of one batch: many, for a batch may be all of them. */
const batchMax = 100_000

const Price = Schema.Struct({
  input: Schema.propertySignature(atLeastZero("price")).annotations({ description: "Dollars per million tokens sent" }),
  output: Schema.propertySignature(atLeastZero("price")).annotations({
    description: "Dollars per million tokens answered"
  })
})

const score = Schema.Number.pipe(
  Schema.filter((value) => value > 0 && value <= 1, { description: "a score above 0 and at most 1" })
)

/** The key `optimizer` of a config: the algorithm, its settings, and what it may spend. Decoding fills in the defaults. */
export const OptimizerConfig = Schema.Struct({
  algorithm: withDefault(
    Algorithm,
    "evaluate",
    "`evaluate` runs every example once under the given resources and searches nothing; `rgepa`, `gepa` and `apo` search"
  ),
  components: optional(
    Schema.NonEmptyArray(Schema.NonEmptyString),
    "Names of the resources to optimize; without it `system_prompt`, or else every resource that is a text"
  ),
  reflection_model: optional(
    Schema.NonEmptyString,
    "`provider/model` that reads failures and writes new texts; the run's own model by default"
  ),
  reflection_url: optional(
    Schema.NonEmptyString,
    "Base URL of the reflection model; without it the run's own upstream for the same provider, else the provider's address"
  ),
  reflection_parameters: optional(
    Schema.Record({ key: Schema.String, value: Schema.Unknown }),
    "Merged into the body of reflection calls, `max_tokens` or `temperature` say"
  ),
  seed: withDefault(whole(0, "a seed"), 1, "Same seed, same answers: same decisions"),
  max_rollouts: withDefault(positive("rollouts"), 600, "Most rollouts of the whole search, those of the gate included"),
  max_reflections: optional(positive("reflections"), "Most reflections; a fifth of `max_rollouts` by default"),
  max_tokens: optional(positive("tokens"), "Most tokens, in and out, of rollouts and reflections together"),
  max_usd: optional(atLeastZero("sum"), "Most dollars, by `prices` and by what upstreams report"),
  max_seconds: optional(positive("seconds"), "Nothing is begun that would end later than this after the first step"),
  prices: optional(
    Schema.Record({ key: Schema.String, value: Price }),
    "Dollars per million tokens, `input` and `output`, by model (`my-model`, `openai/my-model`). Also of an `evaluate`"
  ),
  target: optional(score, "Mean score over the selection examples at which the search is content and stops"),
  stallLimit: withDefault(
    positive("iterations"),
    40,
    "Iterations in a row without a new rollout before the search gives up"
  ),
  samples: optional(upTo(atOnceMax, "rollouts"), "`evaluate`: rollouts per example"),
  beam: optional(upTo(atOnceMax, "candidates"), "`apo`: candidates kept from round to round (4)"),
  branch: optional(upTo(atOnceMax, "candidates"), "`apo`: new candidates per parent (4)"),
  rounds: optional(positive("rounds"), "`apo`: rounds (3)"),
  gradient_batch: optional(positive("examples"), "`apo`: rollouts that one critique reads (4)"),
  val_batch: optional(positive("examples"), "`apo`: selection examples that a round compares candidates on (16)"),
  bandit: optional(Schema.Literal("none", "ucb"), "`apo`: `ucb` spends a round's rollouts where they tell most"),
  minibatch: optional(upTo(batchMax, "examples"), "`gepa`, `rgepa`: training examples per iteration (3; rgepa 6)"),
  proposals: optional(
    Schema.Struct({
      parents: withDefault(upTo(atOnceMax, "parents"), 1, "Parents per iteration"),
      perParent: withDefault(upTo(atOnceMax, "proposals"), 1, "Proposals per parent")
    }),
    "`gepa`, `rgepa`: how many proposals an iteration makes"
  ),
  selection: optional(
    Schema.Union(
      Schema.Literal("all", "best"),
      Schema.Struct({ topK: positive("candidates") }).annotations({
        description: "an object with a topK of 1 or more"
      })
    ),
    "`gepa`: which of an iteration's improvements are kept (all)"
  ),
  selector: optional(
    Schema.Literal("pareto", "current_best", "epsilon_greedy", "top_k_pareto"),
    "`gepa`: how a parent is chosen (pareto)"
  ),
  componentSelector: optional(
    Schema.Literal("round_robin", "all"),
    "`gepa`: whether a child changes one component, each in its turn, or all of them (round_robin)"
  ),
  acceptance: optional(
    Schema.Literal("strict", ">="),
    "`gepa`: whether a child must do better than its parent on the minibatch, or only no worse (strict)"
  ),
  perfectScore: optional(score, "`gepa`: a score that leaves nothing to improve (1)"),
  skipPerfectScore: optional(Schema.Boolean, "`gepa`: whether a perfect minibatch makes no proposal (true)"),
  merge: optional(Schema.Boolean, "`gepa`: whether candidates are crossed (false)"),
  mergesMax: optional(positive("crossings"), "`gepa`: the most crossings that join the pool (5)"),
  rng: optional(
    Schema.Literal("path", "python"),
    "`gepa`: `python` draws what Python's `random.Random(seed)` draws in the reference implementation (`path`)"
  ),
  cache: optional(Schema.Boolean, "`gepa`: false runs an example again whenever it is asked for again (true)"),
  block: optional(positive("examples"), "`rgepa`: selection examples per heat of the race (10)"),
  dropZ: optional(
    atLeastZero("number of standard errors"),
    "`rgepa`: standard errors of the benefit of the doubt in a race (1.28)"
  ),
  dropMargin: optional(share("a gain"), "`rgepa`: gain, in score, that is worth the rest of a race (0.02)"),
  pBest: optional(share("a probability"), "`rgepa`: how often the parent is the best candidate (0.5)"),
  pPrune: optional(share("a probability"), "`rgepa`: how often a line is tried without (0.1)"),
  patchMerge: optional(Schema.Boolean, "`rgepa`: whether the patches of two candidates are joined (false)"),
  lag: optional(upTo(atOnceMax, "iterations", 0), "`rgepa`: iterations under way at the same time, less one (0)"),
  corpusPass: optional(
    Schema.Boolean,
    "`rgepa`: whether the search begins with one reflection over all training examples (false)"
  ),
  rejectedMemory: optional(
    Schema.Boolean,
    "`rgepa`: whether the reflection model is shown what was tried on a text in vain (true)"
  ),
  hypotheses: optional(Schema.Boolean, "`rgepa`: whether the reflection model is asked for causes before edits (true)"),
  tieBreakSamples: optional(
    upTo(atOnceMax, "samples", 0),
    "`rgepa`: further samples of the two best when they are within one standard error (0)"
  )
})
export type OptimizerConfig = typeof OptimizerConfig.Type

/** The key `gate` of a config: what a new version must show on held-back examples to be promoted. Decoding fills in the defaults. */
export const GateConfig = Schema.Struct({
  alpha: withDefault(
    Schema.Number.pipe(
      Schema.filter((value) => value > 0 && value < 0.5, { description: "a probability above 0 and below 0.5" })
    ),
    0.05,
    "How often a version that is no better may be promoted, over all openings of the gate together"
  ),
  fraction: withDefault(
    Schema.Number.pipe(
      Schema.filter((value) => value > 0 && value < 1, { description: "a share above 0 and below 1" })
    ),
    0.4,
    "Share of `validate` that is kept for the gate; no search sees it"
  ),
  min_reward_delta: withDefault(share("a gain"), 0, "Smallest gain that counts"),
  samples: withDefault(positive("rollouts"), 1, "Rollouts per example and version"),
  tokens_ratio_max: withDefault(
    Schema.Number.pipe(Schema.filter((value) => value >= 1, { description: "a ratio of 1 or more" })),
    1.2,
    "Guard rail: tokens per rollout of the new version over those of the old"
  ),
  tokens_rise_allowed: withDefault(
    atLeastZero("number of tokens"),
    500,
    "A rise by so many tokens per rollout is allowed whatever the ratio"
  ),
  failure_rate_rise_max: withDefault(share("a share"), 0.02, "Guard rail: how much more often rollouts may fail"),
  slice_loss_max: withDefault(share("a score"), 0.05, "Guard rail: how much worse any tagged slice may be"),
  slice_examples_min: withDefault(positive("examples"), 30, "Slices of fewer gate examples are not guarded")
})
export type GateConfig = typeof GateConfig.Type
