/** The files of the control plane: projections of the store for outside tools, and the policy that guards the verbs. */
import * as Effect from "effect/Effect"
import * as ParseResult from "effect/ParseResult"
import * as Schema from "effect/Schema"
import { join } from "node:path"
import { ControlLifecycle, ControlVerb } from "../domain/Control.js"
import { RbacPolicy } from "../domain/Rbac.js"
import { appendLine, FileError, readText, replace } from "./DurableFile.js"

/** `control-state.json`: where the last verb left the store. */
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
  /** Only in the rows of verbs that the policy denied: the reason code. Such a row changed nothing. */
  decision: Schema.optionalWith(Schema.String, { exact: true })
})
export type AuditRow = typeof AuditRow.Type

/** `recovery-report.json`: what `resume` found. */
export const RecoveryReport = Schema.Struct({
  schema_version: Schema.Literal(1),
  recovered_at_unix_ms: Schema.Int,
  principal: Schema.String,
  crash_detected: Schema.Boolean,
  prior_lifecycle_state: ControlLifecycle,
  /** State of the run in the store; null without a run. */
  prior_training_state: Schema.NullOr(Schema.String),
  replayed_audit_events: Schema.Int,
  replayed_actions: Schema.Array(ControlVerb),
  checkpoint_source: Schema.NullOr(Schema.Literal("primary", "fallback")),
  checkpoint_run_id: Schema.NullOr(Schema.String),
  checkpoint_global_step: Schema.NullOr(Schema.Int),
  checkpoint_optimizer_step: Schema.NullOr(Schema.Int),
  diagnostics: Schema.Array(Schema.String)
})
export type RecoveryReport = typeof RecoveryReport.Type

const stateFile = (stateDir: string) => join(stateDir, "control-state.json")
const auditFile = (stateDir: string) => join(stateDir, "control-audit.jsonl")
const reportFile = (stateDir: string) => join(stateDir, "recovery-report.json")

/** Null when no verb was ever carried out here. */
export const readState = (stateDir: string): Effect.Effect<ControlState | null, FileError> =>
  readJson(stateFile(stateDir), ControlState)

export const writeState = (stateDir: string, state: ControlState): Effect.Effect<void, FileError> =>
  replace(stateFile(stateDir), text(state))

export const writeReport = (stateDir: string, report: RecoveryReport): Effect.Effect<void, FileError> =>
  replace(reportFile(stateDir), text(report))

export const appendAudit = (stateDir: string, row: AuditRow): Effect.Effect<void, FileError> =>
  appendLine(auditFile(stateDir), JSON.stringify(row))

/** Every row, oldest first. A malformed line fails with its number: a log with a hole proves nothing. */
export const readAudit = (stateDir: string): Effect.Effect<ReadonlyArray<AuditRow>, FileError> => {
  const file = auditFile(stateDir)
  return Effect.flatMap(readText(file), (content) => {
    const lines = (content ?? "").split("\n")
    if (lines.at(-1) === "") lines.pop()
    return Effect.forEach(lines, (line, index) =>
      Effect.mapError(
        decode(file, AuditRow, "ignore")(line),
        ({ detail }) => new FileError({ file, detail: `line ${index + 1} is not an audit row: ${detail}` })
      ))
  })
}

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
    (content) => content === null ? Effect.succeed(null) : decode(file, schema, onExcessProperty)(content)
  )

const decode = <A, I>(file: string, schema: Schema.Schema<A, I>, onExcessProperty: "ignore" | "error") => {
  const decodeText = Schema.decode(Schema.parseJson(schema), { errors: "all", onExcessProperty })
  return (content: string): Effect.Effect<A, FileError> =>
    Effect.mapError(decodeText(content), (error) => new FileError({ file, detail: detailOf(error) }))
}

/** Every problem with its place: `$.bindings[0].roles: …`. */
const detailOf = (error: ParseResult.ParseError): string =>
  ParseResult.ArrayFormatter.formatErrorSync(error).map(({ message, path }) => {
    const place = path.map((key) => typeof key === "number" ? `[${key}]` : `.${String(key)}`).join("")
    return place === "" ? message : `$${place}: ${message}`
  }).join("; ")

export const text = (value: unknown): string => `${JSON.stringify(value, null, 2)}\n`
