/** A run as a tree of supervised actors, and the one question that ends it, which the control watcher answers. */
import * as Deferred from "effect/Deferred"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import type { RunConfig } from "../domain/RunConfig.js"
import type { SearchFailed } from "../domain/SearchFailed.js"
import { type BegunRun, RunStore } from "../store/RunStore.js"
import { Writer } from "../store/Writer.js"
import { Self } from "./Actor.js"
import type { Checkpoints } from "./Checkpoints.js"
import { awaitEnding, type Ending } from "./Ending.js"
import { Leases } from "./Leases.js"
import { rescuer } from "./Rescuer.js"
import { runner } from "./Runner.js"
import type { SearchPart } from "./SearchPart.js"
import { type ReportedRun, StatusReporter } from "./StatusReporter.js"
import { type Intensity, supervision } from "./Supervisor.js"

export interface RunTreeOptions {
  readonly begun: BegunRun
  readonly checkpoints: Checkpoints
  readonly config: RunConfig
  readonly reported: ReportedRun
  /** Null runs every example once. */
  readonly search: SearchPart | null
}

/** The writer thread cannot be started again in this process: what was handed to it is lost, and only a new start settles that. */
const never: Intensity = { restartsMax: 0, within: Duration.seconds(10), pause: Duration.zero }

/** A store that cannot be read is asked for a while, and each try takes a second: dying thrice is enough to know. */
const watchful: Intensity = { restartsMax: 3, within: Duration.minutes(1), pause: Duration.millis(500) }

/** Nothing of it runs before `ended` does, which tells how the run ended. */
export const runTree = ({ begun, checkpoints, config, reported, search }: RunTreeOptions) =>
  Effect.gen(function*() {
    const leases = yield* Leases
    const reporter = yield* StatusReporter
    const runs = yield* RunStore
    const writer = yield* Writer
    const { runId } = begun
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
    const work = runner({
      runId,
      pollIntervalMs: config.poll_interval_ms,
      attemptTimeoutSecs: config.attempt_timeout_secs,
      attemptsMax: config.max_attempts
    })
    // Started in this order and stopped in reverse: leases are renewed until the last runner has stopped.
    const tree = yield* supervision([
      { name: "writer", run: writer.died, intensity: never },
      { name: "heartbeat", run: leases.heartbeat },
      { name: "rescuer", run: rescuer(runId) },
      { name: "checkpoints", run: checkpoints.followPromotions },
      { name: "status reporter", run: reporter.report(reported) },
      { name: "control watcher", run: Effect.provideService(watcher, RunStore, runs), intensity: watchful },
      ...(search === null ? [] : [{ name: "optimizer", run: optimizer(search), intensity: watchful }]),
      ...Array.from(
        { length: search === null ? workersFor(begun, config) : config.worker_count },
        (_, n) => ({ name: `runner ${n + 1}`, run: work, group: "runners" })
      )
    ])
    return { tree, ended: Effect.raceFirst(Deferred.await(ending), tree.run) }
  })

/** More workers than rollouts would only wait. */
const workersFor = ({ finishedBefore, total }: BegunRun, { worker_count }: RunConfig) =>
  Math.max(1, Math.min(worker_count, total - finishedBefore))
