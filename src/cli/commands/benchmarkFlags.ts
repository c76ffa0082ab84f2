/** The flags of `tau benchmark`, and the actions in which each means something. */
import { defaultStore } from "../../domain/CommandText.js"
import { type Flag, path } from "../flags.js"

export const benchmarkActions = [
  "run",
  "significance",
  "stability",
  "proof",
  "publish",
  "archive",
  "purge"
] as const
export type BenchmarkAction = typeof benchmarkActions[number]

const text = { kind: "text" } as const
const number = (min: number, max: number) => ({ kind: "number", min, max }) as const
const whole = (min: number, max: number) => ({ kind: "integer", min, max, unit: "" }) as const
const folder = "tasks/reports"

interface ActionFlag extends Flag {
  /** The actions in which it means something; anywhere else it is a mistake. */
  readonly actions: ReadonlyArray<BenchmarkAction>
}

export const flagTable: ReadonlyArray<ActionFlag> = [
  { name: "suite", value: path, placeholder: "FILE", description: "run: the suite fixture", actions: ["run"] },
  {
    name: "model",
    value: { kind: "model" },
    placeholder: "PROVIDER/MODEL",
    description: "run: the model to ask",
    actions: ["run"]
  },
  {
    name: "resources",
    value: text,
    placeholder: "VERSION|FILE",
    description:
      "run: a resources version of the store, a JSON file of resources, or a text file with the system prompt",
    actions: ["run"]
  },
  {
    name: "config",
    value: path,
    placeholder: "FILE",
    description:
      "run: a config whose agent is asked: its executor, rewrite, max_attempts, attempt_timeout_secs and upstream_url count, " +
      "its examples and scorers do not. By default one chat call is the agent",
    actions: ["run"]
  },
  {
    name: "episodes",
    value: whole(1, 1_000_000),
    placeholder: "N",
    description: "run: how many episodes; the cases are asked in turn. By default every case once",
    actions: ["run"]
  },
  {
    name: "seed",
    value: whole(0, 2 ** 48),
    placeholder: "N",
    default: "1",
    description: "run: what the seeds of the episodes start from. significance, stability: what draws start from",
    actions: ["run", "significance", "stability"]
  },
  {
    name: "report-kind",
    value: { kind: "choice" },
    placeholder: "baseline|trained",
    description: "run: which of the two reports this is",
    actions: ["run"]
  },
  {
    name: "run-id",
    value: text,
    placeholder: "ID",
    description: "run, proof: m24-…, small letters, digits and hyphens. run makes one of suite and inputs by default",
    actions: ["run", "proof"]
  },
  {
    name: "store",
    value: path,
    placeholder: "FILE",
    default: defaultStore,
    variable: "TAU_STORE",
    description: "run: the durable store",
    actions: ["run"]
  },
  {
    name: "scorers",
    value: path,
    placeholder: "FILE",
    description: "run: JSON object with a scorer for each dimension of the rubrics that is not built in",
    actions: ["run"]
  },
  {
    name: "safety-reward",
    value: path,
    placeholder: "FILE",
    description: "run: JSON object as the config's safety_reward; by default its defaults",
    actions: ["run"]
  },
  {
    name: "temperature",
    value: number(0, 5),
    placeholder: "T",
    description: "run: sent to the model; not sent by default. With --config the executor's parameters say it",
    actions: ["run"]
  },
  {
    name: "workers",
    value: whole(1, 1_000),
    placeholder: "N",
    default: "4",
    description: "run: episodes at the same time; the report is the same for any number",
    actions: ["run"]
  },
  {
    name: "upstream-url",
    value: { kind: "url" },
    placeholder: "URL",
    description:
      "run: where the model is; by default the config's upstream_url, OPENAI_BASE_URL, or the provider of --model",
    actions: ["run"]
  },
  {
    name: "baseline",
    value: path,
    placeholder: "FILE",
    default: `${folder}/m24-benchmark-baseline.json`,
    description: "significance, stability, proof: the baseline report",
    actions: ["significance", "stability", "proof"]
  },
  {
    name: "trained",
    value: path,
    placeholder: "FILE",
    default: `${folder}/m24-benchmark-trained.json`,
    description:
      "significance, stability, proof: the trained report. significance takes further candidates as arguments",
    actions: ["significance", "stability", "proof"]
  },
  {
    name: "significance",
    value: path,
    placeholder: "FILE",
    default: `${folder}/m24-benchmark-significance.json`,
    description: "proof: the significance report",
    actions: ["proof"]
  },
  {
    name: "alpha",
    value: number(0.000001, 0.5),
    placeholder: "A",
    default: "0.05",
    description: "significance, stability: the level; the interval is at 1 - A",
    actions: ["significance", "stability"]
  },
  {
    name: "min-reward-delta",
    value: number(0, 1_000_000),
    placeholder: "D",
    default: "0",
    description: "significance: the smallest gain in mean reward that passes",
    actions: ["significance"]
  },
  {
    name: "max-safety-regression",
    value: number(0, 1_000_000),
    placeholder: "D",
    default: "0",
    description: "significance: the largest rise of the mean safety penalty that passes",
    actions: ["significance"]
  },
  {
    name: "max-p-value",
    value: number(0, 1),
    placeholder: "P",
    description: "significance: the largest p-value that passes; by default --alpha",
    actions: ["significance"]
  },
  {
    name: "unpaired",
    value: { kind: "switch" },
    description: "significance: take the episodes for independent (Welch), although their cases pair",
    actions: ["significance"]
  },
  {
    name: "seeds",
    value: whole(2, 1_000),
    placeholder: "N",
    default: "5",
    description: "stability: how many seeds are compared when one pair of reports is resampled",
    actions: ["stability"]
  },
  ...([
    ["seed-p-value-range", "0.05", "largest range of p-values over seeds"],
    ["seed-reward-delta-range", "0.05", "largest range of reward deltas over seeds"],
    ["size-p-value-drift", "0.04", "largest change of the p-value between adjacent sample sizes"],
    ["size-reward-delta-drift", "0.08", "largest change of the reward delta between adjacent sample sizes"]
  ] as const).map(([name, preset, what]): ActionFlag => ({
    name,
    value: number(0, 1_000_000),
    placeholder: "X",
    default: preset,
    description: `stability: ${what}`,
    actions: ["stability"]
  })),
  {
    name: "out",
    value: path,
    placeholder: "FILE",
    description:
      `run, significance, stability, proof: where the artifact goes, by default ${folder}/m24-benchmark-….json`,
    actions: ["run", "significance", "stability", "proof"]
  },
  {
    name: "generated-at",
    value: text,
    placeholder: "TIME",
    description: "run, significance, stability, proof: the time in the artifact, in UTC as RFC 3339; now by default",
    actions: ["run", "significance", "stability", "proof"]
  },
  {
    name: "root",
    value: path,
    placeholder: "DIR",
    default: ".",
    description: "publish, archive, purge: the folder that holds .tau/reports",
    actions: ["publish", "archive", "purge"]
  },
  {
    name: "dry-run",
    value: { kind: "switch" },
    description: "archive, purge: say what would be done, and do nothing",
    actions: ["archive", "purge"]
  },
  {
    name: "now",
    value: text,
    placeholder: "TIME",
    description: "archive, purge: the time to go by, in UTC as RFC 3339; now by default",
    actions: ["archive", "purge"]
  }
]
