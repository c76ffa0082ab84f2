import * as SqlClient from "@effect/sql/SqlClient"
import * as Clock from "effect/Clock"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import type { ControlLifecycle } from "../domain/Control.js"
import { RunId } from "../domain/Ids.js"
import type { RunStands, RunState } from "../domain/Lifecycle.js"
import { orStoreError } from "./reading.js"
import type { StoreError } from "./StoreError.js"
import {
  hasCrashed,
  isWorkedOn,
  type LastControl,
  lastControlSql,
  lifecycleOf,
  silenceOf,
  type StandingRow,
  standingSql,
  standsAs,
  statusStateOf
} from "./writer/standing.js"

/** The run that control verbs are about. */
export interface StandingRun {
  readonly id: RunId
  readonly state: RunState
  readonly desired: StandingRow["desired"]
  /** How it stands, in the word that everybody is told. */
  readonly stands: RunStands
  /** The state that the status file has for that. */
  readonly statusState: RunState
  readonly configPath: string
  /** Of the config as it was when the run was made: the same config continues it. */
  readonly configHash: string
  readonly modelRef: string
  /** What continues it, for a shell; null where it was begun by a program. */
  readonly restartCommand: string | null
  /** A process works on it now. */
  readonly isLive: boolean
  /** Of the start that is meant. */
  readonly pid: number
  /** Why the process that works on it seems stuck, in words; null when it does not, or none works on it. */
  readonly silence: string | null
  /** Unfinished, and its process died without closing it. */
  readonly hasCrashed: boolean
  readonly total: number
  readonly succeeded: number
  readonly failed: number
  readonly cancelled: number
}

export interface Standing {
  readonly lifecycleState: ControlLifecycle
  /** The unfinished run that was started last, else the run that was started last, else null. */
  readonly run: StandingRun | null
}

/** What operators ask first. Only reads, so that asking needs no writer. */
export class RunStanding extends Context.Tag("tau/store/RunStanding")<RunStanding, {
  readonly now: Effect.Effect<Standing, StoreError>
}>() {
  static readonly layer = Layer.effect(
    RunStanding,
    Effect.map(SqlClient.SqlClient, (sql) =>
      RunStanding.of({
        now: orStoreError(
          "reading where the run stands",
          Effect.gen(function*() {
            const nowMs = yield* Clock.currentTimeMillis
            const [row] = yield* sql.unsafe<StandingRow>(standingSql)
            const [last] = yield* sql.unsafe<LastControl>(lastControlSql)
            const lifecycleState = lifecycleOf(row, last)
            if (row === undefined) return { lifecycleState, run: null }
            const [counts] = yield* sql<Counts>`SELECT coalesce(sum(rollouts), 0) AS total,
                coalesce(sum(iif(status = 'succeeded', rollouts, 0)), 0) AS succeeded,
                coalesce(sum(iif(status = 'failed', rollouts, 0)), 0) AS failed,
                coalesce(sum(iif(status = 'cancelled', rollouts, 0)), 0) AS cancelled
              FROM run_results WHERE run_id = ${row.runId}`
            return {
              lifecycleState,
              run: {
                id: RunId.make(row.runId),
                state: row.state,
                desired: row.desired,
                stands: standsAs(row, nowMs),
                statusState: statusStateOf(row),
                configPath: row.configPath,
                configHash: row.configHash,
                modelRef: row.modelRef,
                restartCommand: row.restartCommand,
                isLive: isWorkedOn(row, nowMs),
                pid: row.pid,
                silence: silenceOf(row, nowMs),
                hasCrashed: hasCrashed(row, nowMs),
                ...counts!
              }
            }
          })
        )
      }))
  )
}

type Counts = Pick<StandingRun, "total" | "succeeded" | "failed" | "cancelled">
