import { assert, describe, it } from "@effect/vitest"
import Sqlite from "better-sqlite3"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Layer from "effect/Layer"
import * as Scope from "effect/Scope"
import { execFileSync } from "node:child_process"
import { closeSync, constants, openSync, readdirSync, writeFileSync } from "node:fs"
import { join } from "node:path"
import { AttemptFailed } from "../../src/runtime/Executor.js"
import { beginCrashedRun, beginRun, controlStoreIn } from "../support/control.js"
import { type Body, dashboardAt, listening } from "../support/dashboard.js"
import { runIn, runtimeAt } from "../support/runtime.js"
import { scratchFolder } from "../support/store.js"
import { eventually } from "../support/upstream.js"

const trainingKeys = [
  "status_path",
  "status_present",
  "updated_unix_ms",
  "run_state",
  "model_ref",
  "store_path",
  "total_rollouts",
  "succeeded",
  "failed",
  "cancelled",
  "diagnostics"
]
const healthKeys = [
  "health_state",
  "health_reason",
  "rollout_gate",
  "control_mode",
  "queue_depth",
  "failure_streak",
  "last_cycle_failed",
  "last_cycle_completed",
  "processed_case_count",
  "control_audit_count"
]
const head = ["schema_version", "generated_unix_ms", "training"]

const codes = (alerts: Body): ReadonlyArray<string> => alerts.map(({ code }: Body) => code)

const messageOf = (alerts: Body, wanted: string): string => alerts.find(({ code }: Body) => code === wanted)?.message

const dashboardIn = (folder: string) => dashboardAt(join(folder, "store.sqlite"))

/** A run that is over, made by the runtime with an agent that answers as it is told. */
const finishedRun = (folder: string, count: number) =>
  runIn(folder, count).pipe(Effect.provide(runtimeAt(folder, { execute: () => Effect.succeed({ output: "4" }) })))

const refusedKey = Effect.fail(
  new AttemptFailed({ reason: "http", detail: "401", permanent: true, stderrTail: null })
)

describe("what the dashboard tells", { timeout: 120_000 }, () => {
  it.scopedLive("tells of a store that is not there, and of the one that is made later", () =>
    Effect.gen(function*() {
      const folder = yield* scratchFolder
      const { act, ask } = yield* dashboardIn(folder)
      const { json } = yield* ask("/dashboard/health")
      assert.hasAllKeys(json, [...head, ...healthKeys])
      assert.hasAllKeys(json.training, trainingKeys)
      assert.deepInclude(json, { health_state: "unknown", rollout_gate: "hold", queue_depth: 0, schema_version: 1 })
      assert.deepInclude(json.training, { status_present: false, run_state: null, total_rollouts: 0 })
      const { json: { alerts } } = yield* ask("/dashboard/alerts")
      assert.deepStrictEqual(codes(alerts), ["dashboard_state_missing"])
      assert.strictEqual((yield* ask("/dashboard/api/runs")).status, 404)
      // The page of a store whose folder was moved away has the button, too.
      const { json: refused, status } = yield* act("pause", "a look")
      assert.deepStrictEqual([status, refused.error.code], [503, "dashboard_store_unavailable"])
      assert.strictEqual(refused.error.message, `there is no store at ${join(folder, "store.sqlite")}`)
      assert.deepStrictEqual(readdirSync(folder), [])
      yield* finishedRun(folder, 1)
      yield* eventually(
        "the run is seen",
        Effect.map(ask("/dashboard/health"), ({ json }) => json.processed_case_count === 1 ? true : undefined)
      )
    }))

  it.scopedLive("tells of a run that is over, field by field", () =>
    Effect.gen(function*() {
      const folder = yield* scratchFolder
      yield* finishedRun(folder, 3)
      const { ask } = yield* dashboardIn(folder)
      const { json: health } = yield* ask("/dashboard/health")
      assert.hasAllKeys(health, [...head, ...healthKeys])
      assert.deepInclude(health, {
        health_state: "healthy",
        rollout_gate: "pass",
        control_mode: "running",
        queue_depth: 0,
        failure_streak: 0,
        last_cycle_failed: 0,
        last_cycle_completed: 3,
        processed_case_count: 3,
        control_audit_count: 0
      })
      assert.deepInclude(health.training, {
        status_path: join(folder, "status.json"),
        status_present: true,
        run_state: "completed",
        model_ref: "fake/model",
        store_path: join(folder, "store.sqlite"),
        total_rollouts: 3,
        succeeded: 3,
        failed: 0,
        cancelled: 0,
        diagnostics: []
      })
      const { json: alerts } = yield* ask("/dashboard/alerts")
      assert.hasAllKeys(alerts, [...head, "alerts"])
      assert.deepStrictEqual(alerts.alerts.map(({ code, severity }: Body) => [code, severity]), [[
        "dashboard_healthy",
        "info"
      ]])
      const { json: widgets } = yield* ask("/dashboard/widgets")
      assert.hasAllKeys(widgets, [...head, "widgets"])
      for (const widget of widgets.widgets) assert.hasAllKeys(widget, ["id", "title", "value", "unit"])
      const value = (id: string) => widgets.widgets.find((widget: Body) => widget.id === id).value
      assert.deepStrictEqual([value("runs"), value("rollouts_finished"), value("success_rate"), value("mean_score")], [
        1,
        3,
        1,
        1
      ])
      const store = new Sqlite(join(folder, "store.sqlite"))
      store.exec("UPDATE runs SET config = json_set(config, '$.optimizer.algorithm', 'gepa')")
      store.close()
      const scoreNow = Effect.map(
        ask("/dashboard/widgets"),
        ({ json }) => json.widgets.find(({ id }: Body) => id === "mean_score").value
      )
      yield* eventually("no score of a search", Effect.map(scoreNow, (score) => score === null ? true : undefined))
    }))

  it.scopedLive("counts the timeline from the rows", () =>
    Effect.gen(function*() {
      const folder = yield* scratchFolder
      yield* finishedRun(folder, 4)
      const { ask } = yield* dashboardIn(folder)
      const { json } = yield* ask("/dashboard/queue-timeline?bucket_ms=60000&buckets=10")
      assert.hasAllKeys(json, [...head, "run_id", "bucket_ms", "complete", "buckets"])
      assert.strictEqual(json.buckets.length, 10)
      assert.deepInclude(json, { bucket_ms: 60_000, complete: true })
      for (const bucket of json.buckets) {
        assert.hasAllKeys(bucket, [
          "start_unix_ms",
          "end_unix_ms",
          "queued",
          "running",
          "succeeded",
          "failed",
          "cancelled"
        ])
        assert.strictEqual(bucket.end_unix_ms - bucket.start_unix_ms, 60_000)
      }
      assert.strictEqual(json.buckets.reduce((sum: number, { succeeded }: Body) => sum + succeeded, 0), 4)
      assert.deepInclude(json.buckets.at(-1), { queued: 0, running: 0, failed: 0 })
      assert.strictEqual((yield* ask("/dashboard/queue-timeline?run=run-9999-nobody")).status, 404)
      assert.strictEqual((yield* ask("/dashboard/queue-timeline?buckets=501")).status, 400)
    }))

  it.scopedLive("calls three attempts without success in a row failing, and holds the gate", () =>
    Effect.gen(function*() {
      const folder = yield* scratchFolder
      yield* runIn(folder, 3).pipe(Effect.provide(runtimeAt(folder, { execute: () => refusedKey })))
      const { ask } = yield* dashboardIn(folder)
      assert.deepInclude((yield* ask("/dashboard/health")).json, {
        health_state: "failing",
        rollout_gate: "hold",
        failure_streak: 3,
        last_cycle_failed: 3
      })
      const { json: { alerts } } = yield* ask("/dashboard/alerts")
      assert.deepStrictEqual(alerts.map(({ code, severity }: Body) => [code, severity]), [
        ["dashboard_training_failures", "critical"]
      ])
      // Another run may have ended since, and be the one of the status file.
      assert.match((yield* ask("/dashboard/health")).json.health_reason, /^the last 3 attempts of run-0001-\w+ did not/)
      assert.match(alerts[0].message, /^3 rollouts of run-0001-\w+ failed; /)
    }))

  it.scopedLive("names a run whose process died", () =>
    Effect.gen(function*() {
      const folder = yield* scratchFolder
      yield* Effect.provide(beginCrashedRun(2), controlStoreIn(folder))
      const { ask } = yield* dashboardIn(folder)
      const { json } = yield* ask("/dashboard/health")
      assert.deepInclude(json, { health_state: "degraded", rollout_gate: "hold", queue_depth: 2 })
      const { json: { alerts } } = yield* ask("/dashboard/alerts")
      assert.deepStrictEqual(codes(alerts), ["dashboard_run_crashed", "dashboard_queue_backlog"])
      assert.match(json.training.diagnostics.join(), /the process of run-0001-\w+ died/)
    }))

  it.scopedLive("pauses and resumes as the control verbs do, in the same log", () =>
    Effect.gen(function*() {
      const folder = yield* scratchFolder
      // The process of the run stays: resuming a run whose process died needs a checkpoint.
      yield* Effect.provide(beginRun(2), yield* Layer.build(controlStoreIn(folder)))
      const { act, ask } = yield* dashboardIn(folder)
      const paused = yield* act("pause", "lunch")
      assert.strictEqual(paused.status, 200, paused.text)
      assert.hasAllKeys(paused.json, [
        ...head,
        "request_id",
        "action",
        "actor",
        "reason",
        "status",
        "detail",
        "timestamp_unix_ms",
        "control_mode",
        "health_state",
        "health_reason",
        "rollout_gate"
      ])
      assert.deepInclude(paused.json, {
        action: "pause",
        actor: "local:tester",
        reason: "lunch",
        status: "done",
        control_mode: "paused",
        rollout_gate: "hold"
      })
      assert.strictEqual((yield* act("pause")).json.status, "unchanged")
      const { json: { alerts } } = yield* ask("/dashboard/alerts")
      assert.strictEqual(
        messageOf(alerts, "dashboard_operator_pause_active"),
        "an operator paused the run; resume lets it go on"
      )
      assert.strictEqual((yield* act("refresh", "look")).json.status, "done")
      // As a run writes it, which hears of the resume a moment after it.
      const status = { schema_version: 1, updated_unix_ms: 1, run_state: "paused", model_ref: "sim/x" }
      const counts = { total_rollouts: 2, succeeded: 0, failed: 0, cancelled: 0 }
      writeFileSync(join(folder, "status.json"), JSON.stringify({ ...status, ...counts }))
      const resumed = yield* act("resume")
      assert.deepInclude(resumed.json, { control_mode: "running", health_state: "healthy", rollout_gate: "pass" })
      assert.strictEqual(resumed.json.training.run_state, "paused")
      assert.strictEqual((yield* ask("/dashboard/health")).json.control_audit_count, 4)
    }))

  it.scopedLive("promises no more of a resume than it does: no verb starts a process, or a run", () =>
    Effect.gen(function*() {
      const folder = yield* scratchFolder
      yield* finishedRun(folder, 1)
      const { act, ask } = yield* dashboardIn(folder)
      const pause = Effect.gen(function*() {
        assert.strictEqual((yield* act("pause")).json.control_mode, "paused")
        return messageOf((yield* ask("/dashboard/alerts")).json.alerts, "dashboard_operator_pause_active")
      })
      assert.strictEqual(
        yield* pause,
        "the store is paused, and has no unfinished run; the start of a run ends the pause"
      )
      yield* Effect.provide(beginCrashedRun(1), controlStoreIn(folder))
      assert.match(
        yield* pause,
        /^an operator paused run-0002-\w+, and no process works on it; running config\.json again continues it, or begins another run where that file has changed since$/
      )
    }))

  it.scopedLive("answers also where the status file is no file, and waits for nobody to write into it", () =>
    Effect.gen(function*() {
      const folder = yield* scratchFolder
      const path = join(folder, "status.json")
      execFileSync("mkfifo", [path])
      // Whoever waits for a writer would not let this test end: it gives up, and lets them go.
      const { ask } = yield* dashboardIn(folder)
      const { json } = yield* ask("/dashboard/health").pipe(
        Effect.timeout("5 seconds"),
        Effect.ensuring(Effect.sync(() => closeSync(openSync(path, constants.O_RDWR | constants.O_NONBLOCK))))
      )
      assert.include(json.training.diagnostics, "status.json is no file of a status")
    }))

  it.scopedLive("logs who was denied", () =>
    Effect.gen(function*() {
      const folder = yield* scratchFolder
      yield* Effect.provide(beginRun(1), controlStoreIn(folder))
      writeFileSync(
        join(folder, "rbac.json"),
        JSON.stringify({
          schema_version: 1,
          team_mode: true,
          bindings: [{ principal: "local:tester", roles: ["viewer"] }],
          roles: { viewer: { allow: ["control:rl:status"] } }
        })
      )
      const { act, ask } = yield* dashboardIn(folder)
      const denied = yield* act("pause")
      assert.deepStrictEqual([denied.status, denied.json.error.code], [403, "dashboard_denied"])
      assert.strictEqual((yield* ask("/dashboard/health")).json.control_audit_count, 1)
      assert.strictEqual((yield* act("refresh")).status, 200)
      const { json } = yield* ask("/dashboard/health")
      assert.deepInclude(json, { control_mode: "running", control_audit_count: 2 })
    }))

  it.scopedLive("streams snapshots, and starts anew for who comes back", () =>
    Effect.gen(function*() {
      const folder = yield* scratchFolder
      yield* Effect.provide(beginRun(1), controlStoreIn(folder))
      const { act, origin } = yield* dashboardIn(folder)
      const first = yield* listening(origin)
      const again = yield* listening(origin, { "last-event-id": "7" })
      yield* eventually("a snapshot", Effect.sync(() => first.events()[0]))
      yield* eventually("a reset and a snapshot", Effect.sync(() => again.events()[1]))
      assert.deepStrictEqual(again.events().slice(0, 2).map(({ event }) => event), [
        "dashboard.reset",
        "dashboard.snapshot"
      ])
      assert.strictEqual(again.events()[0]!.data.last_event_id, "7")
      assert.hasAllKeys(first.events()[0]!.data, [...head, "health", "widgets", "alerts"])
      yield* act("pause")
      for (const listener of [first, again]) {
        yield* eventually(
          "the pause is told",
          Effect.sync(() => listener.events().find(({ data }) => data.health?.control_mode === "paused"))
        )
      }
    }))

  it.scopedLive("has no more listeners than it may, though they all come at once", () =>
    Effect.gen(function*() {
      const folder = yield* scratchFolder
      const limits = { listenersMax: 3, unreadBytesMax: 1024 }
      const { ask, origin } = yield* dashboardAt(join(folder, "store.sqlite"), { stream: limits })
      const all = yield* Effect.replicateEffect(listening(origin), 12, { concurrency: "unbounded" })
      assert.strictEqual(all.filter(({ isOver }) => !isOver()).length, limits.listenersMax)
      const { json, status } = yield* ask("/dashboard/stream")
      assert.deepStrictEqual([status, json.error.code], [503, "dashboard_too_many_streams"])
    }))

  it.scopedLive("ends its streams whole when it stops", () =>
    Effect.gen(function*() {
      const folder = yield* scratchFolder
      const scope = yield* Scope.make()
      const { origin } = yield* Effect.provideService(dashboardIn(folder), Scope.Scope, scope)
      const listener = yield* listening(origin)
      yield* eventually("a snapshot", Effect.sync(() => listener.events()[0]))
      yield* Scope.close(scope, Exit.void)
      yield* eventually("the stream ends", Effect.sync(() => listener.isOver() ? true : undefined))
      assert.isTrue(listener.isWhole())
    }))
})
