/** Reads what the dashboard tells: the facts of the moment, and the payloads that are made of them. */
import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import { ActivityReader } from "../store/ActivityReader.js"
import { RunEvents } from "../store/RunEvents.js"
import { type Run, RunReader } from "../store/RunReader.js"
import { RunStanding } from "../store/RunStanding.js"
import { runTotals } from "../store/runTotals.js"
import type { StoreError } from "../store/StoreError.js"
import { WorkerReader } from "../store/WorkerReader.js"
import { DashboardStore, type Readers } from "./DashboardStore.js"
import type { Snapshot, Widget } from "./Payloads.js"
import { alertsOf, type Facts, standingOf } from "./Standing.js"
import { training } from "./TrainingStatus.js"

/** Most live workers that are counted. */
const workersMax = 1_000

/** Everything at one moment. A store that is not there is told of; one that cannot be read fails. */
export const snapshot: Effect.Effect<Snapshot, StoreError, DashboardStore> = Effect.gen(function*() {
  const { path, read } = yield* DashboardStore
  const nowMs = yield* Clock.currentTimeMillis
  const found = yield* read(questions).pipe(Effect.catchTag("StoreAbsent", () => Effect.succeed(nothing)))
  const facts: Facts = {
    ...found,
    training: yield* training(
      path,
      found.standing?.run ?? null,
      found.diagnostics
    )
  }
  return {
    schema_version: 1,
    generated_unix_ms: nowMs,
    training: facts.training,
    health: standingOf(facts),
    widgets: widgetsOf(facts, found),
    alerts: alertsOf(facts)
  }
})

const questions = Effect.gen(function*() {
  const runs = yield* RunReader
  const activity = yield* ActivityReader
  const standing = yield* (yield* RunStanding).now
  const id = standing.run?.id ?? null
  const run = id === null ? null : Option.getOrNull(yield* runs.get(id))
  const { diagnostics, queueDepth } = yield* (yield* RunEvents).health
  const { audited, processed, runs: count } = yield* activity.overall
  const workers = yield* (yield* WorkerReader).page({ after: null, limit: workersMax, runId: null, isLive: true })
  return {
    standing,
    run,
    runs: count,
    processed,
    meanScore: run === null ? null : (yield* runTotals(run)).totals.meanScore,
    queueDepth,
    diagnostics,
    failureStreak: id === null ? 0 : yield* activity.failureStreak(id),
    audited,
    workers: workers.items.length
  }
}).pipe(Effect.catchTag("UnknownCursor", Effect.die)) satisfies Effect.Effect<Found, StoreError, Readers>

interface Found extends Omit<Facts, "training"> {
  readonly run: Run | null
  readonly runs: number
  readonly meanScore: number | null
  readonly diagnostics: ReadonlyArray<string>
  readonly workers: number
}

const nothing: Found = {
  standing: null,
  run: null,
  runs: 0,
  processed: 0,
  meanScore: null,
  queueDepth: 0,
  diagnostics: ["there is no store"],
  failureStreak: 0,
  audited: 0,
  workers: 0
}

const widgetsOf = (facts: Facts, found: Found): ReadonlyArray<Widget> => {
  const run = facts.standing?.run ?? null
  const ended = run === null ? 0 : run.succeeded + run.failed
  const counts = (id: string, title: string, value: number, unit: Widget["unit"] = "count"): Widget => ({
    id,
    title,
    value,
    unit
  })
  return [
    counts("runs", "Runs in the store", found.runs),
    counts("rollouts_total", "Rollouts of the run", run?.total ?? 0),
    counts("rollouts_finished", "Finished rollouts of the run", run === null ? 0 : ended + run.cancelled),
    counts("queue_depth", "Rollouts that wait", facts.queueDepth),
    counts("workers_live", "Live workers", found.workers),
    {
      id: "success_rate",
      title: "Succeeded of those that ended",
      value: ended === 0 ? null : run!.succeeded / ended,
      unit: "ratio"
    },
    { id: "mean_score", title: "Mean score of the run", value: found.meanScore, unit: "score" },
    counts("calls", "Model calls of the run", found.run?.calls ?? 0),
    counts("input_tokens", "Tokens in", found.run?.inputTokens ?? 0, "tokens"),
    counts("output_tokens", "Tokens out", found.run?.outputTokens ?? 0, "tokens")
  ]
}
