/** `tau benchmark …`: makes the artifacts of the benchmark protocol from a suite, and from each other. */
import * as Clock from "effect/Clock"
import * as Console from "effect/Console"
import * as Effect from "effect/Effect"
import { dirname, join, relative } from "node:path"
import { counted, signed } from "../domain/Figures.js"
import { type BenchmarkReport, readBenchmarkReport, unequalInputs } from "../evidence/BenchmarkReport.js"
import { Fields, instantOf, type Problem } from "../evidence/Fields.js"
import { comparisonSvg } from "../evidence/Plot.js"
import { proofProblems } from "../evidence/ProofRules.js"
import { runIdPattern } from "../evidence/Publication.js"
import { checkFigures } from "../evidence/Recomputed.js"
import { criteriaOf, reportProblems } from "../evidence/ReportRules.js"
import * as Retention from "../evidence/Retention.js"
import {
  judge,
  type Judged,
  proofJson,
  significanceReportJson,
  summaryReportJson
} from "../evidence/SignificanceReport.js"
import { stability, stabilityJson } from "../evidence/Stability.js"
import { SampleInvalid } from "../statistics/SampleInvalid.js"
import { readArtifact, writeArtifact, writeText } from "./ArtifactFiles.js"
import { runBenchmark } from "./BenchmarkRun.js"
import { checkRunId, type CommandError, CommandFailed, UsageError } from "./CliError.js"
import type {
  BenchmarkInput,
  ProofInput,
  PublishInput,
  SignificanceInput,
  StabilityInput,
  SweepInput
} from "./commands/benchmark.js"
import { ExitCode } from "./ExitCode.js"

export const run = (input: BenchmarkInput): Effect.Effect<number, CommandError> => {
  switch (input.action) {
    case "run":
      return Effect.flatMap(timeOf(input.generatedAt, "--generated-at"), (ms) => runBenchmark(input, ms))
    case "significance":
      return significance(input)
    case "stability":
      return stable(input)
    case "proof":
      return proof(input)
    case "publish":
      return publish(input)
    case "archive":
    case "purge":
      return sweep(input)
  }
}

/** The time that was given, else the clock's. */
const timeOf = (text: string | null, flag: string): Effect.Effect<number, UsageError> => {
  if (text === null) return Clock.currentTimeMillis
  const ms = instantOf(text)
  return ms === undefined
    ? Effect.fail(
      new UsageError({ detail: `${flag}: expected a UTC time such as 2026-11-25T20:00:00Z, found ${text}` })
    )
    : Effect.succeed(ms)
}

const wrong = (file: string, problems: ReadonlyArray<Problem>) =>
  new CommandFailed({ detail: `${file}: ${problems[0]!.field}: ${problems[0]!.text}` })

const readable = (file: string, given: string) =>
  Effect.flatMap(
    readArtifact(file, given),
    (read) => read._tag === "json" ? Effect.succeed(read) : wrong(file, read.problems)
  )

const artifact = (file: string, given: string) => Effect.map(readable(file, given), ({ value }) => value)

const benchmarkReport = (file: string, kind: BenchmarkReport["kind"]) =>
  Effect.gen(function*() {
    const read = readBenchmarkReport(yield* artifact(file, `--${kind}`))
    if (read._tag === "invalid") return yield* wrong(file, read.problems)
    if (read.report.kind !== kind) {
      return yield* new CommandFailed({ detail: `${file}: report_kind: expected ${kind}, found ${read.report.kind}` })
    }
    return read.report
  })

/** Both reports, refused when what was asked of the one is not what was asked of the other. */
const comparable = (baselineFile: string, trainedFile: string) =>
  Effect.gen(function*() {
    const baseline = yield* benchmarkReport(baselineFile, "baseline")
    const trained = yield* benchmarkReport(trainedFile, "trained")
    const unequal = unequalInputs(baseline, trained)
    if (unequal.length > 0) {
      return yield* new CommandFailed({
        detail: `${baselineFile} and ${trainedFile} cannot be compared, their inputs differ: ${unequal.join(", ")}`
      })
    }
    return { baseline, trained }
  })

/** A test that the data do not allow is an answer to the person at the terminal, not a bug. */
const computed = <A>(compute: () => A): Effect.Effect<A, CommandFailed> =>
  Effect.suspend(() => {
    try {
      return Effect.succeed(compute())
    } catch (error) {
      if (error instanceof SampleInvalid) return Effect.fail(new CommandFailed({ detail: error.message }))
      throw error
    }
  })

const artifactsFolder = "tasks/reports"

const significance = (input: SignificanceInput): Effect.Effect<number, CommandError> =>
  Effect.gen(function*() {
    const generatedAtMs = yield* timeOf(input.generatedAt, "--generated-at")
    const compared = yield* Effect.forEach(input.trained, (file) => comparable(input.baseline, file))
    const { baseline } = compared[0]!
    const criteria = {
      minRewardDelta: input.minRewardDelta,
      maxSafetyRegression: input.maxSafetyRegression,
      maxPValue: input.maxPValue ?? input.alpha
    }
    const judged = yield* computed(() => judge(baseline, compared.map(({ trained }) => trained), criteria, input))
    for (const [index, one] of judged.entries()) {
      const out = numbered(input.out ?? `${artifactsFolder}/m24-benchmark-significance.json`, index)
      yield* writeArtifact(out, significanceReportJson(one, one.trained.head.runId, generatedAtMs))
      yield* writeText(out.replace(/(\.json)?$/, ".svg"), comparisonSvg(one))
      yield* Console.log(verdictText(one, out))
    }
    return ExitCode.success
  })

/** The second candidate's report stands beside the first one's: `….json`, `…-2.json`. */
const numbered = (file: string, index: number) => index === 0 ? file : file.replace(/(\.json)?$/, `-${index + 1}$1`)

const verdictText = ({ comparison, failed, options: { alpha }, pValue, trained }: Judged, out: string) => {
  const { bounds, meanDelta, n, test } = comparison
  const level = `${Number((100 * (1 - alpha)).toPrecision(6))}%`
  const interval = `${level} [${bounds.low.toFixed(4)}, ${bounds.high.toFixed(4)}]`
  return [
    `${failed.length === 0 ? "pass" : `no pass (${failed.join(", ")})`}: ${trained.checkpoint.checkpointId}`,
    `  ${signed(meanDelta, (value) => value.toFixed(4))} ${interval}, p=${pValue.toPrecision(3)}, ${test}, n=${n}`,
    `  ${out}`
  ].join("\n")
}

const stable = (input: StabilityInput): Effect.Effect<number, CommandError> =>
  Effect.gen(function*() {
    const generatedAtMs = yield* timeOf(input.generatedAt, "--generated-at")
    const files = Array.from({ length: input.reports.length / 2 }, (_, n) => n * 2)
    const pairs = yield* Effect.forEach(files, (at) => comparable(input.reports[at]!, input.reports[at + 1]!))
    const [seedPValueRange, seedRewardDeltaRange, adjacentPValueDrift, adjacentRewardDeltaDrift] = input.bands
    const bands = { seedPValueRange, seedRewardDeltaRange, adjacentPValueDrift, adjacentRewardDeltaDrift }
    const [first, ...reruns] = pairs
    const found = yield* computed(() => stability([first!, ...reruns], input, bands))
    const out = input.out ?? `${artifactsFolder}/m24-benchmark-stability.json`
    const json = stabilityJson(found, bands, first!.trained.head.runId, generatedAtMs)
    yield* writeArtifact(out, json)
    yield* Console.log(`${json.verdict}${json.stable ? "" : ` (${json.failed_bands.join(", ")})`}\n  ${out}`)
    return ExitCode.success
  })

const proof = (input: ProofInput): Effect.Effect<number, CommandError> =>
  Effect.gen(function*() {
    const { runId } = input
    yield* checkRunId(runId, runIdPattern)
    const generatedAtMs = yield* timeOf(input.generatedAt, "--generated-at")
    const compared = yield* comparable(input.baseline, input.trained)
    const stated = yield* significanceOf(input.significance, compared)
    const made = proofJson(compared, stated, runId, generatedAtMs, input)
    const problems = proofProblems(made)
    if (problems.length > 0) return yield* wrong("the proof", problems)
    const out = input.out ?? `${artifactsFolder}/m24-benchmark-proof-${runId}.json`
    yield* writeArtifact(out, made)
    const summary = join(dirname(out), "m24-benchmark-summary.json")
    yield* writeArtifact(summary, summaryReportJson(compared, made, runId, generatedAtMs))
    const verdict = made.significance.pass ? "pass" : `no pass: ${made.failed_criteria.join(", ")}`
    yield* Console.log(`${verdict}\n  proof    ${out}\n  summary  ${summary}`)
    return ExitCode.success
  })

/** What the significance report says of these two reports; refused when it is about others. */
const significanceOf = (
  file: string,
  { baseline, trained }: { readonly baseline: BenchmarkReport; readonly trained: BenchmarkReport }
) =>
  Effect.gen(function*() {
    const value = yield* artifact(file, "--significance")
    const problems = reportProblems(value)
    if (problems.length > 0) return yield* wrong(file, problems)
    const fields = Fields.of(value)
    fields.choice("report_kind", ["significance"])
    const part = fields.object("significance")
    const checkpoints = fields.object("checkpoints")
    const criteria = criteriaOf(fields.object("criteria"))
    const metrics = fields.object("metrics")
    const inputs = fields.has("inputs") ? fields.object("inputs") : null
    const penalties = { baseline: baseline.metrics.meanSafetyPenalty, trained: trained.metrics.meanSafetyPenalty }
    const expected: ReadonlyArray<readonly [Fields, string, unknown, unknown]> = [
      [metrics, "episodes", metrics.number("episodes"), trained.metrics.episodes],
      [metrics, "mean_reward", metrics.number("mean_reward"), trained.metrics.meanReward],
      [metrics, "mean_safety_penalty", metrics.number("mean_safety_penalty"), penalties.trained],
      [part, "baseline_mean_reward", part.number("baseline_mean_reward"), baseline.metrics.meanReward],
      [part, "trained_mean_reward", part.number("trained_mean_reward"), trained.metrics.meanReward],
      [part, "baseline_mean_safety_penalty", part.number("baseline_mean_safety_penalty"), penalties.baseline],
      [part, "trained_mean_safety_penalty", part.number("trained_mean_safety_penalty"), penalties.trained],
      [checkpoints, "baseline", checkpoints.text("baseline"), baseline.checkpoint.checkpointId],
      [checkpoints, "trained", checkpoints.text("trained"), trained.checkpoint.checkpointId],
      ...(inputs === null
        ? []
        : [[inputs, "inputs_sha256", inputs.text("inputs_sha256"), baseline.inputs.sha256] as const])
    ]
    for (const [group, key, found, wanted] of expected) {
      if (found !== undefined && found !== wanted) group.refuse(key, `${String(wanted)} as in the report it is about`)
    }
    if (fields.problems.length === 0) yield* computed(() => checkFigures(fields, baseline, trained))
    if (fields.problems.length > 0 || criteria === undefined) return yield* wrong(file, fields.problems)
    return { pValue: part.number("p_value")!, confidenceLevel: part.number("confidence_level")!, criteria }
  })

const publish = ({ files, root }: PublishInput): Effect.Effect<number, CommandError> =>
  Effect.gen(function*() {
    const reports = yield* Effect.forEach(
      files,
      (file) => Effect.map(readable(file, "FILE"), ({ text, value }) => ({ file, text, value }))
    )
    // All of them first: a mistake in the last file is no reason to have published the others.
    yield* Effect.forEach(reports, (report) => Retention.checkPublishable(root, report))
    for (const report of reports) {
      const path = yield* Retention.publish(root, report)
      yield* Console.log(`published ${report.file} at ${relative("", join(root, path))}`)
    }
    return ExitCode.success
  })

const sweep = ({ action, dryRun, now, root }: SweepInput): Effect.Effect<number, CommandError> =>
  Effect.gen(function*() {
    const nowMs = yield* timeOf(now, "--now")
    const actions = yield* (action === "archive" ? Retention.archive : Retention.purge)({ root, nowMs, dryRun })
    for (const { detail, file, kind } of actions) {
      yield* Console.log(`${dryRun && kind !== "keep" ? `would ${kind}` : kind} ${file}: ${detail}`)
    }
    const done = actions.filter(({ kind }) => kind !== "keep").length
    yield* Console.log(`${done} of ${counted(actions.length, "report")} ${dryRun ? "would be " : ""}${action}d`)
    return ExitCode.success
  })
