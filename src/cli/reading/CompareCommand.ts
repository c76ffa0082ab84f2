/** Two runs side by side: whether the second is better, by how much, and where. */
import * as Effect from "effect/Effect"
import { storeHint } from "../../domain/CommandText.js"
import { counted, dollars, elapsed, rounded, signed } from "../../domain/Figures.js"
import { isUnfinished } from "../../domain/Lifecycle.js"
import { type Cost, costOf, isWhole, type OwnPrices } from "../../domain/Prices.js"
import type { RolloutMode } from "../../domain/Rollout.js"
import { visible, wrapped } from "../../domain/TerminalText.js"
import type { Comparison } from "../../evidence/Comparison.js"
import { type ComparedExample, compareRuns, type RunComparison } from "../../evidence/RunComparison.js"
import { mean } from "../../statistics/Moments.js"
import { type CountedRollout, RolloutStore } from "../../store/RolloutStore.js"
import { isScored, snake, type Totals, totalsOf } from "../../store/RowJson.js"
import { RunFindings } from "../../store/RunFindings.js"
import { type Run, RunReader } from "../../store/RunReader.js"
import { isSearch } from "../../store/runTotals.js"
import { CommandFailed } from "../CliError.js"
import { ExitCode } from "../ExitCode.js"
import type { Place } from "../ReadingFlags.js"
import { fact } from "./facts.js"
import { printJson, reading, runNamed } from "./reading.js"
import { table } from "./Table.js"
import { columns, print } from "./Terminal.js"
import { inline, points, tokens } from "./text.js"

export interface CompareMode extends Place {
  readonly baselineId: string
  readonly runId: string
  /** Null for the examples of every part of the config. */
  readonly mode: RolloutMode | null
  readonly failIfWorse: boolean
}

const alpha = 0.05
/** What is drawn starts from it: the same runs give the same figures. */
const seed = 1
/** Examples of each kind that are shown. */
const shownMax = 5

/** A run, and what it came to. */
interface Side {
  readonly run: Run
  readonly totals: Totals
  readonly scoring: string | null
  /** Of all its calls, those of judges among them. */
  readonly cost: Cost
  /** Those that say something of its texts. */
  readonly rollouts: ReadonlyArray<CountedRollout>
  /** How many failed for want of their model, their agent or their scorer: as zeros they would be held against its texts. */
  readonly broken: number
}

export const run = (mode: CompareMode) =>
  reading(
    mode.storePath,
    Effect.gen(function*() {
      const [baseline, other] = [yield* sideOf(mode, mode.baselineId), yield* sideOf(mode, mode.runId)]
      const found = compareRuns(scoredOf(baseline), scoredOf(other), { alpha, seed })
      const unscored = [baseline, other].find(({ rollouts }) => rollouts.length === 0)
      if (unscored !== undefined) {
        const id = visible(unscored.run.id)
        return yield* new CommandFailed({
          detail:
            `${id} has scored no ${mode.mode === null ? "" : `${mode.mode} `}example; what became of its rollouts: `
            + `tau rollouts --run ${id}${storeHint(mode.storePath)}`
        })
      }
      if (found === null) {
        return yield* new CommandFailed({
          detail: `${visible(baseline.run.id)} and ${visible(other.run.id)} have no `
            + `${mode.mode === null ? "" : `${mode.mode} `}example in common that both have scored; `
            + ["examples are the same when all their fields are", ...[baseline, other].flatMap(leftOut)].join("; ")
        })
      }
      yield* mode.json
        ? printJson({ store_path: mode.storePath, ...comparedJson(baseline, other, found) })
        : Effect.flatMap(
          changesText(mode, other, found),
          (changes) => print([...comparedText(mode.mode, baseline, other, found), ...changes])
        )
      return mode.failIfWorse && verdictOf(found.comparison) === "worse" ? ExitCode.failure : ExitCode.success
    })
  )

const sideOf = ({ mode, storePath }: CompareMode, id: string) =>
  Effect.gen(function*() {
    const runs = yield* RunReader
    const run = yield* runNamed(id, storePath)
    const rules = yield* runs.rules(run.id)
    if (isSearch(rules)) {
      return yield* new CommandFailed({
        detail: `${visible(run.id)} is a search: its rollouts are those of many texts; what it came to: `
          + `tau report ${visible(run.id)}${storeHint(storePath)}`
      })
    }
    const results = yield* runs.results(run.id)
    const usage = yield* Effect.flatMap(RunFindings, (findings) => findings.usage(run.id))
    const ended = yield* Effect.flatMap(RolloutStore, (store) => store.counted(run.id, mode))
    const rollouts = ended.filter((one) =>
      one.brokenBy === null
      // Where no scorer applied to a success, none would have applied to a failure.
      && isScored(results.filter((result) => result.mode === one.mode))
    )
    const broken = ended.filter(({ brokenBy }) => brokenBy !== null).length
    const totals = totalsOf(results.filter((result) => mode === null || result.mode === mode))
    return {
      run,
      totals: broken === 0 ? totals : { ...totals, meanScore: meanOf(rollouts) },
      scoring: rules.scoring,
      cost: costOf(usage, JSON.parse(rules.prices ?? "{}") as OwnPrices),
      rollouts,
      broken
    }
  })

const meanOf = (rollouts: ReadonlyArray<CountedRollout>): number | null =>
  rollouts.length === 0 ? null : mean(rollouts.map(({ score }) => score))

const scoredOf = ({ rollouts }: Side) =>
  rollouts.map(({ id, inputSha256, score }) => ({ rolloutId: id, example: inputSha256, score }))

const leftOut = ({ broken, run }: Side): ReadonlyArray<string> =>
  broken === 0
    ? []
    : [
      `${counted(broken, "failed rollout")} of ${visible(run.id)} lacked model, agent or scorer and ${
        broken === 1 ? "is" : "are"
      } left out`
    ]

/** At the level of 0.05, two-sided. */
const verdictOf = ({ meanDelta, pValue }: Comparison): "better" | "worse" | "not shown" =>
  pValue >= alpha ? "not shown" : meanDelta > 0 ? "better" : "worse"

const comparedText = (
  mode: RolloutMode | null,
  baseline: Side,
  other: Side,
  found: RunComparison
): ReadonlyArray<string> => {
  const { comparison, examples, meanScores, onlyInBaseline, onlyInRun } = found
  const { bounds, losses, meanDelta, pValue, test, ties, wins } = comparison
  const unfinished = [baseline, other].filter(({ run }) => isUnfinished(run))
  const names = [baseline, other].map(({ run }) => visible(run.id))
  const left = [...onlyIn(names[0]!, onlyInBaseline), ...onlyIn(names[1]!, onlyInRun)]
  const row = (name: string, cell: (side: Side) => string) => ({ name, cells: [cell(baseline), cell(other)] })
  const rows = [
    row("state", ({ run }) => run.stands),
    row("model", ({ run }) => visible(run.modelRef)),
    row("resources", ({ run }) => `version ${run.resourcesVersion}`),
    row("rollouts", ({ totals }) => `${endedOf(totals)}/${totals.total}`),
    row("failed", ({ totals }) => String(totals.failed)),
    row("score", ({ totals }) => points(totals.meanScore)),
    // What calls used is counted by run, not by part of the config.
    ...(mode === null ? [row("tokens each", tokensEach)] : []),
    ...(mode === null && [baseline, other].some(({ cost }) => cost.usd > 0) ? [row("cost each", costEach)] : []),
    row("took, median", ({ rollouts }) => medianTook(rollouts))
  ]
  return [
    ...table(rows, [
      { title: "", cell: ({ name }) => name },
      ...names.map((title, side) => ({ title, least: 12, cell: ({ cells }: typeof rows[number]) => cells[side]! }))
    ]),
    "",
    ...wrapped(
      `${counted(examples.length, "example")} that both have scored${left.length === 0 ? "" : `; ${left.join(", ")}`}`,
      columns
    ),
    ...fact("score", `${points(meanScores.baseline)} → ${points(meanScores.run)}`),
    ...fact("change", `${signed(meanDelta)}, 95 % interval ${signed(bounds.low)} to ${signed(bounds.high)}`),
    ...fact("p-value", `${pValue.toPrecision(2)}, two-sided, ${test}`),
    ...fact("examples", `${wins} better, ${losses} worse, ${ties} alike`),
    ...(baseline.scoring === other.scoring
      ? []
      : fact("beware", "the configs score differently: the two scores may not mean the same")),
    ...[baseline, other].flatMap(leftOut).flatMap((text) => fact("beware", text)),
    ...unfinished.flatMap(({ run }) =>
      fact("beware", `${visible(run.id)} is not finished: go by what the whole run will show`)
    ),
    "",
    ...wrapped(verdictText(names, comparison), columns)
  ]
}

const onlyIn = (name: string, examples: number): ReadonlyArray<string> =>
  examples === 0 ? [] : [`${examples} only in ${name}`]

const verdictText = (
  [baseline, other]: ReadonlyArray<string>,
  comparison: Comparison
): string => {
  const [verdict, detectable] = [verdictOf(comparison), comparison.smallestDetectableDelta]
  if (verdict !== "not shown") return `${other} is ${verdict} than ${baseline}.`
  return detectable === null
    ? "No difference is shown, and these examples could hardly show one."
    : `No difference is shown. A gain of ${detectable.toFixed(3)} would be, 8 times out of 10, by as many examples.`
}

const endedOf = ({ failed, succeeded }: Totals): number => succeeded + failed

const tokensEach = ({ run, totals }: Side): string => {
  const ended = endedOf(totals)
  if (run.calls === 0 || ended === 0) return ""
  return tokens(Math.round(run.inputTokens / ended), Math.round(run.outputTokens / ended))
}

const costEach = ({ cost, totals }: Side): string => {
  const ended = endedOf(totals)
  if (ended === 0) return ""
  if (isWhole(cost)) return dollars(cost.usd / ended)
  return cost.usd === 0 ? "unknown" : `over ${dollars(cost.usd / ended)}`
}

const medianTook = (rollouts: ReadonlyArray<CountedRollout>): string => {
  const times = rollouts.flatMap(({ tookMs }) => tookMs === null ? [] : [tookMs]).toSorted((a, b) => a - b)
  if (times.length === 0) return ""
  const [below, above] = [times[Math.floor((times.length - 1) / 2)]!, times[Math.floor(times.length / 2)]!]
  return elapsed((below + above) / 2)
}

/** The examples that differ most, losses first: they are what is looked into. */
const changesText = ({ storePath }: CompareMode, other: Side, { examples }: RunComparison) =>
  Effect.gen(function*() {
    const rollouts = yield* RolloutStore
    const lines = (title: string, changed: ReadonlyArray<ComparedExample>) =>
      Effect.gen(function*() {
        if (changed.length === 0) return []
        const rows = yield* Effect.forEach(changed.slice(0, shownMax), ({ baseline, run }) =>
          Effect.map(rollouts.get(run.rolloutId as CountedRollout["id"]), (found) => ({
            scores: `${points(baseline.score)} → ${points(run.score)}`,
            rollout: visible(run.rolloutId),
            asked: found._tag === "None" ? "" : inline(found.value.input["prompt"] ?? found.value.input)
          })))
        return [
          "",
          `${title}${changed.length > shownMax ? `, the ${shownMax} largest of ${changed.length}` : ""}`,
          ...table(rows, [
            {
              title: "score",
              cell: ({ scores }) => scores
            },
            {
              title: `rollout of ${visible(other.run.id)}`,
              cell: ({ rollout }) =>
                rollout
            },
            { title: "asked", least: 12, cell: ({ asked }) => asked }
          ])
        ]
      })
    const by = (sign: number) =>
      examples.filter(({ delta }) => delta * sign > 0).toSorted((a, b) => (b.delta - a.delta) * sign)
    const [worse, better] = [by(-1), by(1)]
    const [first] = [...worse, ...better]
    return [
      ...(yield* lines("worse", worse)),
      ...(yield* lines("better", better)),
      ...(first === undefined
        ? []
        : ["", `One of them: tau rollout ${visible(first.run.rolloutId)}${storeHint(storePath)}`])
    ]
  })

const comparedJson = (baseline: Side, other: Side, found: RunComparison) => {
  const { comparison, examples, meanScores, onlyInBaseline, onlyInRun } = found
  const { bounds, differences: _, effects, ...figures } = comparison
  return {
    baseline: sideJson(baseline),
    run: sideJson(other),
    scoring_differs: baseline.scoring !== other.scoring,
    only_in_baseline: onlyInBaseline,
    only_in_run: onlyInRun,
    verdict: verdictOf(comparison),
    comparison: {
      alpha,
      baseline_mean_score: meanScores.baseline,
      mean_score: meanScores.run,
      ...snake(figures),
      low: bounds.low,
      high: bounds.high,
      effects
    },
    examples: examples.map(({ baseline, delta, run }) => ({
      baseline_rollout_id: baseline.rolloutId,
      rollout_id: run.rolloutId,
      baseline_score: baseline.score,
      score: run.score,
      delta
    }))
  }
}

const sideJson = ({ broken, cost, run, totals }: Side) => ({
  run_id: run.id,
  stands: run.stands,
  model_ref: run.modelRef,
  resources_version: run.resourcesVersion,
  ...snake(totals),
  broken,
  calls: run.calls,
  input_tokens: run.inputTokens,
  output_tokens: run.outputTokens,
  // As in the summary: a simulation costs nothing, and lacks no price.
  cost: run.modelRef.startsWith("sim/") ? null : snake({ ...cost, usd: rounded(cost.usd) })
})
