/**
 * The control log as a chain: every row carries the hash of the row before it and its own, so that a row that was changed,
 * removed or put in between shows. `docs/control.md` says how anybody can work the hashes out again.
 */
import { hash } from "node:crypto"
import type { ControlLifecycle, ControlOutcome, ControlVerb } from "../../domain/Control.js"
import type { Db } from "./Database.js"

/** What a row says, without its place in the chain. */
export interface Audited {
  readonly atMs: number
  readonly principal: string
  readonly action: ControlVerb
  readonly actionKey: string
  /** After the verb; where the store stood before when it was not carried out. */
  readonly lifecycleState: ControlLifecycle
  readonly idempotent: 0 | 1
  /** The policy's reason code. */
  readonly decision: string
  readonly detail: string
  /** Null only in rows of stores that are older than the chain. */
  readonly outcome: ControlOutcome | null
  readonly rollbackCheckpoint: string | null
  readonly checkpointSource: "primary" | "fallback" | null
}

/** What a row says, in the order of its columns, which is also that of its hash. */
const valuesOf = (row: Audited) => [
  row.atMs,
  row.principal,
  row.action,
  row.actionKey,
  row.lifecycleState,
  row.idempotent,
  row.decision,
  row.detail,
  row.outcome,
  row.rollbackCheckpoint,
  row.checkpointSource
]

/** SHA-256 of the row as canonical JSON (RFC 8785): an array, the hash of the row before it first, "" for the first row. */
export const auditHash = (prevHash: string, n: number, row: Audited): string =>
  hash(
    "sha256",
    JSON.stringify([
      prevHash,
      n,
      ...valuesOf(row)
    ]),
    "hex"
  )

/** Adds the row to the end of the chain, in the transaction of what it is about. */
export const appendAudited = (db: Db, given: Audited): void => {
  const row = {
    ...given,
    principal: storable(given.principal),
    detail: storable(given.detail),
    rollbackCheckpoint: given.rollbackCheckpoint === null ? null : storable(given.rollbackCheckpoint)
  }
  const last = db.prepare("SELECT n, hash FROM control_log ORDER BY n DESC LIMIT 1").get() as
    | { readonly n: number; readonly hash: string }
    | undefined
  const n = (last?.n ?? 0) + 1
  const prevHash = last?.hash ?? ""
  db.prepare(
    `INSERT INTO control_log (n, at_ms, principal, action, action_key, lifecycle_state, idempotent, decision, detail,
       outcome, rollback_checkpoint, checkpoint_source, prev_hash, hash)
     VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)`
  ).run(
    n,
    ...valuesOf(row),
    prevHash,
    auditHash(prevHash, n, row)
  )
}

/** What the file gives back: half a surrogate pair is stored as U+FFFD, and the hash must be of what is stored. */
const storable = (text: string): string => Buffer.from(text, "utf8").toString("utf8")
