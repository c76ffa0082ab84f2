/**
 * What a crash must not have done, as far as the store and what others saw can show it: the store's own invariants, nothing
 * changed that had ended, no answer lost that an agent held, no answer recorded that the model never gave. Only reads.
 */
import * as SqlClient from "@effect/sql/SqlClient"
import * as Effect from "effect/Effect"
import { dirname } from "node:path"
import type { AuditTrail } from "../store/AuditTrail.js"
import { type Breach, brokenInvariants, idsMax } from "../store/Invariants.js"
import { orStoreError } from "../store/reading.js"
import type { StoreError } from "../store/StoreError.js"
import { verifyAudit } from "./AuditVerification.js"
import { auditFile } from "./ControlFiles.js"
import type { FileError } from "./DurableFile.js"

/** What must never change again, and what must never fall. */
export interface Snapshot {
  /** By id: rollouts and attempts that have ended, rewards and events, each as text. */
  readonly settled: ReadonlyMap<string, string>
  /** Epochs by rollout. */
  readonly epochs: ReadonlyMap<string, number>
}

/** Seen from outside the killed process. */
export interface Witness {
  /** Answers that agents held whole, before they did anything else; null when nobody noted them. */
  readonly held: ReadonlyArray<{ readonly attemptId: string; readonly body: string }> | null
  /** Answers ids of all answers that the model server gave up to now, in their order; null when nobody notes them. */
  readonly served: (() => ReadonlyArray<string>) | null
}

/** Whether a process lived long enough to make the tables. */
export const hasTables: Effect.Effect<boolean, StoreError, SqlClient.SqlClient> = orStoreError(
  "reading the schema",
  Effect.flatMap(
    SqlClient.SqlClient,
    (sql) => Effect.map(sql`SELECT 1 FROM sqlite_schema WHERE name = 'run_events'`, (rows) => rows.length > 0)
  )
)

/** What holds at any moment, also of a store whose process has just been killed. */
export const broken = (
  storePath: string
): Effect.Effect<ReadonlyArray<Breach>, FileError | StoreError, AuditTrail | SqlClient.SqlClient> =>
  Effect.gen(function*() {
    const { broken } = yield* verifyAudit(auditFile(dirname(storePath)))
    const audit = broken === null ? [] : [{ invariant: "I25", what: "the audit log is one chain", ids: [broken] }]
    return [...yield* brokenInvariants, ...audit]
  })

export const snapshot: Effect.Effect<Snapshot, StoreError, SqlClient.SqlClient> = orStoreError(
  "reading what has ended",
  Effect.flatMap(SqlClient.SqlClient, (sql) =>
    sql.withTransaction(Effect.gen(function*() {
      const settled = yield* sql.unsafe<{ id: string; fixed: string }>(settledSql)
      const epochs = yield* sql.unsafe<{ id: string; epoch: number }>("SELECT id, epoch FROM rollouts")
      return {
        settled: new Map(settled.map(({ fixed, id }) => [id, fixed])),
        epochs: new Map(epochs.map(({ epoch, id }) => [id, epoch]))
      }
    })))
)

const settledSql = `
  SELECT id, json_array(status, epoch, attempts, failures, crashes, output, score, error, ended_at_ms) AS fixed
  FROM rollouts WHERE status IN ('succeeded', 'failed', 'cancelled')
  UNION ALL SELECT id, json_array(status, epoch, worker_id, error, ended_at_ms) FROM attempts
  WHERE status NOT IN ('preparing', 'running')
  UNION ALL SELECT attempt_id || ' reward ' || name, json_array(value, feedback) FROM rewards
  UNION ALL SELECT 'event ' || n, json_array(run_id, start, reason_code) FROM run_events
  UNION ALL SELECT 'verb ' || n, hash FROM control_log
  UNION ALL SELECT span_id, json_array(state, request_sha256, response_sha256, input_tokens, output_tokens) FROM spans
  WHERE state = 'done'`

/** What is wrong with the step from one moment to a later one. */
export const forbidden = (before: Snapshot, after: Snapshot): ReadonlyArray<Breach> => {
  const gone: Array<string> = []
  const changed: Array<string> = []
  for (const [id, was] of before.settled) {
    const is = after.settled.get(id)
    if (is === undefined) gone.push(id)
    else if (is !== was) changed.push(id)
  }
  const fell = [...before.epochs].filter(([id, epoch]) => (after.epochs.get(id) ?? epoch) < epoch).map(([id]) => id)
  return [
    ...breach("I20", "what was committed is there after the crash", gone),
    ...breach("I3", "what has ended does not change", changed),
    ...breach("I2", "an epoch never falls", fell)
  ]
}

/** The store against those who saw the calls from outside. `servedBefore` answers came before the start under way. */
export const unwitnessed = (
  { held, served: servedNow }: Witness,
  servedBefore: number
): Effect.Effect<ReadonlyArray<Breach>, StoreError, SqlClient.SqlClient> =>
  orStoreError(
    "comparing the store with what was seen from outside",
    Effect.gen(function*() {
      const sql = yield* SqlClient.SqlClient
      const found: Array<Breach> = []
      if (held !== null) {
        const lost: Array<string> = []
        for (const { attemptId, body } of held) {
          const spans = yield* sql<{ found: number }>`SELECT 1 AS found FROM spans s JOIN payloads p
            ON p.sha256 = s.response_sha256 WHERE s.attempt_id = ${attemptId} AND s.state = 'done'
            AND CAST(p.content AS TEXT) = ${body}`
          if (spans.length === 0) lost.push(attemptId)
        }
        found.push(...breach("I20", "an answer that an agent held whole is in the store, byte for byte", lost))
      }
      if (servedNow !== null) {
        const recorded = yield* sql<Recorded>`SELECT s.span_id AS id, CAST(p.content AS TEXT) AS body,
            s.attributes ->> '$."tau.replayed"' AS replayed FROM spans s JOIN payloads p ON p.sha256 = s.response_sha256
          WHERE s.state = 'done' AND s.kind = 'llm' AND s.status_code = 200`
        const answers = recorded.map(({ body, id, replayed }) => ({
          id,
          answer: answerIdOf(body),
          replayed: replayed === 1
        }))
        // Asked after the store: an answer is noted before its last byte leaves, hence before it is recorded.
        const served = servedNow()
        // The same question has the same answer, so that ids repeat: what counts is how often.
        const times = counts(answers.filter(({ replayed }) => !replayed).map(({ answer }) => answer))
        const given = counts(served)
        found.push(
          ...breach(
            "I20",
            "a recorded answer is one that the model gave",
            answers.filter(({ answer }) => !given.has(answer)).map(({ id }) => id)
          ),
          ...breach(
            "I20",
            "an answer is recorded no more often than the model gave it",
            [...times].filter(([id, n]) => n > (given.get(id) ?? n)).map(([id]) => id)
          ),
          ...breach(
            "I20",
            "every answer that was given since the last kill is recorded",
            [...counts(served.slice(servedBefore))].filter(([id, n]) => n > (times.get(id) ?? 0)).map(([id]) => id)
          )
        )
      }
      return found
    })
  )

interface Recorded {
  readonly id: string
  readonly body: string
  readonly replayed: number | null
}

const counts = (ids: ReadonlyArray<string>): ReadonlyMap<string, number> => {
  const found = new Map<string, number>()
  for (const id of ids) found.set(id, (found.get(id) ?? 0) + 1)
  return found
}

const answerIdOf = (body: string): string => {
  try {
    return String((JSON.parse(body) as { readonly id?: unknown }).id)
  } catch {
    return "no answer"
  }
}

const breach = (invariant: string, what: string, ids: ReadonlyArray<string>): ReadonlyArray<Breach> =>
  ids.length === 0 ? [] : [{ invariant, what, ids: ids.slice(0, idsMax) }]

/** `I8 (…): id, id`. */
export const breachLine = ({ ids, invariant, what }: Breach): string => `${invariant} (${what}): ${ids.join(", ")}`
