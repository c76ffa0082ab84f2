/** What is made sure of, and found, before a run goes on: by `resume`, and by the run's own command given again. */
import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import * as Either from "effect/Either"
import * as Schema from "effect/Schema"
import type { ControlLifecycle } from "../domain/Control.js"
import type { RunId } from "../domain/Ids.js"
import type { Findings } from "../store/RunFindings.js"
import { type AuditRow, readAudit, type RecoveryReport } from "./ControlFiles.js"
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

export interface RecoverOptions {
  readonly stateDir: string
  readonly principal: string
  /** Where the store stood before, and the run that is meant. */
  readonly priorLifecycle: ControlLifecycle
  readonly run: RecoveredRun | null
}

export interface RecoveredRun {
  readonly id: RunId
  /** As the status file has it, before it is resumed. */
  readonly state: string
  readonly configPath: string
  readonly hasCrashed: boolean
  /** Rollouts that its dead process held. */
  readonly requeued: number
  readonly findings: Findings
}

/**
 * Replays the audit log, and after a crash loads the primary checkpoint, else the fallback, else fails closed.
 *
 * Also a run that crashed before its first checkpoint fails here. This is no dead end: the store alone resumes it when its
 * command is run again, which needs no checkpoint.
 */
export const recover = (
  options: RecoverOptions
): Effect.Effect<RecoveryReport, RecoveryGuardrail | FileError> =>
  Effect.gen(function*() {
    const { run, stateDir } = options
    const rows = yield* readAudit(stateDir)
    const found = run?.hasCrashed !== true ? null : yield* Effect.mapError(
      PolicyCheckpoint.load(stateDir),
      ({ detail }) => new RecoveryGuardrail({ runId: run.id, configPath: run.configPath, detail })
    )
    return yield* report(options, rows, found, [])
  })

/** The same for a run whose command was given again: the store is enough for it, so that what is missing is only noted. */
export const recoverByRestart = (options: RecoverOptions): Effect.Effect<RecoveryReport> =>
  Effect.gen(function*() {
    const rows = yield* Effect.either(readAudit(options.stateDir))
    const found = yield* Effect.either(PolicyCheckpoint.load(options.stateDir))
    return yield* report(options, Either.getOrElse(rows, () => []), Either.getOrElse(found, () => null), [
      ...(Either.isLeft(rows) ? [`audit log: ${rows.left.message}`] : []),
      ...(Either.isLeft(found) ? [`no checkpoint was used: ${found.left.detail}`] : [])
    ])
  })

const report = (
  { principal, priorLifecycle, run }: RecoverOptions,
  rows: ReadonlyArray<AuditRow>,
  found: PolicyCheckpoint.Found | null,
  diagnostics: ReadonlyArray<string>
): Effect.Effect<RecoveryReport> =>
  Effect.map(Clock.currentTimeMillis, (nowMs) => {
    // What was not carried out changed nothing, so there is nothing of it to replay.
    const replayed = rows.filter(({ decision }) => decision === undefined)
    const replayedState = replayed.at(-1)?.lifecycle_state ?? null
    return {
      schema_version: 1,
      recovered_at_unix_ms: nowMs,
      principal,
      crash_detected: run?.hasCrashed === true,
      prior_lifecycle_state: priorLifecycle,
      prior_training_state: run?.state ?? null,
      replayed_audit_events: replayed.length,
      replayed_actions: replayed.map(({ action }) => action),
      checkpoint_source: found?.source ?? null,
      checkpoint_run_id: found?.checkpoint.run_id ?? null,
      checkpoint_global_step: found?.checkpoint.global_step ?? null,
      checkpoint_optimizer_step: found?.checkpoint.optimizer_step ?? null,
      diagnostics: [
        ...diagnostics,
        ...(found?.diagnostics ?? []),
        ...(found !== null && found.checkpoint.run_id !== run?.id
          ? [`the checkpoint is of ${found.checkpoint.run_id}, the run that crashed is ${run?.id}`]
          : []),
        // A start of a run sets the store back to running, and is no verb: such a log is no fault.
        ...(replayedState !== null && replayedState !== priorLifecycle && priorLifecycle !== "running"
          ? [`the audit log ends in ${replayedState}, the store says ${priorLifecycle}; the store counts`]
          : [])
      ],
      run: run === null ? null : {
        run_id: run.id,
        rollouts: run.findings.total,
        finished: run.findings.finished,
        resumed: run.findings.resumed,
        requeued: run.requeued,
        calls_replayed: run.findings.callsReplayed,
        tokens_saved: run.findings.tokensSaved,
        resources_versions: run.findings.resourcesVersions
      }
    }
  })
