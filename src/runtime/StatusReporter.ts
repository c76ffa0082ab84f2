/** Tells outside tools and the person at the terminal where the run stands: the status file and the runtime files. */
import * as Clock from "effect/Clock"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import type { RunEvents } from "../store/RunEvents.js"
import type { RunFindings } from "../store/RunFindings.js"
import { type BegunRun, type RunProgress, type RunState, RunStore } from "../store/RunStore.js"
import type { StoreError } from "../store/StoreError.js"
import { Announcer } from "./Announcer.js"
import { besideStore } from "./DurableFile.js"
import { progressLine, type ProgressStyle } from "./progressLine.js"
import * as RuntimeFiles from "./RuntimeFiles.js"
import * as StatusFile from "./StatusFile.js"

/** What does not change while the run is under way. */
export interface ReportedRun {
  readonly begun: BegunRun
  /** Its rollouts are those of many texts: their mean is the score of none of them. */
  readonly isSearch: boolean
  readonly modelRef: string
  readonly storePath: string
  readonly startedAtMs: number
  /** The same by the monotonic clock, from which the time that it took is told. */
  readonly startedAtNanos: bigint
  /** The progress in one line of so many columns, where rollouts alone do not tell it. */
  readonly line?: ((progress: RunProgress, elapsedMs: number, style: ProgressStyle) => string) | undefined
}

/** The run's state as the status file shows it. */
export interface ReportedState {
  readonly runState: RunState
  readonly stoppedReason: string | null
  /** So many rollouts are broken that there is no score. */
  readonly isVoid?: boolean
}

const tickMs = 250
const changedEveryMs = 1_000
const unchangedEveryMs = 5_000

export class StatusReporter extends Context.Tag("tau/runtime/StatusReporter")<StatusReporter, {
  /** Writes the files and shows the progress until interrupted. */
  readonly report: (run: ReportedRun) => Effect.Effect<never, StoreError>
  /** The first or the last word: writes and shows where the run stands now. */
  readonly publish: (run: ReportedRun, as: ReportedState) => Effect.Effect<void, StoreError>
  /** Brings the files in `runtime/` up to date with the store: what has just started or ended is in it. */
  readonly followRuns: (storePath: string) => Effect.Effect<void>
}>() {
  static readonly layer = Layer.effect(
    StatusReporter,
    Effect.gen(function*() {
      const announcer = yield* Announcer
      const runs = yield* RunStore
      const context = yield* Effect.context<RunEvents | RunFindings>()
      let isWarned = false
      const warnOnce = ({ message }: { readonly message: string }) => {
        if (isWarned) return Effect.void
        isWarned = true
        return announcer.say(`${message}; the run goes on`)
      }

      const write = (run: ReportedRun, progress: RunProgress, as: ReportedState) =>
        Effect.flatMap(
          Clock.currentTimeMillis,
          (nowMs) =>
            besideStore(
              run.storePath,
              StatusFile.write(StatusFile.statusPathOf(run.storePath), statusOf(run, progress, as, nowMs))
            )
        ).pipe(
          Effect.zipRight(Effect.provide(RuntimeFiles.followState(run.storePath), context)),
          Effect.catchAll(warnOnce)
        )

      let shown = ""
      const show = (run: ReportedRun, progress: RunProgress) =>
        Effect.flatMap(Clock.currentTimeNanos, (nowNanos) => {
          const elapsedMs = Number(nowNanos - run.startedAtNanos) / 1e6
          const line = (run.line ?? progressLine)(progress, elapsedMs, announcer)
          // The last word may be what the line before it said already; below one another the two are no news.
          if (line === shown && !announcer.redraws) return Effect.void
          shown = line
          return announcer.show(line)
        })

      return StatusReporter.of({
        report: (run) =>
          Effect.gen(function*() {
            const isShowDue = changes()
            const isWriteDue = changes()
            while (true) {
              const progress = yield* runs.progress(run.begun.runId)
              const nowMs = Number(yield* Clock.currentTimeNanos) / 1e6
              const text = JSON.stringify(progress)
              if (announcer.redraws || isShowDue(text, nowMs, unchangedEveryMs, Number.POSITIVE_INFINITY)) {
                yield* show(run, progress)
              }
              if (isWriteDue(text, nowMs, changedEveryMs, unchangedEveryMs)) {
                const runState = progress.desired === "pause" ? "paused" : "running"
                yield* write(run, progress, { runState, stoppedReason: null })
              }
              yield* Effect.sleep(tickMs)
            }
          }),
        publish: (run, as) =>
          Effect.gen(function*() {
            const progress = yield* runs.progress(run.begun.runId)
            if (as.runState !== "running") yield* show(run, progress)
            yield* write(run, progress, as)
          }),
        followRuns: (storePath) => Effect.catchAll(Effect.provide(RuntimeFiles.follow(storePath), context), warnOnce)
      })
    })
  )
}

/** Whether it is time: at once for the first value, then at the given pace for a new value and for the same one. */
const changes = () => {
  let last: { readonly text: string; readonly atMs: number } | null = null
  return (text: string, nowMs: number, changedMs: number, unchangedMs: number) => {
    if (last !== null && nowMs - last.atMs < (last.text === text ? unchangedMs : changedMs)) return false
    last = { text, atMs: nowMs }
    return true
  }
}

const statusOf = (
  { begun, isSearch, modelRef, startedAtMs, storePath }: ReportedRun,
  progress: RunProgress,
  { isVoid = false, runState, stoppedReason }: ReportedState,
  nowMs: number
): StatusFile.Status => ({
  schema_version: 1,
  updated_unix_ms: nowMs,
  run_state: runState,
  model_ref: modelRef,
  store_path: storePath,
  total_rollouts: progress.total,
  succeeded: progress.succeeded,
  failed: progress.failed,
  cancelled: progress.cancelled,
  active: progress.active,
  mean_score: isVoid || isSearch ? null : progress.meanScore,
  calls: progress.calls,
  input_tokens: progress.inputTokens,
  output_tokens: progress.outputTokens,
  run_id: begun.runId,
  start: begun.start,
  resumed: begun.start > 1,
  finished_before: begun.finishedBefore,
  requeued: begun.requeued,
  unknown_calls: begun.unknownCalls,
  pid: process.pid,
  started_unix_ms: startedAtMs,
  stopped_reason: stoppedReason
})
