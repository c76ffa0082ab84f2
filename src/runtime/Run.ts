/**
 * A whole run: takes the store's run lock, makes or resumes the run, keeps its workers alive until every rollout is
 * finished, and leaves a store that says how it ended and that the same command resumes.
 */
import * as Cause from "effect/Cause"
import * as Clock from "effect/Clock"
import * as DateTime from "effect/DateTime"
import * as Deferred from "effect/Deferred"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import { hostname } from "node:os"
import { dirname } from "node:path"
import { counted } from "../domain/Figures.js"
import type { RunId } from "../domain/Ids.js"
import { brokenRemedy, brokenText, isNoEvaluation } from "../domain/Noise.js"
import type { RunConfig } from "../domain/RunConfig.js"
import type { SearchFailed } from "../domain/SearchFailed.js"
import * as OwnerLock from "../store/OwnerLock.js"
import { RunFindings } from "../store/RunFindings.js"
import { RunStanding, type Standing } from "../store/RunStanding.js"
import { type BegunRun, type RunState, RunStore } from "../store/RunStore.js"
import type { StoreError } from "../store/StoreError.js"
import { Writer } from "../store/Writer.js"
import { Self } from "./Actor.js"
import { ActorTree } from "./ActorTree.js"
import { Announcer } from "./Announcer.js"
import { type Checkpoints, checkpointsOf } from "./Checkpoints.js"
import { followLifecycle, writeReport } from "./ControlFiles.js"
import { drainedOnInterrupt, type Stop } from "./Drain.js"
import { awaitEnding, type Ending } from "./Ending.js"
import { Leases } from "./Leases.js"
import { recoverByRestart } from "./Recovery.js"
import { rescuer } from "./Rescuer.js"
import { runner } from "./Runner.js"
import { statusPathOf } from "./StatusFile.js"
import { type ReportedRun, StatusReporter } from "./StatusReporter.js"
import { summarize, type Summary } from "./Summary.js"
import { type ChildKeepsDying, type Intensity, supervision } from "./Supervisor.js"

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

/** A search for better resources, as far as the run that it is part of has to know. */
export interface SearchPart {
  /** `rgepa, at most 600 rollouts`. */
  readonly title: string
  /** Before it goes on where earlier starts left it: finds out where that was, so that the first line tells it. */
  readonly recall: (runId: RunId) => Effect.Effect<void>
  /** Searches to the end, enqueuing rollouts as it goes. Begun anew, it goes on where it stood. */
  readonly run: (place: SearchPlace) => Effect.Effect<void, SearchFailed | StoreError>
  /** What a checkpoint says of it. */
  readonly state: () => Readonly<Record<string, unknown>>
  readonly line: NonNullable<ReportedRun["line"]>
}

export interface SearchPlace {
  readonly begun: BegunRun
  /** Something has come of the search: whoever waits for it need not give up. */
  readonly onProgress: () => void
  /** There is work for the runners. */
  readonly onEnqueued: () => void
}

/**
 * Runs to the end and sums up. Fails with `StoreBusy` when another run is live on the store, and with
 * `ChildKeepsDying` or `StoreError` when it cannot go on. Interruption lets attempts under way finish for a while, then hands
 * them back; when nothing is left to do after that, the run has ended like any other. However it ends, the store and the
 * status file say so.
 */
export const run = (options: RunOptions) =>
  Effect.scoped(Effect.uninterruptibleMask((restore) =>
    Effect.gen(function*() {
      const announcer = yield* Announcer
      const reporter = yield* StatusReporter
      const runs = yield* RunStore
      const { command, config, configHash, configPath, drainMs, modelRef, principal, search, simulated, storePath } =
        options
      const startedAtMs = yield* Clock.currentTimeMillis
      const startedAtNanos = yield* Clock.currentTimeNanos
      yield* OwnerLock.hold(storePath, yield* holderNote(configPath))
      const before = yield* Effect.flatMap(RunStanding, ({ now }) => now)
      const begun = yield* runs.begin({
        configHash,
        config,
        configPath,
        modelRef,
        resources: config.resources ?? null,
        rollouts: search === null ? rolloutsOf(config) : [],
        attemptsMax: config.max_attempts,
        command
      })
      const recovery = yield* reportRecovery({ before, begun, configPath, principal, storePath })
      yield* Effect.flatMap(RunStanding, ({ now }) => now).pipe(
        Effect.flatMap(({ lifecycleState }) => followLifecycle(dirname(storePath), lifecycleState)),
        Effect.catchTag("FileError", ({ message }) => announcer.say(`${message}; the run goes on`))
      )
      const checkpoints = yield* checkpointsOf(storePath, begun, search === null ? evaluated : search.state)
      yield* checkpoints.save
      yield* reporter.followRuns(storePath)
      if (search !== null && begun.start > 1) yield* search.recall(begun.runId)
      const reported: ReportedRun = { begun, modelRef, storePath, startedAtMs, startedAtNanos, line: search?.line }

      const { ended, tree } = yield* treeOf({ begun, checkpoints, config, reported, search })
      const actorTree = yield* ActorTree
      yield* actorTree.grow({ runId: begun.runId, actors: tree.report })
      const stop = drainedOnInterrupt(ended, tree, drainMs)

      const worked = yield* announce(begun, search).pipe(
        Effect.zipRight(reporter.publish(reported, { runState: "running", stoppedReason: null })),
        Effect.zipRight(stop.run),
        restore,
        Effect.exit
      )
      const exit = yield* endingOf(begun, worked, search !== null)
      const outage = search === null && Exit.isSuccess(exit) && exit.value === "finished"
        ? yield* outageLine(begun.runId)
        : null
      /** Leaves checkpoint and status file as they are to stay. */
      const settle = Effect.gen(function*() {
        const { succeeded } = yield* runs.progress(begun.runId)
        const close = closingOf(exit, succeeded, outage !== null)
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
        if (Cause.isInterruptedOnly(exit.cause)) yield* announcer.say(yield* stoppedLine(begun, stop))
        return yield* Effect.failCause(exit.cause)
      }
      const close = yield* settle
      const summary: Summary = yield* summarize({
        begun,
        config,
        recovery,
        deaths: tree.deaths(),
        runState: close.runState,
        stoppedReason: close.stoppedReason,
        modelRef,
        simulated,
        storePath,
        statusPath: statusPathOf(storePath),
        rules: config.rewrite ?? [],
        isSearch: search !== null,
        samples: config.optimizer.samples ?? 1,
        elapsedMs: Number((yield* Clock.currentTimeNanos) - startedAtNanos) / 1e6
      })
      if (exit.value === "timed-out") yield* announcer.say(timedOutLine(summary, config.completion_timeout_secs))
      if (outage !== null) yield* announcer.say(outage)
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

/** What an evaluation lacks whose model was away, or whose scorer could not judge; null where its scores say something. */
const outageLine = (runId: RunId) =>
  Effect.gen(function*() {
    const broken = yield* Effect.flatMap(RunFindings, (findings) => findings.broken(runId))
    const [first] = broken
    if (first === undefined) return null
    const modes = (yield* Effect.flatMap(RunStore, (runs) => runs.scores(runId))).map(({ mode, rollouts }) => ({
      rollouts,
      broken: broken.reduce((sum, cause) => cause.mode === mode ? sum + cause.rollouts : sum, 0)
    }))
    if (!isNoEvaluation(modes)) return null
    const total = modes.reduce((sum, { rollouts }) => sum + rollouts, 0)
    return `${brokenText(broken, total, first.error)}: their scores say nothing; ${brokenRemedy(broken)}`
  })

/** Nothing of what is asked here may keep a run that was told to stop from saying that it has. */
const stoppedLine = (begun: BegunRun, stop: Stop) =>
  Effect.gen(function*() {
    const runs = yield* RunStore
    const { finished, total } = yield* runs.progress(begun.runId)
    return `stopped with ${finished} of ${counted(total, "rollout")} finished; ${fateOf(stop)}; `
      + "run the same command to resume"
  }).pipe(Effect.orElseSucceed(() => "stopped; run the same command to resume"))

const fateOf = (stop: Stop): string => {
  const [underWay, back] = [stop.underWay(), stop.handedBack()]
  if (underWay === 0 && !back) return "nothing was under way"
  if (back === null) return `${underWay} under way finished or were handed back, uncharged`
  const finished = Math.max(0, underWay - back)
  if (back === 0) return `${finished} under way finished`
  return finished === 0
    ? `${back} under way handed back, uncharged`
    : `${finished} under way finished, ${back} handed back, uncharged`
}

/** The writer thread cannot be started again in this process: what was handed to it is lost, and only a new start settles that. */
const never: Intensity = { restartsMax: 0, within: Duration.seconds(10), pause: Duration.zero }

/** A store that cannot be read is asked for a while, and each try takes a second: dying thrice is enough to know. */
const watchful: Intensity = { restartsMax: 3, within: Duration.minutes(1), pause: Duration.millis(500) }

/** The run as a tree of supervised actors, and the one question that ends it, which the control watcher answers. */
const treeOf = (
  { begun, checkpoints, config, reported, search }: {
    readonly begun: BegunRun
    readonly checkpoints: Checkpoints
    readonly config: RunConfig
    readonly reported: ReportedRun
    readonly search: SearchPart | null
  }
) =>
  Effect.gen(function*() {
    const leases = yield* Leases
    const reporter = yield* StatusReporter
    const runs = yield* RunStore
    const writer = yield* Writer
    const { runId } = begun
    const work = runner({
      runId,
      pollIntervalMs: config.poll_interval_ms,
      attemptTimeoutSecs: config.attempt_timeout_secs
    })
    // More workers than rollouts would only wait.
    const workers = search === null
      ? Math.max(1, Math.min(config.worker_count, begun.total - begun.finishedBefore))
      : config.worker_count
    const ending = yield* Deferred.make<Ending, SearchFailed>()
    const worked = { ms: 0 }
    let isOver = search === null
    const watcher = Effect.gen(function*() {
      const self = yield* Self
      const end = yield* awaitEnding({
        runId,
        completionPollIntervalMs: config.completion_poll_interval_ms,
        // A search is waited for from step to step, of which each may take as long as an attempt.
        completionTimeoutSecs: config.completion_timeout_secs + (search === null ? 0 : config.attempt_timeout_secs),
        worked,
        isOver: () => isOver,
        onDesired: (desired) => self.tell("runners", desired)
      })
      yield* Deferred.succeed(ending, end)
    })
    const optimizer = ({ run }: SearchPart) =>
      Effect.gen(function*() {
        const self = yield* Self
        yield* run({
          begun,
          onProgress: () => {
            worked.ms = 0
          },
          onEnqueued: () => self.tell("runners", "look")
        })
        isOver = true
      }).pipe(Effect.catchTag("SearchFailed", (failed) => Effect.asVoid(Deferred.fail(ending, failed))))
    // Started in this order and stopped in reverse: leases are renewed until the last runner has stopped.
    const tree = yield* supervision([
      { name: "writer", run: writer.died, intensity: never },
      { name: "heartbeat", run: leases.heartbeat },
      { name: "rescuer", run: rescuer(runId) },
      { name: "checkpoints", run: checkpoints.followPromotions },
      { name: "status reporter", run: reporter.report(reported) },
      { name: "control watcher", run: Effect.provideService(watcher, RunStore, runs), intensity: watchful },
      ...(search === null ? [] : [{ name: "optimizer", run: optimizer(search), intensity: watchful }]),
      ...Array.from({ length: workers }, (_, n) => ({ name: `runner ${n + 1}`, run: work, group: "runners" }))
    ])
    return { tree, ended: Effect.raceFirst(Deferred.await(ending), tree.run) }
  })

const evaluated = () => ({ algorithm: "evaluate" })

const rolloutsOf = ({ optimize, optimizer, validate }: RunConfig) => {
  const samples = Array.from({ length: optimizer.samples ?? 1 })
  return [
    ...optimize.flatMap((input) => samples.map(() => ({ mode: "train" as const, input }))),
    ...validate.flatMap((input) => samples.map(() => ({ mode: "val" as const, input })))
  ]
}

interface Closing {
  /** What the status file and the summary say. */
  readonly runState: RunState
  /** What the store says: `running` and `paused` are resumed by the same command. */
  readonly storedState: RunState
  readonly stoppedReason: string | null
}

const closingOf = (exit: Exit.Exit<Ending, unknown>, succeeded: number, wasOutage: boolean): Closing => {
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
  if (wasOutage) return { runState: "failed", storedState: "running", stoppedReason: "error" }
  const runState = succeeded > 0 ? "completed" : "failed"
  return { runState, storedState: runState, stoppedReason: null }
}

const holderNote = (configPath: string) =>
  Effect.map(
    DateTime.now,
    (now) => `pid ${process.pid} on ${hostname()} since ${DateTime.formatIso(now)}, config ${configPath}`
  )

const announce = (
  { finishedBefore, otherUnfinished, requeued, retried, runId, start, total, unknownCalls }: BegunRun,
  search: SearchPart | null
) =>
  Effect.gen(function*() {
    const announcer = yield* Announcer
    yield* announcer.say(
      start === 1
        ? `new run ${runId}: ${search === null ? counted(total, "rollout") : search.title}`
        : `resuming run ${runId}: ${finishedBefore} of ${counted(total, "rollout")} already finished, ` +
          (retried === 0 ? "" : `${retried} that failed put back in the queue, `) +
          `${requeued} put back in the queue that a dead process held, ${counted(unknownCalls, "call")} ended unknown`
    )
    for (const other of otherUnfinished) {
      yield* announcer.say(
        `also unfinished in this store: ${other.id} (${other.configPath}); its own command resumes it`
      )
    }
  })

const timedOutLine = ({ cancelled, failed, succeeded, total }: Summary, secs: number) =>
  `timed out after ${secs} s with ${succeeded + failed + cancelled} of ${counted(total, "rollout")} finished; ` +
  "run the same command to resume, or raise completion_timeout_secs"
