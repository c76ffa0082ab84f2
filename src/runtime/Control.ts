/**
 * The control verbs: who may use them, what they do to the store, and the files that tell outside tools about it.
 *
 * The store is the truth and changes first, together with the row of its own log; the files follow. Should the process die
 * between the two, the next verb adds what the audit file misses. What cannot be audited is not done.
 */
import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import * as Schema from "effect/Schema"
import { actionKeyOf, type ControlChange, type ControlLifecycle, type ControlVerb } from "../domain/Control.js"
import { isUnfinished } from "../domain/Lifecycle.js"
import { decide, type RbacDecision } from "../domain/Rbac.js"
import type { AuditTrail } from "../store/AuditTrail.js"
import { ControlLog } from "../store/ControlLog.js"
import { RunFindings } from "../store/RunFindings.js"
import { RunStanding, type StandingRun } from "../store/RunStanding.js"
import type { StoreError } from "../store/StoreError.js"
import {
  appendAudit,
  checkAudit,
  followAudit,
  followVerbs,
  readPolicy,
  readState,
  type RecoveryReport,
  writeReport
} from "./ControlFiles.js"
import { FileError } from "./DurableFile.js"
import * as PolicyCheckpoint from "./PolicyCheckpoint.js"
import { recover, type RecoveryGuardrail } from "./Recovery.js"

/** The policy said no. */
export class ControlDenied extends Schema.TaggedError<ControlDenied>()("ControlDenied", {
  verb: Schema.String,
  principal: Schema.String,
  decision: Schema.String
}) {
  override get message() {
    return `${this.verb} denied to ${JSON.stringify(this.principal)}: ${this.decision}`
  }
}

/** The verb does not fit the state of the run or the store. Nothing was changed. */
export class ControlRefused extends Schema.TaggedError<ControlRefused>()("ControlRefused", {
  verb: Schema.String,
  detail: Schema.String
}) {
  override get message() {
    return `${this.verb} refused: ${this.detail}`
  }
}

export interface ControlRequest {
  /** Folder of the control files. */
  readonly stateDir: string
  readonly principal: string
  /** What the policy said, from `authorize`. */
  readonly decision: RbacDecision
  /** What the log says beside the outcome: where the verb came from, and why it was used. */
  readonly note?: string | undefined
}

export type ChangeRequest =
  & ControlRequest
  & (
    | { readonly verb: Exclude<ControlChange, "rollback"> }
    | { readonly verb: "rollback"; readonly checkpoint: string }
  )

/** What a verb did, or what `status` found. */
export interface ControlAnswer {
  readonly verb: ControlVerb
  readonly principal: string
  readonly decision: string
  /** Null only when there is neither a store nor a state file. */
  readonly lifecycleState: ControlLifecycle | null
  /** The run or the versions are another than before. */
  readonly changed: boolean
  /** Nothing had to change, `lifecycleState` included. */
  readonly idempotent: boolean
  /** In one sentence, without its full stop. */
  readonly detail: string
  readonly run: StandingRun | null
  /** Of a rollback: the checkpoint's path and the version that is the latest now. */
  readonly rollbackCheckpoint: string | null
  readonly resourcesVersion: number | null
  /** Of a resume. */
  readonly recovery: RecoveryReport | null
}

/** What stands in the logs as the decision when the policy could not be asked. Nobody may do anything then. */
export const undecided: RbacDecision = { allowed: false, reason: "deny_policy_invalid" }

/** Asks the policy in this file. No file allows everything; a file that is no valid policy fails. */
export const authorize = (
  policyPath: string,
  principal: string,
  verb: ControlVerb
): Effect.Effect<RbacDecision, FileError> =>
  Effect.map(readPolicy(policyPath), (policy) => decide(policy, principal, actionKeyOf(verb)))

/** How the store's run stands. Changes nothing and leaves no trace. */
export const status = (request: ControlRequest): Effect.Effect<ControlAnswer, StoreError, RunStanding> =>
  Effect.map(Effect.flatMap(RunStanding, ({ now }) => now), ({ lifecycleState, run }) => ({
    ...blank(request, "status"),
    lifecycleState,
    detail: run === null ? "the store has no run" : describe(run),
    run
  }))

/** The same, with a row in the logs that somebody asked. */
export const loggedStatus = (
  request: ControlRequest
): Effect.Effect<ControlAnswer, FileError | StoreError, AuditTrail | ControlLog | RunStanding> =>
  Effect.gen(function*() {
    const { decision, note, principal, stateDir } = request
    const log = yield* ControlLog
    yield* checkAudit(stateDir)
    yield* log.record({ verb: "status", principal, decision: decision.reason, detail: "asked", outcome: "done", note })
    yield* followAudit(stateDir)
    return yield* status(request)
  })

/** The same where there is no store: all that is known is what the state file says. */
export const statusWithoutStore = (request: ControlRequest): Effect.Effect<ControlAnswer, FileError> =>
  Effect.map(readState(request.stateDir), (state) => ({
    ...blank(request, "status"),
    lifecycleState: state?.lifecycle_state ?? null,
    detail: "there is no store yet"
  }))

/**
 * Carries out a verb that the policy allowed. Whatever stops it is in the store's log and in the audit file as well, and has
 * changed nothing unless the message says otherwise.
 */
export const carryOut = (
  request: ChangeRequest
): Effect.Effect<
  ControlAnswer,
  ControlDenied | ControlRefused | RecoveryGuardrail | FileError | StoreError,
  AuditTrail | ControlLog | RunFindings | RunStanding
> =>
  Effect.gen(function*() {
    const { decision, note, principal, stateDir, verb } = request
    if (!decision.allowed) return yield* deny(request, verb)
    const standing = yield* RunStanding
    const log = yield* ControlLog
    const logFailure = ({ message }: { readonly message: string }) =>
      log.record({ verb, principal, decision: decision.reason, detail: message, outcome: "failed", note })
    // Before anything is done: what an earlier process left out is added, and that something can be added is made sure of.
    yield* Effect.zipRight(checkAudit(stateDir), followAudit(stateDir)).pipe(Effect.tapError(logFailure))

    const prepared = yield* prepare(request).pipe(
      Effect.tapError((error) => Effect.zipRight(logFailure(error), followAudit(stateDir)))
    )
    const applied = yield* log.apply({
      verb,
      principal,
      decision: decision.reason,
      resourcesVersion: prepared.resourcesVersion,
      rollbackCheckpoint: prepared.rollbackCheckpoint,
      checkpointSource: prepared.recovery?.checkpoint_source ?? null,
      note
    })
    if (applied.refused) {
      yield* followAudit(stateDir)
      return yield* new ControlRefused({ verb, detail: applied.detail })
    }

    yield* followVerbs(stateDir, {
      lifecycle_state: applied.lifecycleState,
      last_action: verb,
      principal,
      rollback_checkpoint: prepared.rollbackCheckpoint
    }).pipe(
      Effect.zipRight(followAudit(stateDir)),
      Effect.catchTag(
        "FileError",
        ({ detail, file }) => new FileError({ file, detail: `${detail} (the ${verb} itself is in the store)` })
      )
    )
    const { run } = yield* standing.now
    return {
      ...blank(request, verb),
      ...prepared,
      lifecycleState: applied.lifecycleState,
      changed: applied.changed,
      idempotent: applied.idempotent,
      detail: applied.detail,
      run
    }
  })

/** Records a denial where there is no store to record it in, and fails with it. */
export const denyWithoutStore = (
  request: ControlRequest,
  verb: ControlVerb
): Effect.Effect<never, ControlDenied | FileError> =>
  Effect.gen(function*() {
    const { decision, principal, stateDir } = request
    const state = yield* readState(stateDir)
    yield* appendAudit(stateDir, {
      schema_version: 1,
      timestamp_unix_ms: yield* Clock.currentTimeMillis,
      principal,
      action: verb,
      action_key: actionKeyOf(verb),
      // As in a store in which no verb was used yet.
      lifecycle_state: state?.lifecycle_state ?? "running",
      idempotent: true,
      rollback_checkpoint: null,
      recovery_checkpoint_source: null,
      decision: decision.reason,
      outcome: "denied"
    })
    return yield* new ControlDenied({ verb, principal, decision: decision.reason })
  })

/** Records a denial in the store's log and in the audit file, and fails with it. */
export const deny = (
  { decision, note, principal, stateDir }: ControlRequest,
  verb: ControlVerb
): Effect.Effect<never, ControlDenied | FileError | StoreError, AuditTrail | ControlLog> =>
  Effect.gen(function*() {
    const log = yield* ControlLog
    yield* log.record({
      verb,
      principal,
      decision: decision.reason,
      detail: "denied by policy",
      outcome: "denied",
      note
    })
    yield* followAudit(stateDir)
    return yield* new ControlDenied({ verb, principal, decision: decision.reason })
  })

interface Prepared {
  readonly resourcesVersion: number | null
  readonly rollbackCheckpoint: string | null
  readonly recovery: RecoveryReport | null
}

/** Everything that can go wrong before the store is touched. */
const prepare = (
  request: ChangeRequest
): Effect.Effect<Prepared, RecoveryGuardrail | FileError | StoreError, RunFindings | RunStanding> =>
  Effect.gen(function*() {
    const nothing = { resourcesVersion: null, rollbackCheckpoint: null, recovery: null }
    switch (request.verb) {
      case "pause":
      case "cancel":
        return nothing
      case "rollback": {
        const checkpoint = yield* PolicyCheckpoint.named(request.checkpoint, request.stateDir)
        const resourcesVersion = yield* PolicyCheckpoint.resourcesVersionOf(request.checkpoint, checkpoint)
        return { ...nothing, resourcesVersion, rollbackCheckpoint: request.checkpoint }
      }
      case "resume": {
        const { lifecycleState, run } = yield* Effect.flatMap(RunStanding, ({ now }) => now)
        const findings = run === null ? null : yield* Effect.flatMap(RunFindings, ({ of }) => of(run.id))
        const recovery = yield* recover({
          stateDir: request.stateDir,
          principal: request.principal,
          priorLifecycle: lifecycleState,
          run: run === null || findings === null
            ? null
            : { ...run, state: run.statusState, findings, requeued: run.hasCrashed ? findings.held : 0 }
        })
        yield* writeReport(request.stateDir, recovery)
        return { ...nothing, recovery }
      }
    }
  })

const blank = ({ decision, principal }: ControlRequest, verb: ControlVerb): ControlAnswer => ({
  verb,
  principal,
  decision: decision.reason,
  lifecycleState: null,
  changed: false,
  idempotent: true,
  detail: "",
  run: null,
  rollbackCheckpoint: null,
  resourcesVersion: null,
  recovery: null
})

const describe = (run: StandingRun): string => {
  const { hasCrashed, id, isLive, silence, stands, state } = run
  if (isLive) {
    return silence === null
      ? `a process works on ${id}`
      : `a process works on ${id} and seems stuck: ${silence}`
  }
  if (hasCrashed) return `the process of ${id} died`
  if (stands === "cancelled" && isUnfinished(run)) {
    return `${id} is cancelled, though its process died before it closed the run: the next start or cancel does`
  }
  return isUnfinished(run) ? `${id} was stopped before its end` : `${id} is ${state}`
}
