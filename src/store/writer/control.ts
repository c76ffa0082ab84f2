/** The control verbs on the store: each is one transaction with its own line in the log. */
import type { ControlChange, ControlLifecycle, ControlOutcome, ControlVerb } from "../../domain/Control.js"
import { counted } from "../../domain/Figures.js"
import { isUnfinished } from "../../domain/Lifecycle.js"
import { appendAudited } from "./auditChain.js"
import type { Db } from "./Database.js"
import { makeLatest } from "./resources.js"
import { cancelRun } from "./rollouts.js"
import {
  isWorkedOn,
  type LastControl,
  lastControlSql,
  lifecycleOf,
  silenceOf,
  type StandingRow,
  standingSql
} from "./standing.js"

export interface ApplyControl {
  readonly verb: ControlChange
  readonly actionKey: string
  readonly principal: string
  /** Why the policy allowed it. */
  readonly decision: string
  /** The version that a rollback makes the latest; null for the other verbs. */
  readonly resourcesVersion: number | null
  /** Of a rollback: the checkpoint's path. */
  readonly rollbackCheckpoint: string | null
  /** Of a resume after a crash: which checkpoint vouched for it. */
  readonly checkpointSource: "primary" | "fallback" | null
  /** What the asker says beside it, for the log. */
  readonly note?: string | undefined
}

export interface AppliedControl {
  readonly lifecycleState: ControlLifecycle
  /** The run or the versions are another than before. */
  readonly changed: boolean
  /** Nothing had to change, `lifecycleState` included. */
  readonly idempotent: boolean
  /** The verb does not fit the run's state and changed nothing; `detail` says why. */
  readonly refused: boolean
  /** For people: what happened, in one sentence without its full stop. */
  readonly detail: string
}

/** Carries a verb out on the unfinished run that was started last, and logs it. A refusal is logged too. */
export const applyControl = (db: Db, input: ApplyControl): AppliedControl => {
  const row = db.prepare(standingSql).get() as StandingRow | undefined
  const before = lifecycleNow(db, row)
  const run = row !== undefined && isUnfinished(row) ? row : undefined
  const consequence = verbs[input.verb](db, run, input)
  const applied: AppliedControl = consequence.refused
    ? { lifecycleState: before, changed: false, idempotent: true, refused: true, detail: consequence.detail }
    : {
      lifecycleState: lifecycleAfter[input.verb],
      changed: consequence.changed,
      idempotent: !consequence.changed && before === lifecycleAfter[input.verb],
      refused: false,
      detail: consequence.detail
    }
  append(db, input, {
    ...applied,
    detail: withNote(applied.detail, input.note),
    outcome: applied.refused ? "refused" : "done"
  })
  return applied
}

export interface RecordControl {
  readonly verb: ControlVerb
  readonly actionKey: string
  readonly principal: string
  readonly decision: string
  /** Why it was not carried out. */
  readonly detail: string
  readonly outcome: ControlOutcome
  readonly note?: string | undefined
}

/** Logs a verb that changed nothing: denied, failed before it reached the store, or a question. Answers where the store stands. */
export const recordControl = (db: Db, input: RecordControl): ControlLifecycle => {
  const lifecycleState = lifecycleNow(db, db.prepare(standingSql).get() as StandingRow | undefined)
  append(
    db,
    { ...input, rollbackCheckpoint: null, checkpointSource: null },
    { lifecycleState, idempotent: true, detail: withNote(input.detail, input.note), outcome: input.outcome }
  )
  return lifecycleState
}

const withNote = (detail: string, note: string | undefined) => note === undefined ? detail : `${detail} (${note})`

const lifecycleAfter: Record<ControlChange, ControlLifecycle> = {
  pause: "paused",
  resume: "running",
  cancel: "cancelled",
  rollback: "rollback_requested"
}

const lifecycleNow = (db: Db, row: StandingRow | undefined): ControlLifecycle =>
  lifecycleOf(row, db.prepare(lastControlSql).get() as LastControl | undefined)

interface Consequence {
  readonly changed: boolean
  readonly refused: boolean
  readonly detail: string
}

const changed = (detail: string): Consequence => ({ changed: true, refused: false, detail })
const unchanged = (detail: string): Consequence => ({ changed: false, refused: false, detail })
const refused = (detail: string): Consequence => ({ changed: false, refused: true, detail })

type Verb = (db: Db, run: StandingRow | undefined, input: ApplyControl) => Consequence

const noRun = unchanged("the store has no unfinished run")

const pause: Verb = (db, run) => {
  if (run === undefined) return noRun
  if (run.desired === "cancel") return refused(`${run.runId} is being cancelled, which cannot be undone`)
  if (run.desired === "pause") return unchanged(`${run.runId} was told to pause before`)
  desire(db, run, "pause")
  return changed(
    isWorkedOn(run, db.now)
      ? followed(db, run, `${run.runId} starts no new attempts and lets running ones finish`)
      : `no process works on ${run.runId}; it is marked paused`
  )
}

const resume: Verb = (db, run) => {
  if (run === undefined) return noRun
  if (run.desired === "cancel") return refused(`${run.runId} is being cancelled, which cannot be undone`)
  const detail = isWorkedOn(run, db.now)
    ? followed(db, run, `${run.runId} continues`)
    : `no process works on ${run.runId}`
  if (run.desired === "run") return unchanged(detail)
  desire(db, run, "run")
  return changed(detail)
}

/** The epochs rise in this transaction: from its commit on nothing that an attempt of the run writes is kept. */
const cancel: Verb = (db, run) => {
  if (run === undefined) return noRun
  const rollouts = cancelRun(db, { runId: run.runId })
  if (isWorkedOn(run, db.now)) {
    const detail = `${run.runId} interrupts its attempts; ${cancelledOf(rollouts)}`
    if (run.desired === "cancel" && rollouts === 0) return unchanged(`${run.runId} was told to cancel before`)
    desire(db, run, "cancel")
    return changed(followed(db, run, detail))
  }
  // Nobody is there to close the run.
  db.prepare(
    "UPDATE runs SET state = 'cancelled', desired = 'cancel', stop_reason = NULL, ended_at_ms = ? WHERE id = ?"
  )
    .run(db.now, run.runId)
  db.prepare("UPDATE run_starts SET ended_at_ms = ?, end_reason = 'cancelled' WHERE run_id = ? AND ended_at_ms IS NULL")
    .run(db.now, run.runId)
  return changed(`no process works on ${run.runId}; ${cancelledOf(rollouts)}`)
}

const cancelledOf = (rollouts: number) =>
  `its ${counted(rollouts, "unfinished rollout is", "unfinished rollouts are")} cancelled`

const rollback: Verb = (db, _run, { resourcesVersion }) => {
  const target = db.prepare("SELECT is_latest AS isLatest FROM resources WHERE version = ?").get(resourcesVersion) as
    | { isLatest: number }
    | undefined
  if (resourcesVersion === null || target === undefined) {
    const { newest } = db.prepare("SELECT max(version) AS newest FROM resources").get() as { newest: number | null }
    const has = newest === null ? "no versions" : newest === 1 ? "only version 1" : `versions 1 to ${newest}`
    return refused(`resources version ${resourcesVersion} is not in the store, which has ${has}`)
  }
  if (target.isLatest === 1) return unchanged(`resources version ${resourcesVersion} is the latest already`)
  makeLatest(db, resourcesVersion)
  return changed(`resources version ${resourcesVersion} is the latest now`)
}

const verbs: Record<ControlChange, Verb> = { pause, resume, cancel, rollback }

const desire = (db: Db, { runId }: StandingRow, desired: StandingRow["desired"]) =>
  db.prepare("UPDATE runs SET desired = ? WHERE id = ?").run(desired, runId)

/** The verb is in the store either way; a process that is stuck follows it only when it moves again. */
const followed = (db: Db, run: StandingRow, detail: string): string => {
  const silence = silenceOf(run, db.now)
  return silence === null ? detail : `${detail}, as soon as it moves again: ${silence}`
}

const append = (
  db: Db,
  { actionKey, checkpointSource, decision, principal, rollbackCheckpoint, verb }:
    & Omit<RecordControl, "detail" | "outcome">
    & Pick<ApplyControl, "rollbackCheckpoint" | "checkpointSource">,
  { detail, idempotent, lifecycleState, outcome }:
    & Omit<AppliedControl, "changed" | "refused">
    & { readonly outcome: ControlOutcome }
) =>
  appendAudited(db, {
    atMs: db.now,
    principal,
    action: verb,
    actionKey,
    lifecycleState,
    idempotent: idempotent ? 1 : 0,
    decision,
    detail,
    outcome,
    rollbackCheckpoint,
    checkpointSource
  })
