import { shown } from "../../domain/shown.js"
import { type CommandArguments, defineCommand } from "../Command.js"
import { type Given, Mistake, readChoice, readInteger, readModel, readNumber, readPath, readUrl } from "../FlagValue.js"
import type { GivenFlags } from "../GivenFlags.js"
import type { ModelRef } from "../Mode.js"
import { optional } from "../ReadingFlags.js"
import { type BenchmarkAction, benchmarkActions, flagTable } from "./benchmarkFlags.js"

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
  /** A config whose agent is asked; null for one chat call. */
  readonly configPath: string | null
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

const takesFiles: ReadonlyArray<BenchmarkAction> = ["significance", "stability", "publish"]

/** All of these flags; those that are missing are told of at once. */
const required = <Name extends string>(
  flags: GivenFlags,
  action: BenchmarkAction,
  names: ReadonlyArray<Name>
): Record<Name, Given> => {
  const given = names.map((name) => [name, flags.find(name)] as const)
  const missing = given.filter(([, value]) => value === undefined || value.text === "").map(([name]) => `--${name}`)
  if (missing.length > 0) throw new Mistake(`tau benchmark ${action} needs ${listed(missing)}`)
  return Object.fromEntries(given) as Record<Name, Given>
}

/** `a, b and c`. */
const listed = (words: ReadonlyArray<string>): string =>
  [words.slice(0, -1).join(", "), ...words.slice(-1)].filter((part) => part !== "").join(" and ")

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
  const textOf = (name: string) => flags.find(name)?.text ?? null
  const common = { generatedAt: textOf("generated-at"), out: optional(flags, "out", readPath) }
  switch (action) {
    case "run": {
      const { model, "report-kind": reportKind, resources, suite } = required(flags, action, [
        "suite",
        "model",
        "resources",
        "report-kind"
      ])
      const kind = readChoice(reportKind, ["baseline", "trained"])
      return {
        action,
        ...common,
        suitePath: readPath(suite),
        model: readModel(model),
        modelRef: model.text,
        resources: resources.text,
        configPath: optional(flags, "config", readPath),
        episodes: optional(flags, "episodes", readInteger),
        seed: readInteger(flags.get("seed")),
        kind,
        runId: textOf("run-id"),
        storePath: pathOf("store"),
        scorersPath: optional(flags, "scorers", readPath),
        safetyPath: optional(flags, "safety-reward", readPath),
        temperature: optional(flags, "temperature", readNumber),
        workers: readInteger(flags.get("workers")),
        upstreamUrl: optional(flags, "upstream-url", readUrl)
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
        maxPValue: optional(flags, "max-p-value", readNumber)
      }
    case "stability":
      if (files.length % 2 === 1) {
        throw new Mistake("tau benchmark stability takes further reports in pairs, baseline and trained")
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
        runId: required(flags, action, ["run-id"])["run-id"].text,
        baseline: pathOf("baseline"),
        trained: pathOf("trained"),
        significance: pathOf("significance")
      }
    case "publish":
      if (files.length === 0) throw new Mistake("tau benchmark publish needs at least one report file")
      return { action, root: pathOf("root"), files }
    case "archive":
    case "purge":
      return { action, root: pathOf("root"), dryRun: flags.isOn("dry-run"), now: textOf("now") }
  }
}

export const benchmark = defineCommand({
  name: "benchmark",
  summary: "Prove that a checkpoint is better: run a suite, compare, report, publish, archive",
  description:
    "tau benchmark asks a frozen suite of cases of two checkpoints, compares what they earn, and writes the artifacts of the "
    + "benchmark protocol: run asks the suite of one checkpoint and writes the baseline or the trained report; significance "
    + "compares the two; stability asks whether the comparison hangs on the seed or on the number of cases; proof judges it by "
    + "its criteria; publish puts reports under .tau/reports, archive and purge move and remove what is due there. "
    + "docs/evidence.md explains it from the start. Exit code 0 when the artifact was written, whatever its verdict; 1 when it "
    + "could not be made; 2 for a mistake in the command line, a file that is not there among them.",
  examples: [
    `tau benchmark run --suite suite.json --model openai/gpt-4o-mini \\
  --resources 1 --report-kind baseline`,
    `tau benchmark run --suite suite.json --model openai/gpt-4o-mini \\
  --config agent.json --resources 2 --report-kind trained`,
    "tau benchmark significance --min-reward-delta 0.02",
    "tau benchmark proof --run-id m24-demo",
    "tau benchmark purge --dry-run"
  ],
  operands: [{ name: "action", words: benchmarkActions }, { name: "FILE", optional: true, many: true }],
  flags: flagTable,
  read,
  load: () => import("../BenchmarkCommand.js")
})
