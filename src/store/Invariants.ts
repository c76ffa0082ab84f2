/**
 * What is true of every store, whatever happened to its processes, as questions: each names the ids of what breaks it. They
 * only read, so that they can be asked of a store at rest and of one that is being written. The numbers are those of the
 * tests (`test/suites/invariants.ts`), which hold every backend to the same.
 */
import * as SqlClient from "@effect/sql/SqlClient"
import * as Effect from "effect/Effect"
import { orStoreError } from "./reading.js"
import type { StoreError } from "./StoreError.js"
import { crashesMax } from "./writer/rollouts.js"

/** An invariant that is broken, and by what. */
export interface Breach {
  /** `I8`, or `store` for the file itself. */
  readonly invariant: string
  /** What should have been true. */
  readonly what: string
  /** Up to `idsMax` of the rows that break it. */
  readonly ids: ReadonlyArray<string>
}

export interface Invariant {
  readonly name: string
  readonly what: string
  /** Rows with an `id` that break it. */
  readonly sql: string
}

/** Most ids that a breach names. */
export const idsMax = 20

const held = "('preparing', 'running')"
const terminal = "('succeeded', 'failed', 'cancelled')"

export const invariants: ReadonlyArray<Invariant> = [
  {
    name: "I1",
    what: "a rollout has at most one live attempt",
    sql: `SELECT rollout_id AS id FROM attempts WHERE status IN ${held} GROUP BY 1 HAVING count(*) > 1`
  },
  {
    name: "I2",
    what: "each attempt has a higher epoch than the one before, and none is above its rollout's",
    sql: `SELECT a.id FROM attempts a JOIN rollouts r ON r.id = a.rollout_id
      LEFT JOIN attempts b ON b.rollout_id = a.rollout_id AND b.n = a.n - 1 WHERE a.epoch > r.epoch OR a.epoch <= b.epoch`
  },
  {
    name: "I3",
    what: "a rollout has ended exactly when it is succeeded, failed or cancelled",
    sql: `SELECT id FROM rollouts WHERE (status IN ${terminal}) <> (ended_at_ms IS NOT NULL)`
  },
  {
    name: "I4",
    what: "the owner of a held rollout is the worker of its live attempt, under the same epoch",
    sql: `SELECT r.id FROM rollouts r LEFT JOIN attempts a ON a.rollout_id = r.id AND a.epoch = r.epoch
      WHERE r.status IN ${held} AND (a.worker_id IS NOT r.owner OR a.status IS NOT r.status)`
  },
  {
    name: "I5",
    what: "an attempt begins only after the one before it has ended without success",
    sql: `SELECT a.id FROM attempts a JOIN attempts b ON b.rollout_id = a.rollout_id AND b.n = a.n - 1
      WHERE b.status NOT IN ('failed', 'timeout', 'unresponsive') OR b.ended_at_ms > a.started_at_ms`
  },
  {
    name: "I6",
    what: "a rollout has an owner and a lease exactly while it is held",
    sql: `SELECT id FROM rollouts
      WHERE (owner IS NOT NULL) <> (status IN ${held}) OR (lease_until_ms IS NOT NULL) <> (status IN ${held})`
  },
  {
    name: "I7",
    what: "failures and crashes stay within their limits, and crashes are the attempts that became unresponsive",
    sql: `SELECT r.id FROM rollouts r WHERE r.failures > r.attempts_max OR r.crashes > ${crashesMax}
        OR (r.status NOT IN ${terminal} AND (r.failures >= r.attempts_max OR r.crashes >= ${crashesMax}))
        OR r.crashes <> (SELECT count(*) FROM attempts a WHERE a.rollout_id = r.id AND a.status = 'unresponsive')`
  },
  {
    name: "I8",
    what: "a rollout succeeded exactly when one attempt did, its last, and no attempt came after it",
    sql: `SELECT r.id FROM rollouts r WHERE (r.status = 'succeeded') <>
        ((SELECT count(*) FROM attempts a WHERE a.rollout_id = r.id AND a.status = 'succeeded') = 1)
      UNION SELECT a.rollout_id FROM attempts a JOIN rollouts r ON r.id = a.rollout_id
      WHERE a.status = 'succeeded' AND (a.epoch <> r.epoch OR a.n <> r.attempts)`
  },
  {
    name: "I9",
    what: "no attempt lives whose rollout is not held",
    sql: `SELECT a.id FROM attempts a JOIN rollouts r ON r.id = a.rollout_id
      WHERE a.status IN ${held} AND r.status NOT IN ${held}`
  },
  {
    name: "I10",
    what: "no attempt of an old epoch lives",
    sql: `SELECT a.id FROM attempts a JOIN rollouts r ON r.id = a.rollout_id
      WHERE a.status IN ${held} AND a.epoch <> r.epoch`
  },
  {
    name: "I11",
    what:
      "a call belongs to a reflection, or to an attempt of its rollout, began after it, and is marked late if it ended after it",
    sql: `SELECT s.span_id AS id FROM spans s JOIN attempts a ON a.id = s.attempt_id
      WHERE s.rollout_id <> a.rollout_id OR s.start_time_us < (a.started_at_ms - 1000) * 1000
        OR (s.state NOT IN ('open', 'unknown_after_crash') AND s.end_time_us > (a.ended_at_ms + 1000) * 1000
          AND s.attributes ->> '$."tau.late"' IS NOT 1)
      UNION ALL SELECT s.span_id FROM spans s WHERE s.run_id IS NOT NULL
        AND NOT EXISTS (SELECT 1 FROM attempts a WHERE a.id = s.attempt_id)
        AND NOT EXISTS (SELECT 1 FROM search_reflections f WHERE f.run_id = s.run_id
          AND s.rollout_id = f.run_id || printf('-reflect-%04d', f.n))`
  },
  {
    name: "I12",
    what: "rewards, outputs and scores are of attempts that succeeded",
    sql: `SELECT w.attempt_id AS id FROM rewards w LEFT JOIN attempts a ON a.id = w.attempt_id
        WHERE a.status IS NOT 'succeeded'
      UNION SELECT id FROM rollouts WHERE status <> 'succeeded' AND (output IS NOT NULL OR score IS NOT NULL)`
  },
  {
    name: "I13",
    what: "what was put back for a dead process was held by one that no longer works on the run",
    sql: `SELECT a.id FROM attempts a JOIN rollouts r ON r.id = a.rollout_id JOIN workers w ON w.id = a.worker_id
      WHERE a.error = 'its process died' AND w.process_id =
        (SELECT process_id FROM run_starts WHERE run_id = r.run_id ORDER BY n DESC LIMIT 1)`
  },
  {
    name: "I15",
    what: "a run that completed, or was cancelled, has no unfinished rollout",
    sql: `SELECT r.id FROM rollouts r JOIN runs u ON u.id = r.run_id
      WHERE u.state IN ('completed', 'cancelled') AND r.status NOT IN ${terminal}`
  },
  {
    name: "I16",
    what: "a position of a run has one rollout, and none is missing",
    sql:
      `SELECT run_id AS id FROM rollouts GROUP BY 1 HAVING count(*) <> count(DISTINCT ordinal) OR count(*) <> max(ordinal) + 1`
  },
  {
    name: "I17",
    what: "attempts are numbered from 1 without gaps, and counted",
    sql: `SELECT r.id FROM rollouts r LEFT JOIN attempts a ON a.rollout_id = r.id
      GROUP BY r.id HAVING count(a.id) <> r.attempts OR coalesce(max(a.n), 0) <> r.attempts`
  },
  {
    name: "I20",
    what: "an answer that was recorded is there, byte for byte",
    sql: `SELECT s.span_id AS id FROM spans s LEFT JOIN bodies p ON p.sha256 = s.response_sha256
      WHERE s.state = 'done' AND s.response_bytes > 0 AND p.sha256 IS NULL`
  },
  {
    name: "I21",
    what: "the calls of an attempt are numbered from 1 without gaps, unless the client numbers them",
    sql: `SELECT s.attempt_id AS id FROM spans s WHERE s.run_id IS NOT NULL GROUP BY 1
      HAVING (min(sequence_id) <> 1 OR max(sequence_id) <> count(*))
        AND count(s.attributes ->> '$."tau.client_sequence_id"') = 0`
  },
  {
    name: "I22",
    what: "an attempt runs under the resources that its rollout was enqueued with, and one version is the latest",
    sql: `SELECT a.id FROM attempts a JOIN rollouts r ON r.id = a.rollout_id
        LEFT JOIN resources v ON v.version = r.resources_version
        WHERE a.resources_version <> r.resources_version OR v.version IS NULL
      UNION SELECT 'resources' WHERE (SELECT count(*) FROM resources) > 0
        AND (SELECT count(*) FROM resources WHERE is_latest = 1) <> 1`
  },
  {
    name: "counted",
    what: "the counts of each run are what counting its rollouts anew comes to",
    sql: `WITH anew AS (SELECT run_id, resources_version, mode, sum(status = 'queuing') AS queuing,
          sum(status = 'preparing') AS preparing, sum(status = 'running') AS running, sum(status = 'requeuing') AS requeuing,
          sum(status = 'succeeded') AS succeeded, sum(status = 'failed') AS failed, sum(status = 'cancelled') AS cancelled,
          count(score) AS scored, coalesce(sum(score), 0.0) AS score_sum,
          coalesce(sum(score * score), 0.0) AS score_square_sum, coalesce(sum(score NOT IN (0, 1)), 0) AS partial
        FROM rollouts GROUP BY 1, 2, 3)
      SELECT coalesce(a.run_id, c.run_id) || ' ' || coalesce(a.mode, c.mode) || ' v' ||
          coalesce(a.resources_version, c.resources_version) AS id
      FROM anew a FULL JOIN run_counts c USING (run_id, resources_version, mode)
      WHERE (a.queuing, a.preparing, a.running, a.requeuing, a.succeeded, a.failed, a.cancelled, a.scored, a.partial)
          IS NOT (c.queuing, c.preparing, c.running, c.requeuing, c.succeeded, c.failed, c.cancelled, c.scored, c.partial)
        OR abs(a.score_sum - c.score_sum) > 1e-9 * (1 + abs(a.score_sum) + a.scored)
        OR abs(a.score_square_sum - c.score_square_sum) > 1e-9 * (1 + a.score_square_sum + a.scored)`
  },
  {
    name: "calls",
    what: "the calls that a run counts are the calls that were recorded; replayed ones cost nothing",
    sql:
      `SELECT u.id FROM runs u WHERE u.calls <> (SELECT count(*) FROM spans s WHERE s.run_id = u.id AND s.kind = 'llm'
        AND s.state NOT IN ('open', 'unknown_after_crash') AND s.attributes ->> '$."tau.replayed"' IS NOT 1)`
  },
  {
    name: "unknown",
    what: "a call that was under way when its process died is marked so by the next start",
    sql: `SELECT s.span_id AS id FROM spans s JOIN processes p ON p.id = s.process_id
      WHERE s.state = 'open' AND p.ended_at_ms IS NOT NULL`
  },
  {
    name: "requeued",
    what: "each start put back as many rollouts as it says",
    sql: `SELECT u.id FROM runs u WHERE (SELECT coalesce(sum(requeued), 0) FROM run_starts WHERE run_id = u.id) <>
        (SELECT count(*) FROM attempts a JOIN rollouts r ON r.id = a.rollout_id
          WHERE r.run_id = u.id AND a.error = 'its process died')`
  },
  {
    name: "events",
    what: "a start after a crash is told as job_recovered_after_restart, any other as job_started",
    sql:
      `SELECT s.run_id || ' start ' || s.n AS id FROM run_starts s LEFT JOIN run_starts b ON b.run_id = s.run_id AND b.n = s.n - 1
      WHERE NOT EXISTS (SELECT 1 FROM run_events e WHERE e.run_id = s.run_id AND e.start = s.n AND e.reason_code =
        CASE WHEN b.n IS NOT NULL AND b.ended_at_ms IS NULL THEN 'job_recovered_after_restart' ELSE 'job_started' END)`
  }
]

/** All that are broken, of one moment of the store. A damaged file is asked nothing else: its answers would mean nothing. */
export const brokenInvariants: Effect.Effect<ReadonlyArray<Breach>, StoreError, SqlClient.SqlClient> = orStoreError(
  "checking the store",
  Effect.flatMap(SqlClient.SqlClient, (sql) =>
    sql.withTransaction(Effect.gen(function*() {
      const damage = yield* sql.unsafe<{ quickCheck: string }>(`PRAGMA quick_check(${idsMax})`)
      const messages = damage.map(({ quickCheck }) => quickCheck).filter((message) => message !== "ok")
      if (messages.length > 0) return [{ ...soundFile, ids: messages }]
      const found: Array<Breach> = []
      for (const { name, sql: question, what } of invariants) {
        const rows = yield* sql.unsafe<{ id: string }>(`SELECT id FROM (${question}) LIMIT ${idsMax}`)
        if (rows.length > 0) found.push({ invariant: name, what, ids: rows.map(({ id }) => id) })
      }
      return found
    })).pipe(
      // Damage that hits the check itself.
      Effect.catchIf(isDamage, ({ cause }) => Effect.succeed([{ ...soundFile, ids: [String(cause)] }]))
    ))
)

const soundFile = { invariant: "store", what: "the file is sound" }

const isDamage = ({ cause }: { readonly cause?: unknown }): boolean =>
  /^SQLITE_(CORRUPT|NOTADB)/.test(String((cause as { readonly code?: unknown } | null)?.code))
