/**
 * A whole run: takes the store's run lock, makes or resumes the run, keeps its workers alive until every rollout is
 * finished, and leaves a store that says how it ended and that the same command resumes.
 */
import * as Cause from "effect/Cause"
import * as Clock from "effect/Clock"
import * as DateTime from "effect/DateTime"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Option from "effect/Option"
import { hostname } from "node:os"
import { dirname } from "node:path"
import type { AttemptId, RunId } from "../domain/Ids.js"
import type { RunConfig } from "../domain/RunConfig.js"
import type { SearchFailed } from "../domain/SearchFailed.js"
import type { Broken } from "../store/brokenRollouts.js"
import * as OwnerLock from "../store/OwnerLock.js"
import { RunFindings } from "../store/RunFindings.js"
import { RunStanding, type Standing } from "../store/RunStanding.js"
import { type BegunRun, RunStore } from "../store/RunStore.js"
import type { StoreError } from "../store/StoreError.js"
import { ActorTree } from "./ActorTree.js"
import { Announcer } from "./Announcer.js"
import { checkpointsOf } from "./Checkpoints.js"
import { type Closing, closingOf } from "./Closing.js"
import { followLifecycle, writeReport } from "./ControlFiles.js"
import { drainedOnInterrupt } from "./Drain.js"
import type { Ending } from "./Ending.js"
import { recoverByRestart } from "./Recovery.js"
import { begunLines, outageLines, stoppedLine, timedOutLine } from "./runLines.js"
import { removeLeftovers } from "./RuntimeFiles.js"
import { runTree } from "./RunTree.js"
import type { SearchPart } from "./SearchPart.js"
import { statusPathOf } from "./StatusFile.js"
import { type ReportedRun, StatusReporter } from "./StatusReporter.js"
import { summarize, type Summary } from "./Summary.js"
import type { ChildKeepsDying, Deaths } from "./Supervisor.js"

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
  /** How long attempts under way may go on after the run was told to stop. */
  readonly drainMs: number
  /** Null runs every example once. */
  readonly search: SearchPart | null
  /** Tells the result. The run counts as ended only once this is done. */
  readonly report: (summary: Summary) => Effect.Effect<void>
}

/**
 * Runs to the end and sums up. Fails with `StoreBusy` when another run is live on the store, with `ChildKeepsDying` or
 * `StoreError` when it cannot go on, and, its result told, with `SearchFailed` when its search must not. Interruption lets attempts under way finish for a while, then hands
 * them back; when nothing is left to do after that, the run has ended like any other. However it ends, the store and the
 * status file say so.
 */
export const run = (options: RunOptions) =>
  Effect.scoped(Effect.uninterruptibleMask((restore) =>
    Effect.gen(function*() {
      const announcer = yield* Announcer
      const reporter = yield* StatusReporter
      const runs = yield* RunStore
      const { config, search, storePath } = options
      const taken = yield* takenUp(options)
      const { begun, checkpoints, reported } = taken
      const { ended, tree } = yield* runTree({ begun, checkpoints, config, reported, search })
      const actorTree = yield* ActorTree
      yield* actorTree.grow({ runId: begun.runId, actors: tree.report })
      const stop = drainedOnInterrupt(ended, tree, options.drainMs)

      const worked = yield* Effect.forEach(begunLines(begun, search?.title ?? null), announcer.say).pipe(
        Effect.zipRight(reporter.publish(reported, { runState: "running", stoppedReason: null })),
        Effect.zipRight(stop.run),
        restore,
        Effect.exit
      )
      const exit = yield* endingOf(begun, worked, search !== null)
      const broken = search === null && Exit.isSuccess(exit)
        ? yield* Effect.flatMap(RunFindings, ({ outage }) => outage(begun.runId))
        : []
      const settle = settled(taken, exit, broken.length > 0)
      const end = ({ stoppedReason, storedState }: Closing) =>
        Effect.zipRight(runs.end(begun.runId, storedState, stoppedReason), reporter.followRuns(storePath))
      const conclude = Effect.gen(function*() {
        const closing = yield* settle
        const summary = yield* summaryOf(options, taken, tree.deaths(), closing, broken)
        if (Exit.isSuccess(exit)) {
          if (exit.value === "timed-out") yield* announcer.say(timedOutLine(summary, config.completion_timeout_secs))
          if (exit.value === "finished" && broken.length > 0) {
            yield* Effect.forEach(outageLines(broken, summary.total), announcer.say)
          }
        }
        yield* announcer.settle
        yield* options.report(summary)
        // Last of all: killed before it, the same command resumes a run with nothing left to do and tells its result; killed
        // after it, the result has been told. The other way round a kill would make it pay for everything twice.
        yield* end(closing).pipe(
          Effect.catchAll(({ message }) => announcer.say(`the run's end could not be recorded: ${message}`))
        )
        return summary
      })
      if (Exit.isSuccess(exit)) return yield* conclude
      // What stopped the run is the news, not that its end could not be written as well: the next start finds out.
      yield* (isSearchFailed(exit.cause) ? Effect.asVoid(conclude) : Effect.flatMap(settle, end)).pipe(
        Effect.catchAll(({ message }) => announcer.say(message))
      )
      if (Cause.isInterruptedOnly(exit.cause)) yield* announcer.say(yield* stopped(begun.runId, stop.underWay()))
      return yield* Effect.failCause(exit.cause)
    })
  ))

/** The run, made or found again, under the store's run lock; its files say so. */
const takenUp = (options: RunOptions) =>
  Effect.gen(function*() {
    const announcer = yield* Announcer
    const reporter = yield* StatusReporter
    const runs = yield* RunStore
    const { config, configPath, modelRef, search, storePath } = options
    const startedAtMs = yield* Clock.currentTimeMillis
    const startedAtNanos = yield* Clock.currentTimeNanos
    yield* OwnerLock.hold(storePath, yield* holderNote(configPath))
    yield* removeLeftovers(storePath)
    const before = yield* standingNow
    const begun = yield* runs.begin({
      configHash: options.configHash,
      config,
      configPath,
      modelRef,
      resources: config.resources ?? null,
      rollouts: search === null ? rolloutsOf(config) : [],
      attemptsMax: config.max_attempts,
      command: options.command
    })
    const recovery = yield* reportRecovery(options, before, begun)
    yield* standingNow.pipe(
      Effect.flatMap(({ lifecycleState }) => followLifecycle(dirname(storePath), lifecycleState)),
      Effect.catchTag("FileError", ({ message }) => announcer.say(`${message}; the run goes on`))
    )
    const checkpoints = yield* checkpointsOf(storePath, begun, search === null ? evaluated : search.state)
    yield* checkpoints.save
    yield* reporter.followRuns(storePath)
    if (search !== null && begun.start > 1) yield* search.recall(begun.runId)
    const reported: ReportedRun = {
      begun,
      isSearch: search !== null,
      modelRef,
      storePath,
      startedAtMs,
      startedAtNanos,
      line: search?.line
    }
    return { begun, checkpoints, recovery, reported }
  })

type TakenUp = Effect.Effect.Success<ReturnType<typeof takenUp>>

/** Leaves checkpoint and status file as they are to stay. */
const settled = (
  { begun, checkpoints, reported }: TakenUp,
  exit: Exit.Exit<Ending, ChildKeepsDying | SearchFailed | StoreError>,
  wasOutage: boolean
) =>
  Effect.gen(function*() {
    const reporter = yield* StatusReporter
    const { succeeded } = yield* Effect.flatMap(RunStore, (runs) => runs.progress(begun.runId))
    const closing = closingOf(exit, succeeded, wasOutage)
    yield* checkpoints.savePromoted
    yield* checkpoints.save
    const isVoid = wasOutage || (yield* Effect.flatMap(RunFindings, ({ outage }) => outage(begun.runId))).length > 0
    yield* reporter.publish(reported, { ...closing, isVoid })
    return closing
  })

const summaryOf = (
  { config, modelRef, search, simulated, storePath }: RunOptions,
  { begun, recovery, reported }: TakenUp,
  deaths: ReadonlyArray<Deaths>,
  { runState, stoppedReason }: Closing,
  broken: ReadonlyArray<Broken>
) =>
  Effect.flatMap(Clock.currentTimeNanos, (now) =>
    summarize({
      begun,
      broken,
      config,
      recovery,
      deaths,
      runState,
      stoppedReason,
      modelRef,
      simulated,
      storePath,
      statusPath: statusPathOf(storePath),
      isSearch: search !== null,
      elapsedMs: Number(now - reported.startedAtNanos) / 1e6
    }))

const standingNow = Effect.flatMap(RunStanding, ({ now }) => now)

/**
 * What is found of the run when it is taken up; and, when its last process died, the report that `resume` would write. The
 * store is enough to go on, so that nothing here stops the run.
 */
const reportRecovery = (
  { configPath, principal, storePath }: RunOptions,
  before: Standing,
  begun: BegunRun
) =>
  Effect.gen(function*() {
    const announcer = yield* Announcer
    const findings = yield* Effect.flatMap(RunFindings, ({ of }) => of(begun.runId))
    if (!findings.previousStartCrashed) return { findings, checkpointSource: null, crashed: false }
    const stateDir = dirname(storePath)
    const state = before.run?.id === begun.runId ? before.run.statusState : "running"
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

/** A run that was told to stop and finished its last rollout meanwhile has nothing left to resume: it has ended. */
const endingOf = (
  begun: BegunRun,
  worked: Exit.Exit<Ending, ChildKeepsDying | SearchFailed | StoreError>,
  isSearch: boolean
) =>
  Effect.gen(function*() {
    // Of a search nobody can tell from its rollouts.
    if (Exit.isSuccess(worked) || isSearch || !Cause.isInterruptedOnly(worked.cause)) return worked
    const runs = yield* RunStore
    const { isFinished } = yield* Effect.orElseSucceed(runs.outlook(begun.runId), () => ({ isFinished: false }))
    return isFinished ? Exit.succeed<Ending>("finished") : worked
  })

/** The run itself is well then: its search has come to where it must not go on, and what it came to until there is told. */
const isSearchFailed = (cause: Cause.Cause<ChildKeepsDying | SearchFailed | StoreError>): boolean =>
  Option.exists(Cause.failureOption(cause), ({ _tag }) => _tag === "SearchFailed")

/** Nothing of what is asked here may keep a run that was told to stop from saying that it has. */
const stopped = (runId: RunId, underWay: ReadonlyArray<AttemptId>) =>
  Effect.gen(function*() {
    const progress = yield* Effect.flatMap(RunStore, (runs) => runs.progress(runId))
    const fates = yield* Effect.flatMap(RunFindings, ({ fatesOf }) => fatesOf(underWay))
    return stoppedLine(progress, fates, underWay.length)
  }).pipe(Effect.orElseSucceed(() => "stopped; run the same command to resume"))

const evaluated = () => ({ algorithm: "evaluate" })

const rolloutsOf = ({ optimize, optimizer, validate }: RunConfig) => {
  const samples = Array.from({ length: optimizer.samples ?? 1 })
  return [
    ...optimize.flatMap((input) => samples.map(() => ({ mode: "train" as const, input }))),
    ...validate.flatMap((input) => samples.map(() => ({ mode: "val" as const, input })))
  ]
}

const holderNote = (configPath: string) =>
  Effect.map(
    DateTime.now,
    (now) => `pid ${process.pid} on ${hostname()} since ${DateTime.formatIso(now)}, config ${configPath}`
  )
