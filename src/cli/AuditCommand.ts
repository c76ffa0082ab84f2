/** `tau audit`: the log of control verbs, listed or verified. Only reads. */
import * as Console from "effect/Console"
import * as DateTime from "effect/DateTime"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import { dirname } from "node:path"
import { counted } from "../domain/Figures.js"
import { columnsMax, safeJson, visible, wrapped } from "../domain/TerminalText.js"
import { type AuditVerdict, verifyAudit } from "../runtime/AuditVerification.js"
import { auditFile } from "../runtime/ControlFiles.js"
import type { FileError } from "../runtime/DurableFile.js"
import { AuditTrail, type ControlEntry } from "../store/AuditTrail.js"
import * as ReadOnlyStore from "../store/ReadOnlyStore.js"
import type { StoreError } from "../store/StoreError.js"
import { ExitCode } from "./ExitCode.js"

export interface AuditInput {
  readonly what: "verify" | "list"
  readonly storePath: string
  readonly limit: number
  readonly json: boolean
}

/** Exit code 1 when the log is not what was written, or cannot be read. */
export const run = (input: AuditInput): Effect.Effect<number, FileError | StoreError> =>
  Effect.provide(answer(input), AuditTrail.layer.pipe(Layer.provide(ReadOnlyStore.layer(input.storePath))))

const answer = ({ json, limit, storePath, what }: AuditInput) =>
  Effect.gen(function*() {
    const trail = yield* AuditTrail
    if (what === "list") {
      const entries = (yield* trail.last(limit)).toReversed()
      yield* Console.log(json ? safeJson({ schema_version: 1, rows: entries.map(toJson) }) : listText(entries))
      return ExitCode.success
    }
    const file = auditFile(dirname(storePath))
    const verdict = yield* verifyAudit(file)
    const places = { storePath, file }
    yield* Console.log(json ? safeJson(verdictJson(verdict, places)) : verdictText(verdict, places))
    return verdict.broken === null ? ExitCode.success : ExitCode.failure
  })

interface Places {
  readonly storePath: string
  readonly file: string
}

const verdictJson = ({ broken, brokenChain, file, headHash, rows }: AuditVerdict, places: Places) => ({
  schema_version: 1,
  intact: broken === null,
  broken,
  store_path: places.storePath,
  store_intact: brokenChain === null,
  rows,
  head_hash: headHash,
  audit_path: places.file,
  audit_present: file.present,
  audit_intact: file.broken === null,
  audit_rows: file.rows,
  audit_rows_behind: file.behind,
  audit_rows_without_store: file.withoutStore
})

/** The store's chain and the file are two: what is wrong with one is not held against the other. */
const verdictText = ({ broken, brokenChain, file, headHash, rows }: AuditVerdict, places: Places): string =>
  [
    broken === null ? `The audit log is intact: ${counted(rows, "row")}.` : `The audit log is broken: ${broken}.`,
    `  head      ${headHash ?? "none"}`,
    `  store     ${places.storePath}, ${soFar(rows, brokenChain)}`,
    `  file      ${places.file}, ${file.present ? soFar(file.rows, file.broken) : "not there"}`,
    ...(file.behind === 0 ? [] : [`            ${counted(file.behind, "row")} behind; the next verb makes that good`]),
    ...(file.withoutStore === 0
      ? []
      : [`            ${counted(file.withoutStore, "row")} of verbs that found no store`])
  ].join("\n")

const soFar = (rows: number, broken: string | null) =>
  broken === null ? `${counted(rows, "row")} good` : `broken after ${counted(rows, "good row")}`

const toJson = (entry: ControlEntry) => ({
  n: entry.n,
  timestamp_unix_ms: entry.atMs,
  principal: entry.principal,
  action: entry.action,
  action_key: entry.actionKey,
  lifecycle_state: entry.lifecycleState,
  idempotent: entry.idempotent === 1,
  decision: entry.decision,
  outcome: entry.outcome,
  detail: entry.detail,
  rollback_checkpoint: entry.rollbackCheckpoint,
  recovery_checkpoint_source: entry.checkpointSource,
  prev_hash: entry.prevHash,
  hash: entry.hash
})

const listText = (entries: ReadonlyArray<ControlEntry>): string =>
  entries.length === 0
    ? "No verb was asked for yet. How the run stands:\n  tau --prompt-optimization-control-status"
    : entries.flatMap(({ action, atMs, decision, detail, idempotent, n, outcome, principal }) => [
      ...hanging(
        `${String(n).padStart(4)}  ${DateTime.formatIso(DateTime.unsafeMake(atMs))}  ${action} by ${named(principal)}: `
          + `${outcome ?? "logged"}${outcome === "done" && idempotent === 1 ? ", nothing changed" : ""}`
      ),
      ...indented(visible(outcome === "denied" ? decision : detail))
    ]).join("\n")

const indent = 6

const indented = (text: string) => wrapped(text, columnsMax - indent).map((line) => " ".repeat(indent) + line)

/** A principal may have any length. */
const hanging = (line: string) => {
  const [first = ""] = wrapped(line, columnsMax)
  return first === line ? [line] : [first, ...indented(line.slice(first.length).trimStart())]
}

/** A blank name is no name, and shows as what it is. */
const named = (principal: string) => principal.trim() === "" ? JSON.stringify(principal) : visible(principal)
