/** Who answers the cases of a suite. */
import * as Effect from "effect/Effect"
import * as Schema from "effect/Schema"
import { RunConfig } from "../domain/RunConfig.js"
import type { Suite } from "../evidence/Suite.js"
import { UsageError } from "./CliError.js"
import type { RunInput } from "./commands/benchmark.js"
import { loadConfig } from "./ConfigFile.js"
import { executorProblems, replacementProblems } from "./ConfigRules.js"
import { checkPrograms } from "./Programs.js"

/** One chat call, or the agent of a config. */
export interface BenchmarkAgent {
  /** What of a run's config says how it is run. */
  readonly keys: Pick<RunConfig, "executor" | "rewrite" | "max_attempts" | "attempt_timeout_secs">
  /** From which the paths of its command are meant. */
  readonly folder: string
  /** Where its model is, as the config has it. */
  readonly upstreamUrl: string | undefined
}

const defaults = Schema.decodeSync(RunConfig)({})

/** Fails for a config that no run would be begun with. */
export const benchmarkAgent = Effect.fnUntraced(function*({ configPath, temperature }: RunInput) {
  const seeded = { seed_field: "seed" }
  if (configPath === null) {
    const executor = { kind: "chat" as const, ...seeded, ...(temperature !== null && { parameters: { temperature } }) }
    return { keys: keysOf({ ...defaults, executor }), folder: "", upstreamUrl: undefined } satisfies BenchmarkAgent
  }
  if (temperature !== null) {
    return yield* new UsageError({
      detail: `--temperature is for one chat call: with --config put it into the parameters of ${configPath}'s executor`
    })
  }
  const { config, folder } = yield* loadConfig(configPath)
  yield* checkPrograms(configPath, { executor: config.executor }, folder)
  const executor = config.executor.kind === "chat" ? { ...seeded, ...config.executor } : config.executor
  return { keys: keysOf({ ...config, executor }), folder, upstreamUrl: config.upstream_url } satisfies BenchmarkAgent
})

const keysOf = ({ attempt_timeout_secs, executor, max_attempts, rewrite }: RunConfig): BenchmarkAgent["keys"] => ({
  executor,
  max_attempts,
  attempt_timeout_secs,
  ...(rewrite !== undefined && { rewrite })
})

/** Fails when the agent could not be given a case of the suite, or the resources; `config` is that of the suite's run. */
export const checkAgent = ({ configPath, resources: written }: RunInput, { cases }: Suite, config: RunConfig) => {
  const { resources = {}, rewrite = [], validate } = config
  const given = `--resources ${written}`
  const [problem] = [
    ...replacementProblems(rewrite, resources, given),
    ...executorProblems({ ...config, validate: validate.slice(0, cases.length) }, given)
  ]
  if (problem === undefined) return Effect.void
  const where = problem.path.replace(/^\$\.validate\[(\d+)\]/, (_, n: string) => `case ${cases[Number(n)]!.caseId}`)
    .replace(/^\$\.resources/, () => given)
    .replace(/^\$\.(?:executor|rewrite)/, (key) => `${configPath}: ${key}`)
  return new UsageError({ detail: `${where}: ${problem.text}` })
}
