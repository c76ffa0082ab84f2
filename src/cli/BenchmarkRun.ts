/** Runs a suite through the runtime, as any run is: recorded, scored, resumed after a crash. Then writes the report. */
import * as Console from "effect/Console"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Option from "effect/Option"
import * as Schema from "effect/Schema"
import { createHash } from "node:crypto"
import { dirname } from "node:path"
import { counted } from "../domain/Figures.js"
import { RunId } from "../domain/Ids.js"
import { ResourceValues } from "../domain/Resources.js"
import { type PlainScorerConfig, PlainScorerConfig as ScorerSchema, RunConfig } from "../domain/RunConfig.js"
import { safetyPenaltyOf, SafetyRewardConfig } from "../domain/SafetyReward.js"
import { benchmarkReportJson, type FrozenInputs } from "../evidence/BenchmarkReport.js"
import type { CaseOutcome } from "../evidence/Outcomes.js"
import { metricsOf } from "../evidence/Outcomes.js"
import { defaultRetention, runIdPattern } from "../evidence/Publication.js"
import { episodesOf, readSuite, type Suite } from "../evidence/Suite.js"
import { Proxy } from "../proxy/Proxy.js"
import { ActorTree } from "../runtime/ActorTree.js"
import { Announcer } from "../runtime/Announcer.js"
import * as ChatExecutor from "../runtime/ChatExecutor.js"
import { ControlSocket } from "../runtime/ControlSocket.js"
import { Leases } from "../runtime/Leases.js"
import * as Run from "../runtime/Run.js"
import { StatusReporter } from "../runtime/StatusReporter.js"
import * as RubricScoring from "../scoring/RubricScoring.js"
import * as SafetyScoring from "../scoring/SafetyScoring.js"
import { canonicalJson } from "../store/canonicalJson.js"
import { ResourceStore } from "../store/ResourceStore.js"
import { RolloutStore } from "../store/RolloutStore.js"
import * as Sqlite from "../store/Sqlite.js"
import { existing, readArtifact, writeArtifact } from "./ArtifactFiles.js"
import { CommandFailed, UsageError } from "./CliError.js"
import type { RunInput } from "./commands/benchmark.js"
import { configHash } from "./ConfigHash.js"
import { ExitCode } from "./ExitCode.js"
import { drainMsDefault } from "./flags.js"
import { storeTags } from "./OptimizeCommand.js"
import { localPrincipal } from "./Principal.js"
import { proxyActors } from "./ProxyActors.js"
import { commandIn } from "./RestartCommand.js"
import { agentEndpoint, runProxy } from "./RunProxy.js"
import { upstreamOf } from "./Upstream.js"

const sha256 = (text: string) => createHash("sha256").update(text).digest("hex")

/** What judges a dimension that is named after it. `correctness` is the expected outcome somewhere in the answer. */
const builtIn: Readonly<Record<string, PlainScorerConfig>> = {
  ...Object.fromEntries(
    (["exact_match", "contains", "regex", "numeric", "json_equal"] as const).map((kind) =>
      [kind, Schema.decodeSync(ScorerSchema)({ kind, expected: "expected_outcome" })] as const
    )
  ),
  correctness: Schema.decodeSync(ScorerSchema)({ kind: "contains", expected: "expected_outcome", ignore_case: true })
}

export const runBenchmark = Effect.fnUntraced(
  function*(input: RunInput, generatedAtMs: number) {
    const fixture = yield* existing(input.suitePath, "--suite")
    const suite = yield* suiteOf(input.suitePath)
    const dimensions = { ...builtIn, ...yield* decodedFile("--scorers", input.scorersPath, Dimensions, {}) }
    yield* checkDimensions(suite, dimensions)
    const safety = yield* decodedFile(
      "--safety-reward",
      input.safetyPath,
      SafetyRewardConfig,
      Schema.decodeSync(SafetyRewardConfig)({})
    )
    const inputs = frozen(input, fixture, suite, { dimensions, safety })
    const runId = input.runId ?? `m24-${slug(suite.suiteId)}-${inputs.sha256.slice(0, 8)}`
    if (!runIdPattern.test(runId)) {
      return yield* new UsageError({
        detail: `--run-id: expected a text that matches ${runIdPattern.source}, found ${runId}`
      })
    }
    const environment = process.env
    const upstream = yield* upstreamOf(
      {
        model: input.model,
        modelRef: input.modelRef,
        proxy: { bind: freePort, ...(input.upstreamUrl !== null && { upstreamUrl: input.upstreamUrl }) }
      },
      {},
      environment
    )
    const proxy = runProxy({
      bind: freePort,
      upstream,
      timeoutMs: attemptTimeoutSecs * 1_000,
      storePath: input.storePath
    })
    const chat = {
      kind: "chat" as const,
      seed_field: "seed",
      ...(input.temperature !== null && { parameters: { temperature: input.temperature } })
    }
    const stores = Layer.merge(storeTags, RolloutStore.layer)
    const layer = Layer.mergeAll(Leases.layer({ heartbeatIntervalMs: 1_000 }), StatusReporter.layer).pipe(
      Layer.provideMerge(ChatExecutor.layer(chat)),
      Layer.provideMerge(SafetyScoring.layer(safety)),
      Layer.provideMerge(
        RubricScoring.layer({ dimensions, rubricField: "scoring_rubric", baseDir: dirname(input.suitePath) })
      ),
      Layer.provideMerge(agentEndpoint(upstream.model, proxy.clientKey)),
      Layer.provideMerge(proxyActors),
      Layer.provideMerge(Proxy.layer({ ...proxy, replay: "after-crash" })),
      Layer.provideMerge(ActorTree.layer("run", input.storePath)),
      Layer.provideMerge(ControlSocket.layer(input.storePath)),
      Layer.provideMerge(stores),
      Layer.provideMerge(
        Sqlite.layer({ path: input.storePath, kind: "run", attributionLogPath: proxy.attributionLogPath })
      ),
      Layer.provideMerge(Announcer.layer(process.stderr, environment))
    )
    return yield* Effect.gen(function*() {
      const values = yield* resourcesOf(input.resources)
      const config: RunConfig = {
        ...defaults,
        validate: episodesOf(suite, inputs.episodes, input.seed).map(({ case: one, repetition, seed }) => ({
          case_id: one.caseId,
          repetition,
          seed,
          prompt: one.prompt,
          expected_outcome: one.expectedOutcome,
          scoring_rubric: one.rubric
        })),
        resources: values,
        worker_count: input.workers,
        executor: chat
      }
      const summary = yield* Run.run({
        config,
        configHash: sha256(`${configHash(config, input.modelRef, "")} ${inputs.sha256}`),
        configPath: input.suitePath,
        modelRef: input.modelRef,
        simulated: input.model.provider === "sim",
        storePath: input.storePath,
        command: commandIn(process.cwd(), [process.execPath, ...process.argv.slice(1)]),
        principal: localPrincipal(),
        search: null,
        drainMs: drainMsDefault,
        report: () => Effect.void
      })
      const cases = yield* outcomesOf(summary.runId, suite)
      const checkpointId = `resources-v${summary.resourcesVersion}-${sha256(canonicalJson(values)).slice(0, 8)}`
      const out = input.out ?? `tasks/reports/m24-benchmark-${input.kind}.json`
      const report = benchmarkReportJson(
        {
          kind: input.kind,
          head: { runId, generatedAtMs, suite, retention: defaultRetention },
          inputs,
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
      yield* writeArtifact(out, report)
      const { episodes, meanReward, meanSafetyPenalty } = metricsOf(cases)
      yield* Console.log(
        [
          `${input.kind} ${checkpointId}: mean reward ${meanReward.toFixed(4)}`,
          `  mean safety penalty ${meanSafetyPenalty.toFixed(4)}, ${counted(episodes, "episode")} of ${
            counted(suite.cases.length, "case")
          }`,
          `  ${out}`
        ].join("\n")
      )
      return ExitCode.success
    }).pipe(Effect.provide(layer))
  },
  Effect.scoped
)

const freePort = { host: "127.0.0.1", port: 0 }
const attemptTimeoutSecs = 120
/** A suite takes as long as it takes; an attempt has a limit of its own. */
const defaults = Schema.decodeSync(RunConfig)({
  completion_timeout_secs: 86_400,
  attempt_timeout_secs: attemptTimeoutSecs
})

const slug = (text: string) => text.toLowerCase().replaceAll(/[^a-z0-9]+/g, "-").replaceAll(/^-|-$/g, "")

const suiteOf = Effect.fnUntraced(function*(file: string) {
  const artifact = yield* readArtifact(file, "--suite")
  const read = artifact._tag === "json" ? readSuite(artifact.value) : { ...artifact, _tag: "invalid" as const }
  if (read._tag === "suite") return read.suite
  const { field, text } = read.problems[0]!
  return yield* new UsageError({ detail: `--suite: ${file}: ${field}: ${text}` })
})

const Dimensions = Schema.Record({ key: Schema.String, value: ScorerSchema })

const decodedFile = <A, I>(flag: string, file: string | null, schema: Schema.Schema<A, I>, absent: A) =>
  Effect.gen(function*() {
    if (file === null) return absent
    const artifact = yield* readArtifact(file, flag)
    if (artifact._tag === "unreadable") {
      const { field, text } = artifact.problems[0]!
      return yield* new UsageError({ detail: `${flag}: ${file}: ${field}: ${text}` })
    }
    return yield* Schema.decodeUnknown(schema)(artifact.value, { onExcessProperty: "error" }).pipe(
      Effect.mapError(({ message }) => new UsageError({ detail: `${flag}: ${file}: ${message}` }))
    )
  })

const checkDimensions = (suite: Suite, dimensions: Readonly<Record<string, PlainScorerConfig>>) => {
  for (const { caseId, rubric } of suite.cases) {
    const unknown = Object.keys(rubric).find((dimension) => !Object.hasOwn(dimensions, dimension))
    if (unknown !== undefined) {
      return new UsageError({
        detail:
          `case ${caseId}: nothing judges the dimension ${unknown}; known are ${Object.keys(dimensions).join(", ")}; `
          + "name a scorer for it in --scorers"
      })
    }
  }
  return Effect.void
}

const frozen = (
  input: RunInput,
  fixture: string,
  suite: Suite,
  judged: Readonly<Record<string, unknown>>
): FrozenInputs => {
  const settings = { temperature: input.temperature, judged_sha256: sha256(canonicalJson(judged)) }
  const fixtureSha256 = sha256(fixture)
  const episodes = input.episodes ?? suite.cases.length
  const { modelRef, seed } = input
  return {
    fixturePath: input.suitePath,
    fixtureSha256,
    modelRef,
    episodes,
    seed,
    settings,
    sha256: sha256(canonicalJson({ fixtureSha256, modelRef, episodes, seed, settings }))
  }
}

/** A version of the store, or what a file holds: a JSON object of resources, or the system prompt as text. */
const resourcesOf = Effect.fnUntraced(function*(written: string) {
  if (/^\d+$/.test(written)) {
    const found = yield* Effect.flatMap(ResourceStore, (store) => store.get(Number(written)))
    if (Option.isNone(found)) {
      return yield* new UsageError({ detail: `--resources: the store has no resources version ${written}` })
    }
    return found.value.resources
  }
  if (!written.endsWith(".json")) return { system_prompt: (yield* existing(written, "--resources")).trimEnd() }
  return yield* decodedFile("--resources", written, ResourceValues, {})
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
      if (rollout.status === "cancelled" || (rollout.status !== "succeeded" && rollout.status !== "failed")) {
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
