/**
 * A whole run: takes the store's run lock, makes or resumes the run, keeps its workers alive until every rollout is
 * finished, and leaves a store that says how it ended and that the same command resumes.
 */
import * as Cause from "effect/Cause"
import * as Clock from "effect/Clock"
import * as DateTime from "effect/DateTime"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import { hostname } from "node:os"
import { dirname } from "node:path"
import type { RunConfig } from "../domain/RunConfig.js"
import * as OwnerLock from "../store/OwnerLock.js"
import { RunFindings } from "../store/RunFindings.js"
import { RunStanding, type Standing } from "../store/RunStanding.js"
import { type BegunRun, type RunState, RunStore } from "../store/RunStore.js"
import { Writer } from "../store/Writer.js"
import { Announcer } from "./Announcer.js"
import { type Checkpoints, checkpointsOf } from "./Checkpoints.js"
import { writeReport } from "./ControlFiles.js"
import { awaitEnding, type Ending } from "./Ending.js"
import { inOwnFiber } from "./inOwnFiber.js"
import { Leases } from "./Leases.js"
import { recoverByRestart } from "./Recovery.js"
import { rescuer } from "./Rescuer.js"
import { runner } from "./Runner.js"
import { statusPathOf } from "./StatusFile.js"
import { type ReportedRun, StatusReporter } from "./StatusReporter.js"
import { summarize, type Summary } from "./Summary.js"
import { supervise } from "./Supervisor.js"

export interface RunOptions {
  readonly config: RunConfig
  /** Runs of one hash continue each other: it covers what decides over the results, and nothing else. */
  readonly configHash: string
  readonly configPath: string
  /** `provider/model`. */
  readonly modelRef: string
  readonly simulated: boolean
  readonly storePath: string
  /** What a person types to start the run again, from anywhere; null where there is no such command. */
  readonly command: string | null
  /** Who runs it, for the report of a recovery. */
  readonly principal: string
  /** Tells the result. The run counts as ended only once this is done. */
  readonly report: (summary: Summary) => Effect.Effect<void>
}

/**
 * Runs to the end and sums up. Fails with `StoreBusy` when another run is live on the store, and with
 * `ChildKeepsDying` or `StoreError` when it cannot go on. Interruption hands back what is under way. However it ends, the
 * store and the status file say so.
 */
export const run = (options: RunOptions) =>
  Effect.scoped(Effect.uninterruptibleMask((restore) =>
    Effect.gen(function*() {
      const announcer = yield* Announcer
      const reporter = yield* StatusReporter
      const runs = yield* RunStore
      const { command, config, configHash, configPath, modelRef, principal, simulated, storePath } = options
      const startedAtMs = yield* Clock.currentTimeMillis
      yield* OwnerLock.hold(storePath, yield* holderNote(configPath))
      const before = yield* Effect.flatMap(RunStanding, ({ now }) => now)
      const begun = yield* runs.begin({
        configHash,
        config,
        configPath,
        modelRef,
        resources: config.resources ?? null,
        rollouts: rolloutsOf(config),
        attemptsMax: config.max_attempts,
        command
      })
      const recovery = yield* reportRecovery({ before, begun, configPath, principal, storePath })
      const checkpoints = yield* checkpointsOf(storePath, begun)
      yield* checkpoints.save
      yield* reporter.followRuns(storePath)
      const reported: ReportedRun = { begun, modelRef, storePath, startedAtMs }

      const exit = yield* announce(begun).pipe(
        Effect.zipRight(reporter.publish(reported, { runState: "running", stoppedReason: null })),
        Effect.zipRight(inOwnFiber(untilEnded(begun, config, reported, checkpoints))),
        restore,
        Effect.exit
      )
      /** Leaves checkpoint and status file as they are to stay. */
      const settle = Effect.gen(function*() {
        const { succeeded } = yield* runs.progress(begun.runId)
        const close = closingOf(exit, succeeded)
        yield* checkpoints.savePromoted
        yield* checkpoints.save
        yield* reporter.publish(reported, close)
        return close
      })
      const end = ({ stoppedReason, storedState }: Closing) =>
        Effect.zipRight(runs.end(begun.runId, storedState, stoppedReason), reporter.followRuns(storePath))
      if (Exit.isFailure(exit)) {
        // What stopped the run is the news, not that its end could not be written as well: the next start finds out.
        yield* Effect.flatMap(settle, end).pipe(Effect.catchAll(({ message }) => announcer.say(message)))
        if (Cause.isInterruptedOnly(exit.cause)) yield* announcer.say("stopped; run the same command to resume")
        return yield* Effect.failCause(exit.cause)
      }
      const close = yield* settle
      const summary: Summary = yield* summarize({
        begun,
        recovery,
        runState: close.runState,
        stoppedReason: close.stoppedReason,
        modelRef,
        simulated,
        storePath,
        statusPath: statusPathOf(storePath),
        elapsedMs: (yield* Clock.currentTimeMillis) - startedAtMs
      })
      if (exit.value === "timed-out") yield* announcer.say(timedOutLine(summary, config.completion_timeout_secs))
      yield* options.report(summary)
      // Last of all: killed before it, the same command resumes a run with nothing left to do and tells its result; killed
      // after it, the result has been told. The other way round a kill would make it pay for everything twice.
      yield* end(close).pipe(
        Effect.catchAll(({ message }) => announcer.say(`the run's end could not be recorded: ${message}`))
      )
      return summary
    })
  ))

/**
 * What is found of the run when it is taken up; and, when its last process died, the report that `resume` would write. The
 * store is enough to go on, so that nothing here stops the run.
 */
const reportRecovery = (
  { before, begun, configPath, principal, storePath }: {
    readonly before: Standing
    readonly begun: BegunRun
    readonly configPath: string
    readonly principal: string
    readonly storePath: string
  }
) =>
  Effect.gen(function*() {
    const announcer = yield* Announcer
    const findings = yield* Effect.flatMap(RunFindings, ({ of }) => of(begun.runId))
    if (!findings.previousStartCrashed) return { findings, checkpointSource: null, crashed: false }
    const stateDir = dirname(storePath)
    const state = before.run?.id === begun.runId ? before.run.state : "running"
    const report = yield* recoverByRestart({
      stateDir,
      principal,
      priorLifecycle: before.lifecycleState,
      run: { id: begun.runId, state, configPath, hasCrashed: true, requeued: begun.requeued, findings }
    })
    yield* writeReport(stateDir, report).pipe(
      Effect.catchAll(({ message }) => announcer.say(`no recovery report: ${message}`))
    )
    return { findings, checkpointSource: report.checkpoint_source, crashed: true }
  })

/** The run as a tree of supervised children beside the one question that ends it. */
const untilEnded = (begun: BegunRun, config: RunConfig, reported: ReportedRun, checkpoints: Checkpoints) =>
  Effect.gen(function*() {
    const leases = yield* Leases
    const reporter = yield* StatusReporter
    const writer = yield* Writer
    const { runId } = begun
    const work = runner({
      runId,
      pollIntervalMs: config.poll_interval_ms,
      attemptTimeoutSecs: config.attempt_timeout_secs
    })
    // More workers than rollouts would only wait.
    const workers = Math.max(1, Math.min(config.worker_count, begun.total - begun.finishedBefore))
    const children = supervise([
      { name: "heartbeat", run: leases.heartbeat },
      { name: "rescuer", run: rescuer(runId) },
      { name: "checkpoints", run: checkpoints.followPromotions },
      { name: "status reporter", run: reporter.report(reported) },
      ...Array.from({ length: workers }, (_, n) => ({ name: `runner ${n + 1}`, run: work }))
    ])
    return yield* awaitEnding({
      runId,
      completionPollIntervalMs: config.completion_poll_interval_ms,
      completionTimeoutSecs: config.completion_timeout_secs
    }).pipe(
      Effect.raceFirst(children),
      Effect.raceFirst(writer.died)
    )
  })

const rolloutsOf = ({ optimize, validate }: RunConfig) => [
  ...optimize.map((input) => ({ mode: "train" as const, input })),
  ...validate.map((input) => ({ mode: "val" as const, input }))
]

interface Closing {
  /** What the status file and the summary say. */
  readonly runState: RunState
  /** What the store says: `running` and `paused` are resumed by the same command. */
  readonly storedState: RunState
  readonly stoppedReason: string | null
}

const closingOf = (exit: Exit.Exit<Ending, unknown>, succeeded: number): Closing => {
  if (Exit.isFailure(exit)) {
    return Cause.isInterruptedOnly(exit.cause)
      ? { runState: "paused", storedState: "paused", stoppedReason: "signal" }
      : { runState: "failed", storedState: "running", stoppedReason: "error" }
  }
  if (exit.value === "timed-out") {
    return { runState: "failed", storedState: "running", stoppedReason: "completion_timeout" }
  }
  if (exit.value === "cancelled") {
    return { runState: "cancelled", storedState: "cancelled", stoppedReason: "cancelled" }
  }
  const runState = succeeded > 0 ? "completed" : "failed"
  return { runState, storedState: runState, stoppedReason: null }
}

const holderNote = (configPath: string) =>
  Effect.map(
    DateTime.now,
    (now) => `pid ${process.pid} on ${hostname()} since ${DateTime.formatIso(now)}, config ${configPath}`
  )

const announce = ({ finishedBefore, otherUnfinished, requeued, runId, start, total, unknownCalls }: BegunRun) =>
  Effect.gen(function*() {
    const announcer = yield* Announcer
    yield* announcer.say(
      start === 1
        ? `new run ${runId}: ${total} rollouts`
        : `resuming run ${runId}: ${finishedBefore} of ${total} rollouts already finished, ` +
          `${requeued} put back in the queue that a dead process held, ${unknownCalls} calls ended unknown`
    )
    for (const other of otherUnfinished) {
      yield* announcer.say(
        `also unfinished in this store: ${other.id} (${other.configPath}); its own command resumes it`
      )
    }
  })

const timedOutLine = ({ cancelled, failed, succeeded, total }: Summary, secs: number) =>
  `timed out after ${secs} s with ${succeeded + failed + cancelled} of ${total} rollouts finished; ` +
  "run the same command to resume, or raise completion_timeout_secs"
