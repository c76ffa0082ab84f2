/** The files of the control plane: projections of the store for outside tools, and the policy that guards the verbs. */
import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import * as ParseResult from "effect/ParseResult"
import * as Schema from "effect/Schema"
import { join } from "node:path"
import { ControlLifecycle, ControlOutcome, ControlVerb } from "../domain/Control.js"
import { parseJson } from "../domain/JsonText.js"
import { RbacPolicy } from "../domain/Rbac.js"
import { AuditTrail, type ControlEntry } from "../store/AuditTrail.js"
import type { StoreError } from "../store/StoreError.js"
import { appendLine, checkAppendable, FileError, readLog, readText, replace } from "./DurableFile.js"
import { follow } from "./JsonLines.js"

/** `control-state.json`: where the last verb left the store, or a start after it. */
export const ControlState = Schema.Struct({
  schema_version: Schema.Literal(1),
  updated_unix_ms: Schema.Int,
  lifecycle_state: ControlLifecycle,
  last_action: ControlVerb,
  principal: Schema.String,
  rollback_checkpoint: Schema.NullOr(Schema.String)
})
export type ControlState = typeof ControlState.Type

/** One line of `control-audit.jsonl`. */
export const AuditRow = Schema.Struct({
  schema_version: Schema.Literal(1),
  timestamp_unix_ms: Schema.Int,
  principal: Schema.String,
  action: ControlVerb,
  action_key: Schema.String,
  lifecycle_state: Schema.NullOr(ControlLifecycle),
  idempotent: Schema.Boolean,
  rollback_checkpoint: Schema.NullOr(Schema.String),
  recovery_checkpoint_source: Schema.NullOr(Schema.Literal("primary", "fallback")),
  /** Only in rows of verbs that were not carried out: the policy's reason code. Such a row changed nothing. */
  decision: Schema.optionalWith(Schema.String, { exact: true }),
  /** Only in rows of verbs that were not carried out: `denied` by the policy, `refused` by the run's state, or `failed`. */
  outcome: Schema.optionalWith(ControlOutcome, { exact: true }),
  /** Number and hash of the row of the store's log that this one shows; none when there was no store. */
  n: Schema.optionalWith(Schema.Int, { exact: true }),
  hash: Schema.optionalWith(Schema.String, { exact: true })
})
export type AuditRow = typeof AuditRow.Type

/** A row of the store's log as the audit file shows it. */
export const auditRowOf = (entry: ControlEntry): AuditRow => ({
  schema_version: 1,
  timestamp_unix_ms: entry.atMs,
  principal: entry.principal,
  action: entry.action,
  action_key: entry.actionKey,
  lifecycle_state: entry.lifecycleState,
  idempotent: entry.idempotent === 1,
  rollback_checkpoint: entry.rollbackCheckpoint,
  recovery_checkpoint_source: entry.checkpointSource,
  ...(entry.outcome !== null && entry.outcome !== "done" && { decision: entry.decision, outcome: entry.outcome }),
  n: entry.n,
  hash: entry.hash
})

/** `recovery-report.json`: what `resume` found. */
export const RecoveryReport = Schema.Struct({
  schema_version: Schema.Literal(1),
  recovered_at_unix_ms: Schema.Int,
  principal: Schema.String,
  crash_detected: Schema.Boolean,
  prior_lifecycle_state: ControlLifecycle,
  /** State of the run as the status file has it; null without a run. */
  prior_training_state: Schema.NullOr(Schema.String),
  replayed_audit_events: Schema.Int,
  replayed_actions: Schema.Array(ControlVerb),
  checkpoint_source: Schema.NullOr(Schema.Literal("primary", "fallback")),
  checkpoint_run_id: Schema.NullOr(Schema.String),
  checkpoint_global_step: Schema.NullOr(Schema.Int),
  checkpoint_optimizer_step: Schema.NullOr(Schema.Int),
  diagnostics: Schema.Array(Schema.String),
  /** What the store has of the run; null without a run. */
  run: Schema.NullOr(Schema.Struct({
    run_id: Schema.String,
    rollouts: Schema.Int,
    finished: Schema.Int,
    /** Unfinished rollouts that were tried before and are taken up again, and those of them that the dead process held. */
    resumed: Schema.Int,
    requeued: Schema.Int,
    calls_replayed: Schema.Int,
    tokens_saved: Schema.Int,
    resources_versions: Schema.Array(Schema.Int)
  }))
})
export type RecoveryReport = typeof RecoveryReport.Type

const stateFile = (stateDir: string) => join(stateDir, "control-state.json")
export const auditFile = (stateDir: string) => join(stateDir, "control-audit.jsonl")
const reportFile = (stateDir: string) => join(stateDir, "recovery-report.json")

/** Null when no verb was ever carried out here. */
export const readState = (stateDir: string): Effect.Effect<ControlState | null, FileError> =>
  readJson(stateFile(stateDir), ControlState)

const writeState = (stateDir: string, state: ControlState): Effect.Effect<void, FileError> =>
  replace(stateFile(stateDir), text(state))

/**
 * Has the file tell of the last verb that was carried out. Of two at once the one that committed first may write last: so who has
 * written looks whether there is a later one, until there is none.
 */
export const followVerbs = (
  stateDir: string,
  own: Told
): Effect.Effect<void, FileError | StoreError, AuditTrail> =>
  Effect.gen(function*() {
    const trail = yield* AuditTrail
    let told = own
    while (true) {
      yield* writeState(stateDir, { schema_version: 1, updated_unix_ms: yield* Clock.currentTimeMillis, ...told })
      const last = (yield* trail.last(recentRows)).find(({ action, outcome }) =>
        action !== "status" && outcome === "done"
      )
      if (last === undefined || isTold(last, told)) return
      told = {
        lifecycle_state: last.lifecycleState,
        last_action: last.action,
        principal: last.principal,
        rollback_checkpoint: last.rollbackCheckpoint
      }
    }
  })

/** More verbs than are refused within one. */
const recentRows = 100

type Told = Omit<ControlState, "schema_version" | "updated_unix_ms">

const isTold = (row: ControlEntry, told: Told) =>
  row.lifecycleState === told.lifecycle_state && row.action === told.last_action && row.principal === told.principal &&
  row.rollbackCheckpoint === told.rollback_checkpoint

/** Has the file say where the store stands now, which a start sets back. Where no verb was ever carried out there is none. */
export const followLifecycle = (
  stateDir: string,
  lifecycleState: ControlLifecycle
): Effect.Effect<void, FileError> =>
  Effect.gen(function*() {
    const state = yield* readState(stateDir)
    if (state === null || state.lifecycle_state === lifecycleState) return
    const updated_unix_ms = yield* Clock.currentTimeMillis
    yield* writeState(stateDir, { ...state, updated_unix_ms, lifecycle_state: lifecycleState })
  })

export const writeReport = (stateDir: string, report: RecoveryReport): Effect.Effect<void, FileError> =>
  replace(reportFile(stateDir), text(report))

/** A row of a verb that found no store to be logged in. */
export const appendAudit = (stateDir: string, row: AuditRow): Effect.Effect<void, FileError> =>
  appendLine(auditFile(stateDir), JSON.stringify(row))

/** Brings the audit file up to date with the store's log: also rows that an earlier process did not live to write. */
export const followAudit = (stateDir: string): Effect.Effect<void, FileError | StoreError, AuditTrail> =>
  Effect.flatMap(
    AuditTrail,
    (trail) =>
      Effect.asVoid(
        follow(auditFile(stateDir), (n, limit) =>
          Effect.map(trail.after(n, limit), (entries) =>
            entries.map((entry) => ({ n: entry.n, text: JSON.stringify(auditRowOf(entry)), mark: entry.hash }))))
      )
  )

/** Fails when the audit file cannot be written: what could not be audited there must not be done. */
export const checkAudit = (stateDir: string): Effect.Effect<void, FileError> => checkAppendable(auditFile(stateDir))

/** Every row, oldest first. A malformed line fails with its number: a log with a hole proves nothing. */
export const readAudit = (stateDir: string): Effect.Effect<ReadonlyArray<AuditRow>, FileError> => {
  const file = auditFile(stateDir)
  return Effect.flatMap(readLog(file), (content) => {
    const lines = (content ?? "").split("\n")
    if (lines.at(-1) === "") lines.pop()
    return Effect.forEach(lines, (line, index) =>
      Effect.mapError(
        decodeRow(line),
        (error) => new FileError({ file, detail: `line ${index + 1} is not an audit row: ${detailOf(error)}` })
      ))
  })
}

const decodeRow = Schema.decode(Schema.parseJson(AuditRow), { errors: "all" })

/** Null when there is no file, which allows everything. A file that is no valid policy allows nothing. */
export const readPolicy = (file: string): Effect.Effect<RbacPolicy | null, FileError> =>
  readJson(file, RbacPolicy, "error")

/** The decoded file, or null when there is none. */
export const readJson = <A, I>(
  file: string,
  schema: Schema.Schema<A, I>,
  onExcessProperty: "ignore" | "error" = "ignore"
): Effect.Effect<A | null, FileError> =>
  Effect.flatMap(
    readText(file),
    (content) => {
      if (content === null) return Effect.succeed(null)
      const json = parseJson(content)
      if (json._tag === "syntax") {
        return new FileError({ file, detail: `line ${json.line}, column ${json.column}: ${json.text}` })
      }
      // Where a key that is misspelt must not pass, one that is there twice must not either: readers would disagree over it.
      if (onExcessProperty === "error" && json.problems.length > 0) {
        return new FileError({ file, detail: json.problems.map(({ path, text }) => `${path}: ${text}`).join("; ") })
      }
      return Effect.mapError(
        Schema.decodeUnknown(schema, { errors: "all", onExcessProperty })(json.value),
        (error) => new FileError({ file, detail: detailOf(error) })
      )
    }
  )

/** Every problem with its place: `$.bindings[0].roles: …`. */
const detailOf = (error: ParseResult.ParseError): string =>
  ParseResult.ArrayFormatter.formatErrorSync(error).map(({ message, path }) => {
    const place = path.map((key) => typeof key === "number" ? `[${key}]` : `.${String(key)}`).join("")
    return place === "" ? message : `$${place}: ${message}`
  }).join("; ")

export const text = (value: unknown): string => `${JSON.stringify(value, null, 2)}\n`
