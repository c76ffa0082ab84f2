/** What failed of a run for want of its model, agent or scorer: for its summary, and for whoever reads it later. */
import type * as SqlClient from "@effect/sql/SqlClient"
import * as Effect from "effect/Effect"
import type { RunId } from "../domain/Ids.js"
import { type BrokenBy, isNoEvaluation, type Tally } from "../domain/Noise.js"
import type { RolloutMode } from "../domain/Rollout.js"
import { brokenBy } from "./writer/broken.js"
import { allCounted } from "./writer/runCounts.js"

/** Rollouts that one cause broke: see `writer/broken.ts`. */
export interface Broken extends BrokenBy {
  readonly mode: RolloutMode
  /** Why one of them failed. */
  readonly error: string
}

interface ModeCounts {
  readonly mode: RolloutMode
  readonly rollouts: number
  readonly failed: number
}

const byCause = (sql: SqlClient.SqlClient, runId: RunId) =>
  sql<Broken>`SELECT mode, broken_by, count(*) AS rollouts, min(error) AS error
    FROM (SELECT r.mode, r.error, ${sql.literal(brokenBy)} AS broken_by FROM rollouts r
          WHERE r.run_id = ${runId} AND r.status = 'failed')
    WHERE broken_by IS NOT NULL GROUP BY 1, 2`

/**
 * What broke rollouts of a run so many of which are broken that it has no result; nothing where its scores say something. How many
 * failed says at once of most runs that their failures need no look.
 */
export const outageOf = (sql: SqlClient.SqlClient, runId: RunId) =>
  Effect.gen(function*() {
    const modes = yield* sql<ModeCounts>`SELECT mode, sum(${sql.literal(allCounted)}) AS rollouts, sum(failed) AS failed
      FROM run_counts WHERE run_id = ${runId} GROUP BY mode`
    const isOutage = (broken: (mode: ModeCounts) => number) =>
      isNoEvaluation(modes.map((mode): Tally => ({ rollouts: mode.rollouts, broken: broken(mode) })))
    if (!isOutage(({ failed }) => failed)) return []
    const broken = yield* byCause(sql, runId)
    return isOutage(({ mode }) => brokenIn(broken, mode)) ? broken : []
  })

/** Whether a rollout named `r` counts in a mean score of its run: of an outage, what broke does not, for it would count as 0. */
export const isCounted = (sql: SqlClient.SqlClient, runId: RunId) =>
  Effect.map(
    outageOf(sql, runId),
    (broken) => broken.length === 0 ? sql`TRUE` : sql`(r.status <> 'failed' OR ${sql.literal(brokenBy)} IS NULL)`
  )

export const brokenIn = (causes: ReadonlyArray<Broken>, mode: RolloutMode): number =>
  causes.reduce((sum, cause) => cause.mode === mode ? sum + cause.rollouts : sum, 0)
