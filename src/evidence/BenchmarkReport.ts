/** The baseline or trained report: what was asked, of which checkpoint, and what it earned. */
import { Fields, type Problem, timeText } from "./Fields.js"
import { type CaseOutcome, type Metrics, metricsOf, outcomesJson, readOutcomes } from "./Outcomes.js"
import { publicationOf, type ReportKind, type Retention, retentionPolicies } from "./Publication.js"
import { reportProblems } from "./ReportRules.js"

/** What must be equal for two reports to be compared. */
export interface FrozenInputs {
  readonly fixturePath: string
  readonly fixtureSha256: string
  /** `provider/model`. */
  readonly modelRef: string
  readonly episodes: number
  readonly seed: number
  /** Whatever else decides over the answers and how they are judged. */
  readonly settings: Readonly<Record<string, unknown>>
  /** SHA-256 over all of it but the path. */
  readonly sha256: string
}

export interface Checkpoint {
  readonly checkpointId: string
  readonly resourcesVersion: number
}

export interface ReportHead {
  readonly runId: string
  readonly generatedAtMs: number
  readonly suite: { readonly name: string; readonly version: string }
  readonly retention: Retention
}

/** A baseline or trained report as comparisons need it. */
export interface BenchmarkReport {
  readonly kind: "baseline" | "trained"
  readonly head: ReportHead
  readonly inputs: FrozenInputs
  readonly checkpoint: Checkpoint
  readonly cases: ReadonlyArray<CaseOutcome>
  readonly metrics: Metrics
}

/** The groups that every report begins and ends with, around what is its own. */
export const reportJson = (kind: ReportKind, head: ReportHead, metrics: Metrics, own: Record<string, unknown>) => ({
  schema_version: 1,
  report_kind: kind,
  run_id: head.runId,
  generated_at: timeText(head.generatedAtMs),
  benchmark_suite: { name: head.suite.name, version: head.suite.version },
  metrics: {
    episodes: metrics.episodes,
    mean_reward: metrics.meanReward,
    mean_safety_penalty: metrics.meanSafetyPenalty
  },
  ...own,
  ...publicationOf(head.runId, kind, head.generatedAtMs, head.retention)
})

/** A baseline or trained report as its file has it. `source` says where its figures come from. */
export const benchmarkReportJson = (
  { cases, checkpoint, head, inputs, kind }: Omit<BenchmarkReport, "metrics">,
  source: Record<string, unknown>
) =>
  reportJson(kind, head, metricsOf(cases), {
    checkpoint: { checkpoint_id: checkpoint.checkpointId, resources_version: checkpoint.resourcesVersion },
    inputs: inputsJson(inputs),
    source,
    cases: outcomesJson(cases)
  })

/** The group `inputs` of a report. */
export const inputsJson = (inputs: FrozenInputs) => ({
  fixture_path: inputs.fixturePath,
  fixture_sha256: inputs.fixtureSha256,
  model_ref: inputs.modelRef,
  episodes: inputs.episodes,
  seed: inputs.seed,
  settings: inputs.settings,
  inputs_sha256: inputs.sha256
})

export type ReadReport =
  | { readonly _tag: "report"; readonly report: BenchmarkReport }
  | { readonly _tag: "invalid"; readonly problems: ReadonlyArray<Problem> }

/** A valid report with its outcomes, or everything that is wrong with it. */
export const readBenchmarkReport = (value: unknown): ReadReport => {
  const invalid = reportProblems(value)
  if (invalid.length > 0) return { _tag: "invalid", problems: invalid }
  const fields = Fields.of(value)
  const kind = fields.choice("report_kind", ["baseline", "trained"])
  const checkpoint = fields.object("checkpoint")
  const inputs = fields.object("inputs")
  const retention = fields.object("retention")
  const suite = fields.object("benchmark_suite")
  const cases = readOutcomes(fields)
  const report = {
    head: {
      runId: fields.text("run_id")!,
      generatedAtMs: fields.instant("generated_at")!,
      suite: { name: suite.text("name")!, version: suite.text("version")! },
      retention: {
        policy: retention.choice("policy", retentionPolicies)!,
        retainDays: retention.number("retain_days")!,
        archiveAfterDays: retention.number("archive_after_days")!
      }
    },
    checkpoint: {
      checkpointId: checkpoint.text("checkpoint_id")!,
      resourcesVersion: checkpoint.number("resources_version", { above: 0, whole: true })!
    },
    inputs: {
      fixturePath: inputs.text("fixture_path")!,
      fixtureSha256: inputs.text("fixture_sha256", /^[0-9a-f]{64}$/, "a SHA-256 in hex")!,
      modelRef: inputs.text("model_ref")!,
      episodes: inputs.number("episodes", { above: 0, whole: true })!,
      seed: inputs.number("seed", { min: 0, whole: true })!,
      settings: Object.fromEntries(inputs.object("settings").entries()),
      sha256: inputs.text("inputs_sha256", /^[0-9a-f]{64}$/, "a SHA-256 in hex")!
    },
    cases
  }
  if (kind === undefined || fields.problems.length > 0) return { _tag: "invalid", problems: fields.problems }
  return { _tag: "report", report: { kind, ...report, metrics: metricsOf(cases) } }
}

/** The inputs in which two reports differ, by name; none when they may be compared. */
export const unequalInputs = (one: BenchmarkReport, other: BenchmarkReport): ReadonlyArray<string> => {
  const differs: ReadonlyArray<readonly [string, boolean]> = [
    [
      "benchmark_suite",
      one.head.suite.name !== other.head.suite.name || one.head.suite.version !== other.head.suite.version
    ],
    ["inputs.fixture_sha256", one.inputs.fixtureSha256 !== other.inputs.fixtureSha256],
    ["inputs.model_ref", one.inputs.modelRef !== other.inputs.modelRef],
    ["inputs.episodes", one.inputs.episodes !== other.inputs.episodes],
    ["inputs.seed", one.inputs.seed !== other.inputs.seed],
    ["metrics.episodes", one.metrics.episodes !== other.metrics.episodes]
  ]
  const names = differs.filter(([, isUnequal]) => isUnequal).map(([name]) => name)
  if (names.length > 0 || one.inputs.sha256 === other.inputs.sha256) return names
  const [settings, others] = [one.inputs.settings, other.inputs.settings]
  const unequal = [...new Set([...Object.keys(settings), ...Object.keys(others)])]
    .filter((name) => JSON.stringify(settings[name]) !== JSON.stringify(others[name]))
  return unequal.length === 0 ? ["inputs.settings"] : unequal.map((name) => `inputs.settings.${name}`)
}
