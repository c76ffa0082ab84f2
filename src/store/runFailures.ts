/** What rollouts of a run failed with, for its summary and for whoever reads it later. */
import type * as SqlClient from "@effect/sql/SqlClient"
import * as SqlSchema from "@effect/sql/SqlSchema"
import * as Schema from "effect/Schema"
import { RunId } from "../domain/Ids.js"
import { lastAttempt } from "./writer/rollouts.js"

/** An error that rollouts of a run failed with. */
export class RunFailure extends Schema.Class<RunFailure>("RunFailure")({
  /** The first rollout that had it, and what its agent's last attempt wrote last to standard error. */
  id: Schema.String,
  stderrTail: Schema.NullOr(Schema.String),
  error: Schema.String,
  /** How many rollouts had it. */
  rollouts: Schema.Int
}) {}

/** Each error once, those of the first rollouts first. */
export const failuresOf = (sql: SqlClient.SqlClient) =>
  SqlSchema.findAll({
    Request: Schema.Struct({ runId: RunId, limit: Schema.Int }),
    Result: RunFailure,
    // Of a bare column SQLite takes the row that min() is of.
    execute: ({ limit, runId }) =>
      sql`SELECT r.id, r.error, r.rollouts, a.stderr_tail AS "stderrTail"
          FROM (SELECT id, attempts, coalesce(error, 'unknown') AS error, count(*) AS rollouts, min(ordinal) AS first
                FROM rollouts WHERE run_id = ${runId} AND status = 'failed' GROUP BY 3 ORDER BY first LIMIT ${limit}) r
          LEFT JOIN attempts a ON a.id = ${sql.literal(lastAttempt)} ORDER BY r.first`
  })
