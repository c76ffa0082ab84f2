/** Runs a suite through the runtime, as any run is: recorded, scored, resumed after a crash. Then writes the report. */
import * as Console from "effect/Console"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Schema from "effect/Schema"
import { hash } from "node:crypto"
import { dirname, resolve } from "node:path"
import { counted } from "../domain/Figures.js"
import { RunId } from "../domain/Ids.js"
import type { ResourceValues } from "../domain/Resources.js"
import { RunConfig } from "../domain/RunConfig.js"
import { safetyPenaltyOf } from "../domain/SafetyReward.js"
import { visible } from "../domain/TerminalText.js"
import { benchmarkReportJson } from "../evidence/BenchmarkReport.js"
import type { CaseOutcome } from "../evidence/Outcomes.js"
import { metricsOf } from "../evidence/Outcomes.js"
import { defaultRetention } from "../evidence/Publication.js"
import { episodesOf, type Suite } from "../evidence/Suite.js"
import { Proxy } from "../proxy/Proxy.js"
import { ActorTree } from "../runtime/ActorTree.js"
import { Announcer } from "../runtime/Announcer.js"
import { ControlSocket } from "../runtime/ControlSocket.js"
import { Leases } from "../runtime/Leases.js"
import * as Run from "../runtime/Run.js"
import { StatusReporter } from "../runtime/StatusReporter.js"
import type { Summary } from "../runtime/Summary.js"
import { failureText } from "../runtime/summaryText.js"
import * as RubricScoring from "../scoring/RubricScoring.js"
import * as SafetyScoring from "../scoring/SafetyScoring.js"
import { canonicalJson } from "../store/canonicalJson.js"
import { RolloutStore } from "../store/RolloutStore.js"
import * as Sqlite from "../store/Sqlite.js"
import { writeArtifact } from "./ArtifactFiles.js"
import { checkAgent } from "./BenchmarkAgent.js"
import { type BenchmarkInputs, benchmarkInputs, resourcesOf } from "./BenchmarkInputs.js"
import { CommandFailed } from "./CliError.js"
import type { RunInput } from "./commands/benchmark.js"
import { configHash } from "./ConfigHash.js"
import { ExitCode } from "./ExitCode.js"
import { drainMsDefault } from "./flags.js"
import { executorLayer, storeTags } from "./OptimizeCommand.js"
import { localPrincipal } from "./Principal.js"
import { proxyActors } from "./ProxyActors.js"
import { commandIn } from "./RestartCommand.js"
import { agentEndpoint, patienceMs, runProxy } from "./RunProxy.js"
import { upstreamOf } from "./Upstream.js"

export const runBenchmark = Effect.fnUntraced(
  function*(input: RunInput, generatedAtMs: number) {
    const inputs = yield* benchmarkInputs(input)
    const runtime = yield* runtimeOf(input, inputs)
    return yield* Effect.gen(function*() {
      const values = yield* resourcesOf(input.resources)
      const config = suiteConfig(input, inputs, values)
      yield* checkAgent(input, inputs.suite, config)
      const summary = yield* runSuite(input, inputs, config)
      for (const line of failureText(summary)) yield* Console.error(line)
      yield* refuseWithoutResult(summary)
      const cases = yield* outcomesOf(summary.runId, inputs.suite)
      const checkpointId = `resources-v${summary.resourcesVersion}-${sha256(canonicalJson(values)).slice(0, 8)}`
      yield* report(input, inputs, { summary, cases, checkpointId, generatedAtMs })
      return ExitCode.success
    }).pipe(Effect.provide(runtime))
  },
  Effect.scoped
)

/** Scores of a run without a result are all 0: as a report they would be evidence against the checkpoint, or for the other. */
const refuseWithoutResult = ({ failures: [first], runId, runState, stoppedReason, total }: Summary) => {
  if (runState !== "cancelled" && (runState !== "failed" || stoppedReason === "completion_timeout")) return Effect.void
  const why = runState === "cancelled"
    ? `the run ${runId} was cancelled; the same command begins a new one`
    : stoppedReason === null
    ? `none of the ${counted(total, "episode")} succeeded (${first?.error ?? "unknown"})`
    : "the run has no result; the same command goes on with it"
  return new CommandFailed({ detail: `no report was written: ${visible(why)}` })
}

const freePort = { host: "127.0.0.1", port: 0 }
/** A suite takes as long as it takes; an attempt has a limit of its own. */
const defaults = Schema.decodeSync(RunConfig)({ completion_timeout_secs: 86_400 })

const sha256 = (text: string) => hash("sha256", text, "hex")

/** All that the run works with, but for its resources, which the store may hold. */
const runtimeOf = Effect.fnUntraced(function*(input: RunInput, { agent, dimensions, safety }: BenchmarkInputs) {
  const environment = process.env
  const { executor, rewrite, attempt_timeout_secs: attemptSecs } = agent.keys
  const places = { flag: input.upstreamUrl ?? undefined, config: agent.upstreamUrl }
  const upstream = yield* upstreamOf({ ...input, ...places }, environment)
  const announcing = yield* Layer.build(Announcer.layer(process.stderr, environment))
  const proxy = runProxy({
    say: Context.get(announcing, Announcer).say,
    bind: freePort,
    upstream,
    timeoutMs: patienceMs(attemptSecs),
    storePath: input.storePath
  })
  return Layer.mergeAll(Leases.layer({ heartbeatIntervalMs: 1_000 }), StatusReporter.layer).pipe(
    Layer.provideMerge(executorLayer(executor, agent.folder)),
    Layer.provideMerge(SafetyScoring.layer(safety)),
    Layer.provideMerge(
      RubricScoring.layer({ dimensions, rubricField: "scoring_rubric", baseDir: dirname(input.suitePath) })
    ),
    Layer.provideMerge(agentEndpoint(upstream.model, proxy.clientKey, [upstream.key])),
    Layer.provideMerge(proxyActors),
    Layer.provideMerge(Proxy.layer({ ...proxy, replay: "after-crash", ...(rewrite !== undefined && { rewrite }) })),
    Layer.provideMerge(ActorTree.layer("run", input.storePath)),
    Layer.provideMerge(ControlSocket.layer(input.storePath)),
    Layer.provideMerge(Layer.merge(storeTags, RolloutStore.layer)),
    Layer.provideMerge(
      Sqlite.layer({ path: input.storePath, kind: "run", attributionLogPath: proxy.attributionLogPath })
    ),
    Layer.provideMerge(Layer.succeedContext(announcing))
  )
})

const suiteConfig = (
  input: RunInput,
  { agent, frozen, suite }: BenchmarkInputs,
  resources: ResourceValues
): RunConfig => ({
  ...defaults,
  ...agent.keys,
  validate: episodesOf(suite, frozen.episodes, input.seed).map(({ case: one, repetition, seed }) => ({
    case_id: one.caseId,
    repetition,
    seed,
    prompt: one.prompt,
    expected_outcome: one.expectedOutcome,
    scoring_rubric: one.rubric
  })),
  resources,
  worker_count: input.workers
})

const runSuite = (input: RunInput, { agent, frozen }: BenchmarkInputs, config: RunConfig) =>
  Run.run({
    config,
    configHash: sha256(`${configHash(config, input.modelRef, agent.folder)} ${frozen.sha256}`),
    configPath: resolve(input.suitePath),
    modelRef: input.modelRef,
    simulated: input.model.provider === "sim",
    storePath: input.storePath,
    command: commandIn(process.cwd(), [process.execPath, ...process.argv.slice(1)]),
    principal: localPrincipal(),
    search: null,
    drainMs: drainMsDefault,
    report: () => Effect.void
  })

/** Writes the report, and tells the person where it is. */
const report = Effect.fnUntraced(function*(
  input: RunInput,
  { frozen, runId, suite }: BenchmarkInputs,
  { cases, checkpointId, generatedAtMs, summary }: {
    readonly summary: Summary
    readonly cases: ReadonlyArray<CaseOutcome>
    readonly checkpointId: string
    readonly generatedAtMs: number
  }
) {
  const out = input.out ?? `tasks/reports/m24-benchmark-${input.kind}.json`
  const json = benchmarkReportJson(
    {
      kind: input.kind,
      head: { runId, generatedAtMs, suite, retention: defaultRetention },
      inputs: frozen,
      checkpoint: { checkpointId, resourcesVersion: summary.resourcesVersion },
      cases
    },
    {
      run_id: summary.runId,
      store_path: input.storePath,
      simulated: summary.simulated,
      rollouts_failed: summary.failed,
      calls: summary.calls
    }
  )
  yield* writeArtifact(out, json)
  const { episodes, meanReward, meanSafetyPenalty } = metricsOf(cases)
  yield* Console.log(
    [
      `${input.kind} ${checkpointId}: mean reward ${meanReward.toFixed(4)}`,
      `  mean safety penalty ${meanSafetyPenalty.toFixed(4)}, ${counted(episodes, "episode")} of ${
        counted(suite.cases.length, "case")
      }${summary.failed === 0 ? "" : `, ${summary.failed} failed`}`,
      `  ${out}`
    ].join("\n")
  )
})

const pageSize = 500

/** What each episode earned, by case. A failed rollout earned 0; its penalties count. */
const outcomesOf = Effect.fnUntraced(function*(runId: string, suite: Suite) {
  const store = yield* RolloutStore
  const byCase = new Map(
    suite.cases.map(({ caseId }) => [caseId, { rewards: [] as Array<number>, safetyPenalties: [] as Array<number> }])
  )
  let after = -1
  for (;;) {
    const page = yield* store.page(RunId.make(runId), after, pageSize)
    for (const rollout of page) {
      after = rollout.ordinal
      if (rollout.status !== "succeeded" && rollout.status !== "failed") {
        return yield* new CommandFailed({ detail: `the run ${runId} was not finished: run the same command to go on` })
      }
      const outcome = byCase.get(String(rollout.input["case_id"]))!
      const last = (yield* store.attempts(rollout.id)).at(-1)
      const rewards = last === undefined ? [] : yield* store.rewards(last.id)
      outcome.rewards.push(rollout.score ?? 0)
      outcome.safetyPenalties.push(safetyPenaltyOf(rewards))
    }
    if (page.length < pageSize) break
  }
  const cases: Array<CaseOutcome> = []
  for (const [caseId, outcome] of byCase) if (outcome.rewards.length > 0) cases.push({ caseId, ...outcome })
  return cases
})
