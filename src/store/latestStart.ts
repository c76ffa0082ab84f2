import type * as SqlClient from "@effect/sql/SqlClient"

/** Number of the last start of a run, for a query in which `runId` names the run. */
export const latestStart = (sql: SqlClient.SqlClient, runId: string) =>
  sql.literal(`(SELECT max(n) FROM run_starts WHERE run_id = ${runId})`)
