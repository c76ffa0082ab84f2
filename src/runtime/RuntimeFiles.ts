/**
 * The files in `<state root>/runtime/`: what happened to the runs of a store and how it stands, for operators and outside
 * tools. Projections: the store is the truth, and whoever writes next makes good what an earlier process left out.
 */
import * as Clock from "effect/Clock"
import * as DateTime from "effect/DateTime"
import * as Effect from "effect/Effect"
import { basename, dirname, join, resolve } from "node:path"
import { RunEvents, type RunManifest } from "../store/RunEvents.js"
import { type Findings, RunFindings } from "../store/RunFindings.js"
import type { StoreError } from "../store/StoreError.js"
import { text } from "./ControlFiles.js"
import { besideStore, type FileError, readText, removeLeftovers as removeLeftoversIn, replace } from "./DurableFile.js"
import { follow as followLines, lastIn } from "./JsonLines.js"

const recentCodesMax = 20

/** `.tau/runtime` for `.tau/training/store.sqlite`; for a store in any other folder, `runtime` beside it. */
export const runtimeFolderOf = (storePath: string): string => {
  const folder = dirname(storePath)
  return join(basename(resolve(folder)) === "training" ? dirname(folder) : folder, "runtime")
}

/** Brings all of them up to date: after a verb, and when a run starts or ends. */
export const follow = (
  storePath: string
): Effect.Effect<void, FileError | StoreError, RunEvents | RunFindings> =>
  Effect.gen(function*() {
    const events = yield* RunEvents
    const findings = yield* RunFindings
    const folder = runtimeFolderOf(storePath)
    // Before the events, which say how far these files have come: killed in between, the next writer does it again.
    for (const manifest of yield* events.manifestsAfter(yield* lastIn(eventsIn(folder)))) {
      const content = text(manifestOf(manifest, yield* findings.of(manifest.runId), storePath))
      const file = join(folder, "jobs", `${manifest.runId}.json`)
      if ((yield* readText(file)) !== content) yield* besideStore(storePath, replace(file, content))
    }
    yield* followState(storePath)
    const lines = followLines(eventsIn(folder), (after, limit) =>
      Effect.map(events.after(after, limit), (rows) =>
        rows.map(({ atMs, n, reasonCode, runId, start }) => ({
          n,
          text: JSON.stringify({
            schema_version: 1,
            n,
            timestamp_unix_ms: atMs,
            run_id: runId,
            start,
            reason_code: reasonCode
          }),
          // After a restored backup another event may have this number.
          mark: `"timestamp_unix_ms":${atMs},"run_id":${JSON.stringify(runId)}`
        }))))
    yield* besideStore(storePath, Effect.asVoid(lines))
  })

/** Brings `state.json` up to date, which changes with every rollout. */
export const followState = (
  storePath: string
): Effect.Effect<void, FileError | StoreError, RunEvents> =>
  Effect.gen(function*() {
    const events = yield* RunEvents
    const health = yield* events.health
    const recent = yield* events.last(recentCodesMax)
    const state = text({
      schema_version: 1,
      updated_unix_ms: yield* Clock.currentTimeMillis,
      store_path: resolve(storePath),
      counters: health.events,
      rollouts: health.rollouts,
      queue_depth: health.queueDepth,
      running_runs: health.runningRuns,
      recent_reason_codes: recent.map(({ reasonCode }) => reasonCode).toReversed(),
      last_event: recent[0]?.n ?? 0,
      diagnostics: health.diagnostics
    })
    yield* besideStore(storePath, replace(join(runtimeFolderOf(storePath), "state.json"), state))
  })

/** Removes what killed processes left half written beside the store and in its runtime folders. */
export const removeLeftovers = (storePath: string): Effect.Effect<void> => {
  const folder = runtimeFolderOf(storePath)
  return Effect.forEach([dirname(storePath), folder, join(folder, "jobs")], removeLeftoversIn, { discard: true })
}

/** For a verb, which is carried out whether or not these files can be written: what they miss now, they get later. */
export const followQuietly = (storePath: string): Effect.Effect<void, never, RunEvents | RunFindings> =>
  Effect.ignore(follow(storePath))

const eventsIn = (folder: string) => join(folder, "events.jsonl")

const manifestOf = (run: RunManifest, found: Findings, storePath: string) => ({
  schema_version: 1,
  run_id: run.runId,
  state: run.state,
  desired: run.desired,
  stop_reason: run.stopReason,
  host: run.host,
  pid: run.pid,
  start: run.start,
  started_at: iso(run.startedAtMs),
  created_at: iso(run.createdAtMs),
  stopped_at: run.stoppedAtMs === null ? null : iso(run.stoppedAtMs),
  ended_at: run.runEndedAtMs === null ? null : iso(run.runEndedAtMs),
  config_path: run.configPath,
  config_hash: run.configHash,
  model_ref: run.modelRef,
  store_path: resolve(storePath),
  restart_command: run.command,
  resources_version: run.resourcesVersion,
  resume: {
    finished_before: run.finishedBefore,
    requeued: run.requeued,
    unknown_calls: run.unknownCalls,
    calls_replayed: found.callsReplayed,
    tokens_saved: found.tokensSaved,
    resources_versions: found.resourcesVersions
  }
})

const iso = (ms: number) => DateTime.formatIso(DateTime.unsafeMake(ms))
