import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import * as Schema from "effect/Schema"
import { dirname, join } from "node:path"
import type { StandingRun } from "../store/RunStanding.js"
import type { RunState } from "../store/RunStore.js"
import { readText, replace } from "./DurableFile.js"

/** `status.json` beside the store, for dashboards and scripts: where the run of this store stands. */
export interface Status {
  readonly schema_version: 1
  readonly updated_unix_ms: number
  readonly run_state: RunState
  readonly model_ref: string
  readonly store_path: string
  readonly total_rollouts: number
  readonly succeeded: number
  readonly failed: number
  readonly cancelled: number
  readonly active: number
  /** Mean score so far, in which failed rollouts count as 0; null while there is none, and of a search. */
  readonly mean_score: number | null
  readonly calls: number
  readonly input_tokens: number
  readonly output_tokens: number
  readonly run_id: string
  /** 1 for a new run; each resume counts one more. */
  readonly start: number
  readonly resumed: boolean
  readonly finished_before: number
  readonly requeued: number
  readonly unknown_calls: number
  readonly pid: number
  readonly started_unix_ms: number
  /** Why the run stopped before its end: `completion_timeout`, `signal`, `cancelled`, `error`. */
  readonly stopped_reason: string | null
}

/** The status file could not be written. The run goes on: the store holds the truth. */
export class StatusFileError extends Schema.TaggedError<StatusFileError>()("StatusFileError", {
  path: Schema.String,
  detail: Schema.String
}) {
  override get message() {
    return `${this.path} could not be written: ${this.detail}`
  }
}

export const statusPathOf = (storePath: string): string => join(dirname(storePath), "status.json")

/**
 * Replaces the file in one step: a reader sees the old status or the new one, whole, also after a power loss.
 * Uninterruptible, so that an old status can never overtake a newer one.
 */
export const write = (path: string, status: Status): Effect.Effect<void, StatusFileError> =>
  Effect.uninterruptible(
    Effect.mapError(
      replace(path, `${JSON.stringify(status, null, 2)}\n`),
      ({ detail }) => new StatusFileError({ path, detail })
    )
  )

/**
 * What a verb did to a run that no process works on: nobody else would write it. Leaves the file alone when it tells of another
 * run or cannot be read, and when it cannot be written: the verb is in the store.
 */
export const followAtRest = (storePath: string, run: StandingRun): Effect.Effect<void> =>
  run.isLive ? Effect.void : Effect.gen(function*() {
    const path = statusPathOf(storePath)
    const text = yield* readText(path)
    const before = yield* Effect.try(() => JSON.parse(text ?? "null") as Status | null)
    if (before?.run_id !== run.id) return
    yield* write(path, {
      ...before,
      updated_unix_ms: yield* Clock.currentTimeMillis,
      run_state: run.statusState,
      total_rollouts: run.total,
      succeeded: run.succeeded,
      failed: run.failed,
      cancelled: run.cancelled,
      active: 0,
      stopped_reason: run.state === "cancelled" ? "cancelled" : before.stopped_reason
    })
  }).pipe(Effect.ignore)
