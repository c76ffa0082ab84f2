import { type CommandArguments, defineCommand } from "../Command.js"
import { type Flag, path } from "../flags.js"
import { Mistake, readInteger, readModel, readNumber, readPath, readUrl } from "../FlagValue.js"
import type { GivenFlags } from "../GivenFlags.js"
import type { ModelRef } from "../Mode.js"
import { shown } from "../Suggestion.js"

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

interface Common {
  /** Null takes the clock. */
  readonly generatedAt: string | null
  readonly out: string | null
}

export interface RunInput extends Common {
  readonly action: "run"
  readonly suitePath: string
  readonly model: ModelRef
  readonly modelRef: string
  /** A version in the store, or a file. */
  readonly resources: string
  /** Null asks every case once. */
  readonly episodes: number | null
  readonly seed: number
  readonly kind: "baseline" | "trained"
  readonly runId: string | null
  readonly storePath: string
  readonly scorersPath: string | null
  readonly safetyPath: string | null
  readonly temperature: number | null
  readonly workers: number
  readonly upstreamUrl: string | null
}

export interface SignificanceInput extends Common {
  readonly action: "significance"
  readonly baseline: string
  /** One or several candidates. */
  readonly trained: ReadonlyArray<string>
  readonly alpha: number
  readonly seed: number
  readonly unpaired: boolean
  readonly minRewardDelta: number
  readonly maxSafetyRegression: number
  /** Null is alpha. */
  readonly maxPValue: number | null
}

export interface StabilityInput extends Common {
  readonly action: "stability"
  /** Baseline and trained in turn; several pairs are reruns. */
  readonly reports: ReadonlyArray<string>
  readonly alpha: number
  readonly seed: number
  readonly seeds: number
  readonly bands: readonly [seedP: number, seedDelta: number, sizeP: number, sizeDelta: number]
}

export interface ProofInput extends Common {
  readonly action: "proof"
  readonly runId: string
  readonly baseline: string
  readonly trained: string
  readonly significance: string
}

export interface PublishInput {
  readonly action: "publish"
  readonly root: string
  readonly files: ReadonlyArray<string>
}

export interface SweepInput {
  readonly action: "archive" | "purge"
  readonly root: string
  readonly dryRun: boolean
  readonly now: string | null
}

export type BenchmarkInput = RunInput | SignificanceInput | StabilityInput | ProofInput | PublishInput | SweepInput

const text = { kind: "text" } as const
const number = (min: number, max: number) => ({ kind: "number", min, max }) as const
const whole = (min: number, max: number) => ({ kind: "integer", min, max, unit: "" }) as const
const folder = "tasks/reports"

interface ActionFlag extends Flag {
  /** The actions in which it means something; anywhere else it is a mistake. */
  readonly actions: ReadonlyArray<BenchmarkAction>
}

const flagTable: ReadonlyArray<ActionFlag> = [
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
    default: ".tau/training/store.sqlite",
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
    description: "run: sent to the model; not sent by default",
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
    description: "run: where the model is; by default OPENAI_BASE_URL, else the provider of --model",
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

const takesFiles: ReadonlyArray<BenchmarkAction> = ["significance", "stability", "publish"]

const required = (flags: GivenFlags, action: BenchmarkAction, name: string) => {
  const given = flags.find(name)
  if (given === undefined || given.text === "") throw new Mistake(`tau benchmark ${action} needs --${name}`)
  return given
}

const optional = <A>(given: A | undefined): A | null => given ?? null

const read = ({ flags, operands: [word, ...files] }: CommandArguments): BenchmarkInput => {
  const action = word as BenchmarkAction
  for (const flag of flagTable) {
    if (flags.explicit.has(flag.name) && !flag.actions.includes(action)) {
      throw new Mistake(`--${flag.name} means nothing to tau benchmark ${action}; it is for ${flag.actions.join(", ")}`)
    }
  }
  if (files.length > 0 && !takesFiles.includes(action)) {
    throw new Mistake(`unexpected argument ${shown(files[0])}; see tau benchmark --help`)
  }
  const pathOf = (name: string) => readPath(flags.get(name))
  const numberOf = (name: string) => readNumber(flags.get(name))
  const found = <A>(name: string, readOne: (given: NonNullable<ReturnType<GivenFlags["find"]>>) => A): A | null => {
    const given = flags.find(name)
    return given === undefined ? null : readOne(given)
  }
  const common = { generatedAt: optional(flags.find("generated-at")?.text), out: found("out", readPath) }
  switch (action) {
    case "run": {
      const kind = required(flags, action, "report-kind").text
      if (kind !== "baseline" && kind !== "trained") {
        throw new Mistake(`--report-kind: expected baseline or trained, found ${shown(kind)}`)
      }
      const model = required(flags, action, "model")
      return {
        action,
        ...common,
        suitePath: readPath(required(flags, action, "suite")),
        model: readModel(model),
        modelRef: model.text,
        resources: required(flags, action, "resources").text,
        episodes: found("episodes", readInteger),
        seed: readInteger(flags.get("seed")),
        kind,
        runId: optional(flags.find("run-id")?.text),
        storePath: pathOf("store"),
        scorersPath: found("scorers", readPath),
        safetyPath: found("safety-reward", readPath),
        temperature: found("temperature", readNumber),
        workers: readInteger(flags.get("workers")),
        upstreamUrl: found("upstream-url", readUrl)
      }
    }
    case "significance":
      return {
        action,
        ...common,
        baseline: pathOf("baseline"),
        trained: [pathOf("trained"), ...files],
        alpha: numberOf("alpha"),
        seed: readInteger(flags.get("seed")),
        unpaired: flags.isOn("unpaired"),
        minRewardDelta: numberOf("min-reward-delta"),
        maxSafetyRegression: numberOf("max-safety-regression"),
        maxPValue: found("max-p-value", readNumber)
      }
    case "stability":
      if (files.length % 2 === 1) {
        throw new Mistake("tau benchmark stability takes further reports in pairs, a baseline and a trained one each")
      }
      return {
        action,
        ...common,
        reports: [pathOf("baseline"), pathOf("trained"), ...files],
        alpha: numberOf("alpha"),
        seed: readInteger(flags.get("seed")),
        seeds: readInteger(flags.get("seeds")),
        bands: [
          numberOf("seed-p-value-range"),
          numberOf("seed-reward-delta-range"),
          numberOf("size-p-value-drift"),
          numberOf("size-reward-delta-drift")
        ]
      }
    case "proof":
      return {
        action,
        ...common,
        runId: required(flags, action, "run-id").text,
        baseline: pathOf("baseline"),
        trained: pathOf("trained"),
        significance: pathOf("significance")
      }
    case "publish":
      if (files.length === 0) throw new Mistake("tau benchmark publish needs at least one report file")
      return { action, root: pathOf("root"), files }
    case "archive":
    case "purge":
      return { action, root: pathOf("root"), dryRun: flags.isOn("dry-run"), now: optional(flags.find("now")?.text) }
  }
}

export const benchmark = defineCommand({
  name: "benchmark",
  summary: "Prove that a checkpoint is better: run a suite, compare, report, publish, archive",
  description:
    "tau benchmark asks a frozen suite of cases of two checkpoints, compares what they earn, and writes the artifacts of the "
    + "benchmark protocol. docs/evidence.md explains it from the start. Exit code 0 when the artifact was written, whatever "
    + "its verdict; 1 when it could not be made; 2 for a mistake in the command line.",
  examples: [
    "tau benchmark run --suite suite.json --model openai/gpt-4o-mini --resources 1 --report-kind baseline",
    "tau benchmark significance --min-reward-delta 0.02",
    "tau benchmark proof --run-id m24-demo",
    "tau benchmark purge --dry-run"
  ],
  operands: [{ name: "action", words: benchmarkActions }, { name: "FILE", optional: true, many: true }],
  flags: flagTable.map(({ actions: _, ...flag }) => flag),
  read,
  load: () => import("../BenchmarkCommand.js")
})
