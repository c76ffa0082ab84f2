/**
 * The control verbs: who may use them, what they do to the store, and the files that tell outside tools about it.
 *
 * The store is the truth and changes first; the files follow. Should the process die between the two, the files are one verb
 * behind and the next verb brings them up to date, while the store's own log has every verb.
 */
import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import * as Schema from "effect/Schema"
import { actionKeyOf, type ControlChange, type ControlLifecycle, type ControlVerb } from "../domain/Control.js"
import { decide, type RbacDecision } from "../domain/Rbac.js"
import { ControlLog } from "../store/ControlLog.js"
import { RunStanding, type StandingRun } from "../store/RunStanding.js"
import type { StoreError } from "../store/StoreError.js"
import {
  appendAudit,
  type AuditRow,
  readPolicy,
  readState,
  type RecoveryReport,
  writeReport,
  writeState
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

/** The same where there is no store: all that is known is what the state file says. */
export const statusWithoutStore = (request: ControlRequest): Effect.Effect<ControlAnswer, FileError> =>
  Effect.map(readState(request.stateDir), (state) => ({
    ...blank(request, "status"),
    lifecycleState: state?.lifecycle_state ?? null,
    detail: "there is no store yet"
  }))

/**
 * Carries out a verb that the policy allowed. Whatever stops it is in the store's log as well, and has changed nothing
 * unless the message says otherwise.
 */
export const carryOut = (
  request: ChangeRequest
): Effect.Effect<
  ControlAnswer,
  ControlDenied | ControlRefused | RecoveryGuardrail | FileError | StoreError,
  ControlLog | RunStanding
> =>
  Effect.gen(function*() {
    const { decision, principal, stateDir, verb } = request
    if (!decision.allowed) return yield* deny(request, verb)
    const standing = yield* RunStanding
    const log = yield* ControlLog

    const prepared = yield* prepare(request).pipe(
      Effect.tapError(({ message }) => log.record({ verb, principal, decision: decision.reason, detail: message }))
    )
    const applied = yield* log.apply({
      verb,
      principal,
      decision: decision.reason,
      resourcesVersion: prepared.resourcesVersion
    })
    if (applied.refused) return yield* new ControlRefused({ verb, detail: applied.detail })

    const nowMs = yield* Clock.currentTimeMillis
    yield* Effect.mapError(
      Effect.zipRight(
        writeState(stateDir, {
          schema_version: 1,
          updated_unix_ms: nowMs,
          lifecycle_state: applied.lifecycleState,
          last_action: verb,
          principal,
          rollback_checkpoint: prepared.rollbackCheckpoint
        }),
        appendAudit(stateDir, {
          ...auditRow(request, verb, nowMs),
          lifecycle_state: applied.lifecycleState,
          idempotent: applied.idempotent,
          rollback_checkpoint: prepared.rollbackCheckpoint,
          recovery_checkpoint_source: prepared.recovery?.checkpoint_source ?? null
        })
      ),
      ({ detail, file }) => new FileError({ file, detail: `${detail} (the ${verb} itself is in the store)` })
    )
    const { run } = yield* standing.now
    return {
      ...blank(request, verb),
      ...prepared,
      lifecycleState: applied.lifecycleState,
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
  Effect.flatMap(
    Effect.map(readState(request.stateDir), (state) => state?.lifecycle_state ?? null),
    (lifecycleState) => auditDenial(request, verb, lifecycleState)
  )

/** Records a denial in the store's log and in the audit file, and fails with it. */
export const deny = (
  request: ControlRequest,
  verb: ControlVerb
): Effect.Effect<never, ControlDenied | FileError | StoreError, ControlLog> =>
  Effect.gen(function*() {
    const log = yield* ControlLog
    const { decision, principal } = request
    const lifecycleState = yield* log.record({ verb, principal, decision: decision.reason, detail: "denied by policy" })
    return yield* auditDenial(request, verb, lifecycleState)
  })

const auditDenial = (request: ControlRequest, verb: ControlVerb, lifecycleState: ControlLifecycle | null) =>
  Effect.gen(function*() {
    yield* appendAudit(request.stateDir, {
      ...auditRow(request, verb, yield* Clock.currentTimeMillis),
      lifecycle_state: lifecycleState,
      decision: request.decision.reason
    })
    return yield* new ControlDenied({ verb, principal: request.principal, decision: request.decision.reason })
  })

interface Prepared {
  readonly resourcesVersion: number | null
  readonly rollbackCheckpoint: string | null
  readonly recovery: RecoveryReport | null
}

/** Everything that can go wrong before the store is touched. */
const prepare = (
  request: ChangeRequest
): Effect.Effect<Prepared, RecoveryGuardrail | FileError | StoreError, RunStanding> =>
  Effect.gen(function*() {
    const nothing = { resourcesVersion: null, rollbackCheckpoint: null, recovery: null }
    switch (request.verb) {
      case "pause":
      case "cancel":
        return nothing
      case "rollback": {
        const checkpoint = yield* PolicyCheckpoint.read(request.checkpoint)
        const resourcesVersion = yield* PolicyCheckpoint.resourcesVersionOf(request.checkpoint, checkpoint)
        return { ...nothing, resourcesVersion, rollbackCheckpoint: request.checkpoint }
      }
      case "resume": {
        const before = yield* Effect.flatMap(RunStanding, ({ now }) => now)
        const recovery = yield* recover({
          stateDir: request.stateDir,
          principal: request.principal,
          standing: before
        })
        yield* writeReport(request.stateDir, recovery)
        return { ...nothing, recovery }
      }
    }
  })

const auditRow = ({ principal }: ControlRequest, verb: ControlVerb, nowMs: number): AuditRow => ({
  schema_version: 1,
  timestamp_unix_ms: nowMs,
  principal,
  action: verb,
  action_key: actionKeyOf(verb),
  lifecycle_state: null,
  idempotent: true,
  rollback_checkpoint: null,
  recovery_checkpoint_source: null
})

const blank = ({ decision, principal }: ControlRequest, verb: ControlVerb): ControlAnswer => ({
  verb,
  principal,
  decision: decision.reason,
  lifecycleState: null,
  idempotent: true,
  detail: "",
  run: null,
  rollbackCheckpoint: null,
  resourcesVersion: null,
  recovery: null
})

const describe = ({ configPath, hasCrashed, id, isLive, state }: StandingRun): string => {
  if (isLive) return `a process works on ${id}`
  if (hasCrashed) return `the process of ${id} died; running ${configPath} again continues it`
  return state === "running" || state === "paused"
    ? `${id} was stopped before its end; running ${configPath} again continues it`
    : `${id} is ${state}`
}
