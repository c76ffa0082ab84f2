/** What a run of a suite is given, read and checked before anything runs, and frozen into its report. */
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import * as Schema from "effect/Schema"
import { hash } from "node:crypto"
import { ResourceValues } from "../domain/Resources.js"
import { type PlainScorerConfig, PlainScorerConfig as ScorerSchema } from "../domain/RunConfig.js"
import { SafetyRewardConfig } from "../domain/SafetyReward.js"
import type { FrozenInputs } from "../evidence/BenchmarkReport.js"
import { runIdPattern } from "../evidence/Publication.js"
import { readSuite, type Suite } from "../evidence/Suite.js"
import { canonicalJson } from "../store/canonicalJson.js"
import { ResourceStore } from "../store/ResourceStore.js"
import { existing, readArtifact } from "./ArtifactFiles.js"
import { type BenchmarkAgent, benchmarkAgent } from "./BenchmarkAgent.js"
import { checkRunId, UsageError } from "./CliError.js"
import type { RunInput } from "./commands/benchmark.js"
import { problemsIn } from "./ConfigFile.js"
import { shapeProblems } from "./ConfigShape.js"

type Dimensions = Readonly<Record<string, PlainScorerConfig>>

export interface BenchmarkInputs {
  readonly suite: Suite
  /** What judges each dimension of a rubric. */
  readonly dimensions: Dimensions
  readonly safety: SafetyRewardConfig
  readonly agent: BenchmarkAgent
  readonly frozen: FrozenInputs
  /** Of the artifacts. */
  readonly runId: string
}

/** Fails with `UsageError` for a file that is missing, and with `ConfigError` for one that is not what it should be. */
export const benchmarkInputs = Effect.fnUntraced(function*(input: RunInput) {
  const fixture = yield* existing(input.suitePath, "--suite")
  const suite = yield* suiteOf(input.suitePath)
  const dimensions = { ...builtIn, ...yield* decodedFile("--scorers", input.scorersPath, DimensionsSchema, {}) }
  yield* checkDimensions(suite, dimensions)
  const safety = yield* decodedFile(
    "--safety-reward",
    input.safetyPath,
    SafetyRewardConfig,
    Schema.decodeSync(SafetyRewardConfig)({})
  )
  const agent = yield* benchmarkAgent(input)
  const frozen = frozenOf(input, fixture, suite, { dimensions, safety }, agent)
  const runId = input.runId ?? `m24-${slug(suite.suiteId)}-${frozen.sha256.slice(0, 8)}`
  yield* checkRunId(runId, runIdPattern)
  return { suite, dimensions, safety, agent, frozen, runId } satisfies BenchmarkInputs
})

/** A version of the store, or what a file holds: a JSON object of resources, or the system prompt as text. */
export const resourcesOf = Effect.fnUntraced(function*(written: string) {
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

/** What judges a dimension that is named after it. `correctness` is the expected outcome somewhere in the answer. */
const builtIn: Dimensions = {
  ...Object.fromEntries(
    (["exact_match", "contains", "regex", "numeric", "json_equal"] as const).map((kind) =>
      [kind, Schema.decodeSync(ScorerSchema)({ kind, expected: "expected_outcome" })] as const
    )
  ),
  correctness: Schema.decodeSync(ScorerSchema)({ kind: "contains", expected: "expected_outcome", ignore_case: true })
}

export const suiteOf = Effect.fnUntraced(function*(file: string) {
  const artifact = yield* readArtifact(file, "--suite")
  const read = artifact._tag === "json" ? readSuite(artifact.value) : { ...artifact, _tag: "invalid" as const }
  if (read._tag === "suite") return read.suite
  const { field, text } = read.problems[0]!
  return yield* new UsageError({ detail: `--suite: ${file}: ${field}: ${text}` })
})

const DimensionsSchema = Schema.Record({ key: Schema.String, value: ScorerSchema })

const decodedFile = <A, I>(flag: string, file: string | null, schema: Schema.Schema<A, I>, absent: A) =>
  Effect.gen(function*() {
    if (file === null) return absent
    const artifact = yield* readArtifact(file, flag)
    if (artifact._tag === "unreadable") {
      const { field, text } = artifact.problems[0]!
      return yield* new UsageError({ detail: `${flag}: ${file}: ${field}: ${text}` })
    }
    const problems = shapeProblems(schema.ast, artifact.value, "$")
    if (problems.length > 0) return yield* problemsIn(`${flag}: ${file}`, problems)
    return Schema.decodeUnknownSync(schema)(artifact.value)
  })

const checkDimensions = (suite: Suite, dimensions: Dimensions) => {
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

const frozenOf = (
  input: RunInput,
  fixture: string,
  suite: Suite,
  judged: Readonly<Record<string, unknown>>,
  agent: BenchmarkAgent
): FrozenInputs => {
  const settings = {
    temperature: input.temperature,
    judged_sha256: sha256(canonicalJson(judged)),
    ...(input.configPath !== null && { agent_sha256: sha256(canonicalJson(agent.keys)) })
  }
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

const slug = (text: string) => text.toLowerCase().replaceAll(/[^a-z0-9]+/g, "-").replaceAll(/^-|-$/g, "")

const sha256 = (text: string) => hash("sha256", text, "hex")
