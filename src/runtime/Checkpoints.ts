/** When a run saves its policy checkpoint: at its start, at every version of the resources that is promoted, at its end. */
import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import { existsSync } from "node:fs"
import { dirname } from "node:path"
import { ResourceStore } from "../store/ResourceStore.js"
import { type BegunRun, RunStore } from "../store/RunStore.js"
import type { StoreError } from "../store/StoreError.js"
import { Announcer } from "./Announcer.js"
import { besideStore } from "./DurableFile.js"
import * as PolicyCheckpoint from "./PolicyCheckpoint.js"

/** How often the store is asked for versions that were promoted. */
const lookMs = 100

export interface Checkpoints {
  /**
   * Saves the run as it is now, and what was promoted and has no checkpoint. The store is the truth: a checkpoint that cannot be
   * written is said, and no failure.
   */
  readonly save: Effect.Effect<void, StoreError>
  /** Saves a checkpoint for each version promoted since the last look, in their order. */
  readonly savePromoted: Effect.Effect<void, StoreError>
  /** Does so until interrupted. */
  readonly followPromotions: Effect.Effect<never, StoreError>
}

/** The checkpoints of a run in the folder of its store. */
export const checkpointsOf = (
  storePath: string,
  { resourcesVersion, runId }: BegunRun,
  optimizerState: () => Readonly<Record<string, unknown>>
): Effect.Effect<Checkpoints, StoreError, Announcer | ResourceStore | RunStore> =>
  Effect.gen(function*() {
    const announcer = yield* Announcer
    const resources = yield* ResourceStore
    const runs = yield* RunStore
    const promoted = resources.promotedAfter(resourcesVersion, runId)
    // What was promoted before this start has had its checkpoint, or `save` makes up for it.
    const seen = new Set((yield* promoted).map(({ version }) => version))

    const saveAs = (version: number, step: number, write = PolicyCheckpoint.save) =>
      Effect.gen(function*() {
        const { finished } = yield* runs.progress(runId)
        const nowMs = yield* Clock.currentTimeMillis
        const saved = write(dirname(storePath), {
          checkpoint_version: 1,
          run_id: runId,
          policy_state: { resources_version: version },
          optimizer_state: optimizerState(),
          global_step: finished,
          optimizer_step: step,
          saved_at_unix_seconds: Math.floor(nowMs / 1000)
        })
        yield* besideStore(storePath, saved).pipe(
          Effect.catchTag("FileError", ({ message }) => announcer.say(`no checkpoint: ${message}`))
        )
      })

    /** Whoever promoted it, in any run, may have been killed before it had one, without which nothing goes back to it. */
    const saveLeftOut = Effect.gen(function*() {
      const everPromoted = yield* resources.promotedAfter(0, runId)
      for (const { version } of everPromoted) {
        if (existsSync(PolicyCheckpoint.versionFile(dirname(storePath), version))) continue
        const step = everPromoted.filter((one) => one.version > resourcesVersion && one.version <= version).length
        yield* saveAs(version, step, PolicyCheckpoint.saveOfVersion)
      }
    })

    const savePromoted = Effect.gen(function*() {
      for (const [index, { version }] of (yield* promoted).entries()) {
        if (seen.has(version)) continue
        yield* saveAs(version, index + 1)
        seen.add(version)
      }
    })
    return {
      // After a rollback the mark of the latest is on an earlier version than the last that was promoted: that one counts.
      save: Effect.zipRight(
        saveLeftOut,
        Effect.flatMap(promoted, (versions) => {
          const latest = versions.findLast(({ isLatest }) => isLatest)
          return saveAs(latest?.version ?? resourcesVersion, versions.length)
        })
      ),
      savePromoted,
      followPromotions: Effect.forever(Effect.zipRight(savePromoted, Effect.sleep(lookMs)))
    }
  })
