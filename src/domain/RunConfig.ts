/**
 * The config file of an optimization run: every key, its type, its default. The descriptions are what the error messages
 * and `docs/configuration.md` say.
 */
import * as Schema from "effect/Schema"
import { atLeastZero, optional, positive, upTo, withDefault } from "./configKeys.js"
import { GateConfig, OptimizerConfig } from "./OptimizerConfig.js"
import { ResourceValues } from "./Resources.js"
import { RewriteRule } from "./Rewrite.js"
import { Example } from "./Rollout.js"
import { SafetyRewardConfig } from "./SafetyReward.js"
import { timerMsMax } from "./timerMsMax.js"

const interval = upTo(timerMsMax, "milliseconds")
/** What a timer ends. */
const wait = upTo(Math.floor(timerMsMax / 1_000), "seconds")

const Argv = Schema.NonEmptyArray(Schema.NonEmptyString)
const Strings = Schema.Record({ key: Schema.String, value: Schema.String })

/** The model itself is the agent: one request for each attempt. */
export const ChatExecutorConfig = Schema.Struct({
  kind: Schema.Literal("chat"),
  user: optional(
    Schema.String,
    "Template of the user message over the example's fields; without it `{{prompt}}`, else the example's `messages`"
  ),
  parameters: optional(
    Schema.Record({ key: Schema.String, value: Schema.Unknown }),
    "Merged into the request body; any string may name a resource as `{{resources.name}}`"
  ),
  tools: optional(
    Schema.Array(Schema.Unknown),
    "Tools of the request; any string may name a resource as `{{resources.name}}`"
  ),
  seed_field: optional(
    Schema.NonEmptyString,
    "Field of the example whose whole number is sent as the request's `seed`"
  )
})

/** The agent is a program, started anew for each attempt. */
export const CommandExecutorConfig = Schema.Struct({
  kind: Schema.Literal("command"),
  command: Schema.propertySignature(Argv).annotations({
    description: "The agent as an array of arguments, run without a shell; relative paths are looked up from `cwd`"
  }),
  cwd: optional(
    Schema.NonEmptyString,
    "Working folder, relative to the config file; the config's own folder by default"
  ),
  env: optional(Strings, "Variables added to the agent's environment"),
  output: withDefault(
    Schema.Literal("stdout", "file"),
    "stdout",
    "Where the answer is read: `stdout`, or `file`, the file that `TAU_OUTPUT_FILE` names"
  ),
  output_bytes_max: withDefault(
    positive("bytes"),
    1_048_576,
    "Longest output kept, in bytes; an agent that prints more fails"
  )
})

const HttpHeaders = optional(
  Strings,
  "More headers of the request; no place for secrets, for a config is plain text"
)

/** The agent is a server that is asked once for each attempt. */
export const HttpExecutorConfig = Schema.Struct({
  kind: Schema.Literal("http"),
  url: Schema.propertySignature(Schema.NonEmptyString).annotations({
    description: "Where the agent is: an http or https URL; it reads JSON and answers `{\"output\": …}`"
  }),
  headers: HttpHeaders
})

/** The key `executor` of a config, by its `kind`: a model that is given a prompt, a program, or a server. */
export const ExecutorConfig = Schema.Union(ChatExecutorConfig, CommandExecutorConfig, HttpExecutorConfig)
export type ExecutorConfig = typeof ExecutorConfig.Type

const rated = {
  name: optional(Schema.NonEmptyString, "Name of the reward, unlike that of every other scorer; the kind by default"),
  weight: withDefault(atLeastZero("weight"), 1, "Share of this score in the reward, relative to the other weights")
}

const scorer = {
  ...rated,
  expected: withDefault(Schema.NonEmptyString, "expected", "Field of the example that holds the reference")
}

/** The scorers that need no model. */
export const PlainScorerConfig = Schema.Union(
  Schema.Struct({ kind: Schema.Literal("exact_match"), ...scorer }),
  Schema.Struct({
    kind: Schema.Literal("contains"),
    ...scorer,
    ignore_case: withDefault(Schema.Boolean, false, "Whether `A` and `a` are the same")
  }),
  Schema.Struct({
    kind: Schema.Literal("regex"),
    ...scorer,
    pattern: optional(Schema.NonEmptyString, "Pattern to find; without it the example's reference is the pattern"),
    flags: withDefault(Schema.String, "", "Flags of a JavaScript regular expression")
  }),
  Schema.Struct({
    kind: Schema.Literal("numeric"),
    ...scorer,
    tolerance: withDefault(atLeastZero("tolerance"), 0, "Largest difference that still counts as equal"),
    thousands_separator: withDefault(
      Schema.Literal(",", ".", " ", "'", "_", ""),
      ",",
      "Character between groups of three digits"
    )
  }),
  Schema.Struct({ kind: Schema.Literal("json_equal"), ...scorer }),
  Schema.Struct({
    kind: Schema.Literal("command"),
    ...scorer,
    command: Schema.propertySignature(Argv).annotations({
      description: "The scorer as an array of arguments; it reads JSON on stdin and prints a number or an object"
    }),
    cwd: optional(Schema.NonEmptyString, "Working folder, relative to the config file; its own folder by default"),
    timeout_secs: withDefault(wait, 60, "How long the scorer may take")
  }),
  Schema.Struct({
    kind: Schema.Literal("http"),
    ...scorer,
    url: Schema.propertySignature(Schema.NonEmptyString).annotations({
      description: "Where the scorer is: an http or https URL; it reads JSON and answers a number or an object"
    }),
    headers: HttpHeaders,
    timeout_secs: withDefault(wait, 60, "How long the scorer may take")
  })
)
export type PlainScorerConfig = typeof PlainScorerConfig.Type

const Scale = Schema.Tuple(Schema.Finite, Schema.Finite).pipe(
  Schema.filter(([low, high]) => low < high && Number.isFinite(high - low), {
    description: "two numbers, the lowest score and a higher one"
  })
)

/** The scorer that asks a model. */
export const JudgeScorerConfig = Schema.Struct({
  kind: Schema.Literal("judge"),
  ...rated,
  rubric: Schema.propertySignature(Schema.NonEmptyString).annotations({
    description: "What a good answer is, in words; the judge is told nothing else of it"
  }),
  model: optional(Schema.NonEmptyString, "The judge as `provider/model`; the run's model by default"),
  expected: optional(
    Schema.NonEmptyString,
    "Field of the example that holds a reference for the judge; without it the judge is shown none"
  ),
  scale: withDefault(Scale, [0, 1], "Lowest and highest score that the judge may give; they count as 0 and 1"),
  samples: withDefault(positive("judgements"), 1, "Judgements of each answer, of which the mean counts"),
  parameters: optional(
    Schema.Record({ key: Schema.String, value: Schema.Unknown }),
    "Merged into the body of the judge's request, such as `temperature`"
  ),
  max_tokens: optional(positive("tokens"), "Sent as `max_tokens` of the judge's request; without it no limit is sent"),
  timeout_secs: withDefault(wait, 120, "How long one judgement may take, repeated calls included")
})
export type JudgeScorerConfig = typeof JudgeScorerConfig.Type

/** One entry of a config's `scoring`, by its `kind`. */
export const ScorerConfig = Schema.Union(...PlainScorerConfig.members, JudgeScorerConfig)
export type ScorerConfig = typeof ScorerConfig.Type

/** The key `resume` of a config: what a new attempt takes from those before it. */
export const ResumeConfig = Schema.Struct({
  replay: withDefault(
    Schema.Literal("after-crash", "always", "never"),
    "after-crash",
    "Whether calls of an attempt are answered from those before it: `after-crash` when those ended with their worker or could not be scored, `always` also when they failed, or `never`"
  )
})
export type ResumeConfig = typeof ResumeConfig.Type

/** A config file, decoded: every default is filled in, and `docs/configuration.md` is made of the descriptions. */
export const RunConfig = Schema.Struct({
  optimize: withDefault(
    Schema.Array(Example),
    [],
    "Examples to optimize on, or the name of a file with them; `train` is an old name for it"
  ),
  validate: withDefault(
    Schema.Array(Example),
    [],
    "Examples to validate on, or the name of a file with them; `val` is an old name for it"
  ),
  resources: optional(
    ResourceValues,
    "What the agent is given besides the example, stored as a version before the run; `system_prompt` by convention. " +
      "Without it the latest version in the store"
  ),
  rewrite: optional(
    Schema.Array(RewriteRule),
    "Where resources live in the requests of an agent that has texts of its own: there they are put in place"
  ),
  worker_count: withDefault(upTo(1000, "workers"), 2, "Rollouts that run at the same time"),
  poll_interval_ms: withDefault(interval, 50, "How often a free worker looks for a rollout"),
  heartbeat_interval_ms: withDefault(
    interval,
    1000,
    "How often a worker says that it lives; after 3 missed heartbeats its rollout goes to another. Less than 100 counts as 100"
  ),
  completion_poll_interval_ms: withDefault(interval, 60, "How often the run looks whether it is done"),
  completion_timeout_secs: withDefault(positive("seconds"), 30, "How long the run may wait for its rollouts"),
  upstream_url: optional(
    Schema.NonEmptyString,
    "OpenAI-compatible base URL; `--prompt-optimization-proxy-upstream-url` comes first, `OPENAI_BASE_URL` after it"
  ),
  executor: withDefault(ExecutorConfig, { kind: "chat" as const }, "How an attempt is carried out"),
  scoring: optional(
    Schema.NonEmptyArray(ScorerConfig),
    "How an answer is scored; without it `exact_match`, for the examples whose `expected` is a string"
  ),
  safety_reward: optional(
    SafetyRewardConfig,
    "What unsafe behaviour costs; without it nothing looks for any"
  ),
  optimizer: withDefault(
    OptimizerConfig,
    Schema.decodeSync(OptimizerConfig)({}),
    "How better resources are searched for"
  ),
  gate: withDefault(
    GateConfig,
    Schema.decodeSync(GateConfig)({}),
    "What a better version must show before it becomes the latest"
  ),
  resume: withDefault(
    ResumeConfig,
    { replay: "after-crash" as const },
    "What an attempt takes over from earlier ones; may change between starts of a run"
  ),
  max_attempts: withDefault(positive("attempts"), 3, "Tries at a rollout before it counts as failed"),
  attempt_timeout_secs: withDefault(wait, 120, "How long one attempt may take")
})
export type RunConfig = typeof RunConfig.Type
