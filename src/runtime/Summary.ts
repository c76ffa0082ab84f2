/** What a run amounts to, as data. `summaryText` and `summaryJson` say it to people and programs. */
import * as Effect from "effect/Effect"
import { rounded } from "../domain/Figures.js"
import type { RunId } from "../domain/Ids.js"
import { type Cost, costOf } from "../domain/Prices.js"
import type { RolloutMode } from "../domain/Rollout.js"
import type { RunConfig } from "../domain/RunConfig.js"
import { safeJson } from "../domain/TerminalText.js"
import { type Broken, brokenIn } from "../store/brokenRollouts.js"
import { countedIn } from "../store/RowJson.js"
import type { RunFailure } from "../store/runFailures.js"
import { type Findings, type RewriteCount, RunFindings } from "../store/RunFindings.js"
import { type BegunRun, type ExampleScores, type ModeScore, type RunState, RunStore } from "../store/RunStore.js"
import { type Interval, interval } from "./interval.js"
import type { Deaths } from "./Supervisor.js"

/** The mean score of one mode. Failed rollouts count as 0. */
export interface ScoreSummary {
  readonly mode: RolloutMode
  readonly rollouts: number
  readonly succeeded: number
  readonly failed: number
  /** What the mean is over: rollouts with a score and failed ones, or examples where each was asked several times. */
  readonly n: number
  /** Null when nothing could be scored, and where `broken` is not 0. */
  readonly mean: number | null
  readonly interval: Interval | null
  /** How many examples no scorer applied to, and what they lack; null where the config says what scores. */
  readonly unscored: { readonly examples: number; readonly lacking: string } | null
  /** In a run without a result, how many failed for want of their model, agent or scorer: as zeros they would make the mean. */
  readonly broken: number
}

export interface Summary {
  readonly runId: RunId
  readonly runState: RunState
  /** Why the run stopped before its end; null when it did not. */
  readonly stoppedReason: string | null
  readonly modelRef: string
  /** The model is the built-in simulation: its scores say nothing about a real one. */
  readonly simulated: boolean
  readonly storePath: string
  readonly statusPath: string
  /** Of a search: that of its seed. */
  readonly resourcesVersion: number
  readonly isSearch: boolean
  /** 1 for a run that was never resumed. */
  readonly start: number
  readonly total: number
  readonly succeeded: number
  readonly failed: number
  readonly cancelled: number
  readonly scores: ReadonlyArray<ScoreSummary>
  /** Of an evaluation without a result: what failed for want of what it needs, by mode and cause. Else empty. */
  readonly broken: ReadonlyArray<Broken>
  /** Means over the succeeded rollouts, by reward name. */
  readonly rewards: ReadonlyArray<
    { readonly mode: RolloutMode; readonly name: string; readonly n: number; readonly mean: number }
  >
  /** Model calls of all starts of the run. */
  readonly calls: number
  readonly inputTokens: number
  readonly outputTokens: number
  /** Of all its calls, those of judges among them. Null for a simulation. */
  readonly cost: Cost | null
  /** Of this start. */
  readonly elapsedMs: number
  readonly resume: {
    readonly resumed: boolean
    readonly finishedBefore: number
    readonly requeued: number
    readonly unknownCalls: number
    /** The process of the start before died without a word. */
    readonly crashed: boolean
    /** Unfinished rollouts of earlier starts that this one took up again. */
    readonly resumedRollouts: number
    /** Calls of the run that were answered from the record of an earlier attempt, and the tokens that this saved. */
    readonly callsReplayed: number
    readonly tokensSaved: number
    /** Every version that rollouts of the run were enqueued with: a resume changes none of them. */
    readonly resourcesVersions: ReadonlyArray<number>
    /** Which checkpoint was found after a crash; null without a crash or a checkpoint. */
    readonly checkpointSource: "primary" | "fallback" | null
  }
  /** In how many calls each rule of `rewrite` found its text, and in how many not; over all starts of the run. */
  readonly rewrites: ReadonlyArray<RewriteCount & { readonly component: string }>
  /** The first errors, each once: the first rollout that failed with it, and how many did. */
  readonly failures: ReadonlyArray<RunFailure>
  /** The parts of the run that died during this start and were started again. */
  readonly deaths: ReadonlyArray<Deaths>
}

/** How many errors are told of. */
export const failuresShown = 5

/** What of a summary its run knows, and by what the rest is read from the store. */
export interface SummaryFacts extends
  Pick<
    Summary,
    | "isSearch"
    | "deaths"
    | "runState"
    | "stoppedReason"
    | "modelRef"
    | "simulated"
    | "storePath"
    | "statusPath"
    | "elapsedMs"
    | "broken"
  >
{
  readonly begun: BegunRun
  readonly config: Pick<RunConfig, "optimize" | "optimizer" | "rewrite" | "scoring" | "validate">
  /** What was found of the run when it was taken up. */
  readonly recovery: {
    readonly findings: Findings
    readonly checkpointSource: "primary" | "fallback" | null
    readonly crashed: boolean
  }
}

/** Reads the run's final figures from the store. */
export const summarize = ({ begun, broken, config, isSearch, recovery, ...facts }: SummaryFacts) =>
  Effect.gen(function*() {
    const { optimizer, rewrite: rules = [] } = config
    const runs = yield* RunStore
    const progress = yield* runs.progress(begun.runId)
    // A search runs many texts: means over all of them would say nothing.
    const scores = isSearch ? [] : yield* runs.scores(begun.runId)
    const rewards = isSearch ? [] : yield* runs.rewards(begun.runId)
    const byExample = (optimizer.samples ?? 1) === 1 ? [] : yield* runs.scoresByExample(begun.runId)
    const failures = yield* runs.failures(begun.runId, failuresShown)
    const findings = yield* RunFindings
    const found = yield* findings.of(begun.runId)
    const rewritten = rules.length === 0 ? [] : yield* findings.rewrites(begun.runId)
    const usage = facts.simulated ? null : yield* findings.usage(begun.runId)
    const summary: Summary = {
      ...facts,
      broken,
      isSearch,
      runId: begun.runId,
      resourcesVersion: begun.resourcesVersion,
      start: begun.start,
      total: progress.total,
      succeeded: progress.succeeded,
      failed: progress.failed,
      cancelled: progress.cancelled,
      scores: scores.map((row) => ({
        ...scoreSummary(row, byExample.find(({ mode }) => mode === row.mode), broken),
        unscored: row.scored < row.succeeded ? unscoredOf(config, row.mode) : null
      })),
      rewards: rewards.map(({ count, mean, mode, name }) => ({ mode, name, n: count, mean })),
      calls: progress.calls,
      inputTokens: progress.inputTokens,
      outputTokens: progress.outputTokens,
      cost: usage && costOf(usage, optimizer.prices),
      resume: {
        resumed: begun.start > 1,
        finishedBefore: begun.finishedBefore,
        requeued: begun.requeued,
        unknownCalls: begun.unknownCalls,
        crashed: recovery.crashed,
        resumedRollouts: begun.start === 1 ? 0 : yield* findings.takenUpAgain(begun.runId, begun.start),
        callsReplayed: found.callsReplayed,
        tokensSaved: found.tokensSaved,
        resourcesVersions: found.resourcesVersions,
        checkpointSource: recovery.checkpointSource
      },
      rewrites: rules.map(({ component }, rule) => {
        const { matched, missed } = rewritten.find((count) => count.rule === rule) ?? { matched: 0, missed: 0 }
        return { rule, component, matched, missed }
      }),
      failures
    }
    return summary
  })

/** Without `scoring` only the texts in `expected` are compared with: an example without one is often a slip of the pen. */
const unscoredOf = (
  { optimize, scoring, validate }: SummaryFacts["config"],
  mode: RolloutMode
): ScoreSummary["unscored"] => {
  const unscored = (mode === "train" ? optimize : validate).filter(({ expected }) => typeof expected !== "string")
  if (scoring !== undefined || unscored.length === 0) return null
  const isMissing = unscored.some((example) => !Object.hasOwn(example, "expected"))
  return { examples: unscored.length, lacking: `${isMissing ? "field" : "text in"} "expected"` }
}

/** Several rollouts of an example are no several examples: where there are, its mean is what counts. */
const scoreSummary = (
  row: ModeScore,
  byExample: ExampleScores | undefined,
  causes: ReadonlyArray<Broken>
): Omit<ScoreSummary, "unscored"> => {
  const { failed, mode, rollouts, succeeded } = row
  const broken = brokenIn(causes, mode)
  const counts = { mode, rollouts, succeeded, failed, broken }
  if (broken > 0) return { ...counts, n: byExample?.examples ?? row.scored + failed, mean: null, interval: null }
  if (byExample !== undefined) {
    const { examples: n, scoreSum } = byExample
    return { ...counts, n, mean: scoreSum / n, interval: interval(byExample, n) }
  }
  const n = countedIn(row)
  const mean = n === 0 ? null : row.scoreSum / n
  return { ...counts, n, mean, interval: mean === null ? null : interval(row, n) }
}

/** One JSON object with `schema_version` 1, and what else is to be told, harmless for a terminal. */
export const summaryJson = (summary: Summary, more: Readonly<Record<string, unknown>> = {}): string =>
  safeJson(
    {
      schema_version: 1,
      run_id: summary.runId,
      run_state: summary.runState,
      stopped_reason: summary.stoppedReason,
      model_ref: summary.modelRef,
      simulated: summary.simulated,
      ...(summary.simulated && { note: simulatedNote }),
      store_path: summary.storePath,
      status_path: summary.statusPath,
      resources_version: summary.resourcesVersion,
      start: summary.start,
      total_rollouts: summary.total,
      succeeded: summary.succeeded,
      failed: summary.failed,
      cancelled: summary.cancelled,
      scores: summary.scores.map(({ interval, ...score }) => ({
        ...score,
        interval: interval === null
          ? null
          : { confidence: 0.95, low: rounded(interval.low), high: rounded(interval.high), method: interval.method },
        mean: score.mean === null ? null : rounded(score.mean)
      })),
      rewards: summary.rewards.map((reward) => ({ ...reward, mean: rounded(reward.mean) })),
      calls: summary.calls,
      input_tokens: summary.inputTokens,
      output_tokens: summary.outputTokens,
      cost: summary.cost && costJson(summary.cost),
      elapsed_ms: Math.round(summary.elapsedMs),
      resume: {
        resumed: summary.resume.resumed,
        finished_before: summary.resume.finishedBefore,
        requeued: summary.resume.requeued,
        unknown_calls: summary.resume.unknownCalls,
        crash_detected: summary.resume.crashed,
        rollouts_resumed: summary.resume.resumedRollouts,
        calls_replayed: summary.resume.callsReplayed,
        tokens_saved: summary.resume.tokensSaved,
        resources_versions: summary.resume.resourcesVersions,
        checkpoint_source: summary.resume.checkpointSource
      },
      rewrites: summary.rewrites,
      failures: failuresJson(summary.failures),
      actor_deaths: summary.deaths,
      ...more
    },
    2
  )

export const failuresJson = (failures: ReadonlyArray<RunFailure>) =>
  failures.map(({ error, id, rollouts, stderrTail }) => ({
    rollout_id: id,
    error,
    rollouts,
    stderr_tail: stderrTail
  }))

export const costJson = ({ unmeteredCalls, unpriced, unpricedCalls, usd }: Cost) => ({
  usd: rounded(usd),
  unpriced,
  unpriced_calls: unpricedCalls,
  unmetered_calls: unmeteredCalls
})

export const simulatedNote = "the model is a simulation: these scores say nothing about a real model"
