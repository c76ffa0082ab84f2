/** What `resume` makes sure of before it lets a run go on. */
import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import * as Schema from "effect/Schema"
import type { Standing } from "../store/RunStanding.js"
import { readAudit, type RecoveryReport } from "./ControlFiles.js"
import type { FileError } from "./DurableFile.js"
import * as PolicyCheckpoint from "./PolicyCheckpoint.js"

/** The run crashed and there is no checkpoint to vouch for the policy it had: going on is refused. */
export class RecoveryGuardrail extends Schema.TaggedError<RecoveryGuardrail>()("RecoveryGuardrail", {
  runId: Schema.String,
  configPath: Schema.String,
  detail: Schema.String
}) {
  override get message() {
    return `resume recovery guardrail: ${this.runId} crashed and ${this.detail}. `
      + `Its rollouts are safe in the store: running ${this.configPath} again continues them.`
  }
}

/**
 * Replays the audit log, and after a crash loads the primary checkpoint, else the fallback, else fails closed.
 *
 * Also a run that crashed before its first checkpoint fails here. This is no dead end: the store alone resumes it when its
 * command is run again, which needs no checkpoint.
 */
export const recover = (
  options: { readonly stateDir: string; readonly principal: string; readonly standing: Standing }
): Effect.Effect<RecoveryReport, RecoveryGuardrail | FileError> =>
  Effect.gen(function*() {
    const { principal, standing: { lifecycleState, run }, stateDir } = options
    // What the policy denied changed nothing, so there is nothing of it to replay.
    const replayed = (yield* readAudit(stateDir)).filter(({ decision }) => decision === undefined)
    const crashed = run?.hasCrashed === true ? run : null
    const found = crashed === null ? null : yield* Effect.mapError(
      PolicyCheckpoint.load(stateDir),
      ({ detail }) => new RecoveryGuardrail({ runId: crashed.id, configPath: crashed.configPath, detail })
    )
    const replayedState = replayed.at(-1)?.lifecycle_state ?? null
    return {
      schema_version: 1,
      recovered_at_unix_ms: yield* Clock.currentTimeMillis,
      principal,
      crash_detected: crashed !== null,
      prior_lifecycle_state: lifecycleState,
      prior_training_state: run?.state ?? null,
      replayed_audit_events: replayed.length,
      replayed_actions: replayed.map(({ action }) => action),
      checkpoint_source: found?.source ?? null,
      checkpoint_run_id: found?.checkpoint.run_id ?? null,
      checkpoint_global_step: found?.checkpoint.global_step ?? null,
      checkpoint_optimizer_step: found?.checkpoint.optimizer_step ?? null,
      diagnostics: [
        ...(found?.diagnostics ?? []),
        ...(found !== null && found.checkpoint.run_id !== crashed?.id
          ? [`the checkpoint is of ${found.checkpoint.run_id}, the run that crashed is ${crashed?.id}`]
          : []),
        ...(replayedState !== null && replayedState !== lifecycleState
          ? [`the audit log ends in ${replayedState}, the store says ${lifecycleState}; the store counts`]
          : [])
      ]
    }
  })
