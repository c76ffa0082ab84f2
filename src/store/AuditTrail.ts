import * as SqlClient from "@effect/sql/SqlClient"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Schema from "effect/Schema"
import { ControlLifecycle, ControlOutcome, ControlVerb } from "../domain/Control.js"
import { type Numbered, numbered } from "./numbered.js"
import { auditHash } from "./writer/auditChain.js"

/** One row of the control log. Rows are never changed and never removed. */
export class ControlEntry extends Schema.Class<ControlEntry>("ControlEntry")({
  n: Schema.Int,
  atMs: Schema.Int,
  principal: Schema.String,
  action: ControlVerb,
  actionKey: Schema.String,
  /** After the verb; unchanged when it was not carried out. */
  lifecycleState: ControlLifecycle,
  idempotent: Schema.Literal(0, 1),
  /** The policy's reason code. */
  decision: Schema.String,
  detail: Schema.String,
  /** Null only in rows that are older than the chain. */
  outcome: Schema.NullOr(ControlOutcome),
  rollbackCheckpoint: Schema.NullOr(Schema.String),
  checkpointSource: Schema.NullOr(Schema.Literal("primary", "fallback")),
  prevHash: Schema.String,
  hash: Schema.String
}) {}

/** Why a row does not continue the chain, or null when it does. `before` is the row before it, null for the first. */
export const breakIn = (before: ControlEntry | null, row: ControlEntry): string | null => {
  const n = (before?.n ?? 0) + 1
  if (row.n !== n) return `row ${n} is missing: row ${row.n} follows ${before === null ? "nothing" : `row ${before.n}`}`
  if (row.prevHash !== (before?.hash ?? "")) return `row ${n} does not name the hash of the row before it`
  return row.hash === auditHash(row.prevHash, n, row) ? null : `row ${n} is not what its hash was made from`
}

/** The control log, for reading: needs no writer. `ControlLog` adds to it. */
export class AuditTrail extends Context.Tag("tau/store/AuditTrail")<AuditTrail, Numbered<ControlEntry>>() {
  static readonly layer = Layer.effect(
    AuditTrail,
    Effect.map(
      SqlClient.SqlClient,
      (sql) =>
        AuditTrail.of(numbered(sql, { table: "control_log", row: ControlEntry, operation: "reading the control log" }))
    )
  )
}
