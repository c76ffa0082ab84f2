import * as SqlClient from "@effect/sql/SqlClient"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import { lookedAtMax } from "./Page.js"
import { orStoreError } from "./reading.js"
import type { StoreError } from "./StoreError.js"
import { isNobodysFailure } from "./writer/rollouts.js"

/** A time that a rollout spent waiting or being worked on; open at its end while it lasts. Unix milliseconds. */
export interface Stretch {
  readonly fromMs: number
  readonly toMs: number | null
}

/** What happened to the rollouts of a run in a window of time. */
export interface Activity {
  readonly waiting: ReadonlyArray<Stretch>
  readonly attempts: ReadonlyArray<Stretch>
  /** Rollouts that ended, and how. */
  readonly endings: ReadonlyArray<{ readonly atMs: number; readonly status: "succeeded" | "failed" | "cancelled" }>
  /** False when more rows were there than are looked at: the oldest part of the window is then too low. */
  readonly complete: boolean
}

/** Rows that are looked at for the failure streak: more than the workers of a run, which end in any order. */
const recentMax = 256

/** What a run has been doing of late, for dashboards. Looks at a bounded number of rows, however large the store. */
export class ActivityReader extends Context.Tag("tau/store/ActivityReader")<ActivityReader, {
  /**
   * How many of the run's attempts that ended last, one after another, did not succeed. At most 256; those that were handed back, or
   * cancelled with the run, say nothing.
   */
  readonly failureStreak: (runId: string) => Effect.Effect<number, StoreError>
  readonly since: (runId: string, sinceMs: number) => Effect.Effect<Activity, StoreError>
  /** Counts over the whole store: runs, ended rollouts, rows of the control log. */
  readonly overall: Effect.Effect<
    { readonly runs: number; readonly processed: number; readonly audited: number },
    StoreError
  >
}>() {
  static readonly layer = Layer.effect(
    ActivityReader,
    Effect.map(SqlClient.SqlClient, (sql) => {
      const attemptsOf = (runId: string, limit: number) =>
        sql<AttemptRow>`SELECT a.status, a.error, a.started_at_ms, a.ended_at_ms,
                               r.status AS rollout_status, r.created_at_ms, r.ended_at_ms AS rollout_ended_at_ms,
                               (SELECT max(n) FROM attempts WHERE rollout_id = a.rollout_id) = a.n AS is_last,
                               (SELECT ended_at_ms FROM attempts b
                                WHERE b.rollout_id = a.rollout_id AND b.n = a.n - 1) AS before_ended_at_ms
          FROM (SELECT * FROM attempts ORDER BY rowid DESC LIMIT ${limit}) a JOIN rollouts r ON r.id = a.rollout_id
          WHERE r.run_id = ${runId}`
      const waitingOf = (runId: string) =>
        sql<{ fromMs: number }>`SELECT CASE status WHEN 'queuing' THEN created_at_ms ELSE
                 coalesce((SELECT max(ended_at_ms) FROM attempts WHERE rollout_id = rollouts.id), created_at_ms) END AS from_ms
          FROM rollouts WHERE run_id = ${runId} AND status IN ('queuing', 'requeuing') LIMIT ${lookedAtMax + 1}`
      const cancelledOf = (runId: string) =>
        sql<{ fromMs: number; toMs: number }>`SELECT created_at_ms AS from_ms, ended_at_ms AS to_ms FROM rollouts
          WHERE run_id = ${runId} AND status = 'cancelled'
            AND NOT EXISTS (SELECT 1 FROM attempts WHERE rollout_id = rollouts.id) LIMIT ${lookedAtMax + 1}`

      return ActivityReader.of({
        failureStreak: (runId) =>
          orStoreError(
            "reading the last attempts",
            Effect.map(attemptsOf(runId, recentMax), (rows) => {
              const ended = rows
                .filter(({ endedAtMs, error, status }) =>
                  endedAtMs !== null && status !== "preparing" && !isNobodysFailure(error)
                )
                .toSorted((one, other) => other.endedAtMs! - one.endedAtMs! || other.startedAtMs - one.startedAtMs)
              const firstGood = ended.findIndex(({ status }) => status === "succeeded")
              return firstGood === -1 ? ended.length : firstGood
            })
          ),
        since: (runId, sinceMs) =>
          orStoreError(
            "reading what a run did",
            Effect.gen(function*() {
              const attempts = yield* attemptsOf(runId, lookedAtMax)
              const waiting = yield* waitingOf(runId)
              const cancelled = yield* cancelledOf(runId)
              const [all] = yield* sql<{ count: number }>`SELECT count(*) AS count
                FROM (SELECT 1 FROM attempts LIMIT ${lookedAtMax + 1})`
              const isRecent = ({ toMs }: Stretch) => toMs === null || toMs >= sinceMs
              return {
                waiting: [
                  ...waiting.map(({ fromMs }) => ({ fromMs, toMs: null })),
                  ...cancelled,
                  ...attempts.map((row) => ({ fromMs: row.beforeEndedAtMs ?? row.createdAtMs, toMs: row.startedAtMs }))
                ].filter(isRecent),
                attempts: attempts.map((row) => ({ fromMs: row.startedAtMs, toMs: row.endedAtMs })).filter(isRecent),
                endings: [
                  ...attempts.flatMap(({ isLast, rolloutEndedAtMs, rolloutStatus }) =>
                    isLast === 1 && rolloutEndedAtMs !== null && isEnding(rolloutStatus)
                      ? [{ atMs: rolloutEndedAtMs, status: rolloutStatus }]
                      : []
                  ),
                  ...cancelled.map(({ toMs }) => ({ atMs: toMs, status: "cancelled" as const }))
                ].filter(({ atMs }) => atMs >= sinceMs),
                complete: [all?.count ?? 0, waiting.length, cancelled.length].every((count) => count <= lookedAtMax)
              }
            })
          ),
        overall: orStoreError(
          "counting runs",
          Effect.map(
            sql<{ runs: number; processed: number; audited: number }>`SELECT
              (SELECT count(*) FROM runs) AS runs,
              (SELECT coalesce(sum(rollouts), 0) FROM run_results
               WHERE status IN ('succeeded', 'failed', 'cancelled')) AS processed,
              (SELECT coalesce(max(n), 0) FROM control_log) AS audited`,
            ([row]) => row!
          )
        )
      })
    })
  )
}

const isEnding = (status: string): status is Activity["endings"][number]["status"] =>
  status === "succeeded" || status === "failed" || status === "cancelled"

interface AttemptRow {
  readonly status: string
  readonly error: string | null
  readonly startedAtMs: number
  readonly endedAtMs: number | null
  readonly rolloutStatus: string
  readonly createdAtMs: number
  readonly rolloutEndedAtMs: number | null
  readonly isLast: 0 | 1
  readonly beforeEndedAtMs: number | null
}
