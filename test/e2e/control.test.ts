import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import { readFileSync, writeFileSync } from "node:fs"
import { join } from "node:path"
import { printed, type RunningCommand, startProcess, startTau, tau } from "../support/command.js"
import { rowsOf, scratchFolder } from "../support/store.js"
import { eventually } from "../support/upstream.js"

const stateDir = ".tau/training"

/** A folder with a slow simulated model and a config of many rollouts. */
const project = (rollouts: number, latencyMs: number) =>
  Effect.gen(function*() {
    const folder = yield* scratchFolder
    const server = yield* startTau(folder, ["simulate", "--bind=127.0.0.1:0", `--latency-ms=${latencyMs}`])
    writeFileSync(
      join(folder, "config.json"),
      JSON.stringify({
        optimize: Array.from({ length: rollouts }, (_, n) => ({ prompt: `What is ${n} + 1?`, expected: `${n + 1}` })),
        resources: { system_prompt: "Answer with the final number only." },
        upstream_url: yield* printed(server, /listening on (\S+)/),
        poll_interval_ms: 10,
        completion_timeout_secs: 300,
        // Longer than a busy machine makes any process wait.
        heartbeat_interval_ms: 5_000
      })
    )
    return folder
  })

const startRun = (folder: string) =>
  startTau(folder, ["--model=sim/arithmetic", "--prompt-optimization-config=config.json", "--prompt-optimization-json"])

const control = (folder: string, verb: string, ...more: ReadonlyArray<string>) =>
  Effect.map(
    tau(folder, [`--prompt-optimization-control-${verb}`, "--prompt-optimization-control-json", ...more]),
    ({ code, stderr, stdout }): Record<string, unknown> & { code: unknown; stderr: string } => ({
      ...(stdout === "" ? {} : JSON.parse(stdout) as object),
      code,
      stderr
    })
  )

const json = (folder: string, name: string): Record<string, unknown> =>
  JSON.parse(readFileSync(join(folder, name), "utf8")) as Record<string, unknown>

const query = <Row>(folder: string, sql: string) => rowsOf<Row>(join(folder, stateDir, "store.sqlite"), sql)
const count = (folder: string, condition: string) =>
  query<{ n: number }>(folder, `SELECT count(*) AS n FROM rollouts WHERE ${condition}`)[0]!.n

const wait = (what: string, isSo: () => boolean) => eventually(what, Effect.sync(() => isSo() ? true : undefined))

const succeeded = (folder: string, n: number) =>
  wait(`${n} rollouts succeeded`, () => count(folder, "status = 'succeeded'") >= n)

const begun = (command: RunningCommand) =>
  wait("the run has begun", () => /(new run|resuming run) run-/.test(command.stderr()))

const codes = (folder: string) =>
  readFileSync(join(folder, ".tau/runtime/events.jsonl"), "utf8").trim().split("\n").map((line) =>
    (JSON.parse(line) as { reason_code: string }).reason_code
  )

describe("control of a live run, from other processes", () => {
  it.scopedLive(
    "pauses, resumes, rolls back and cancels it; every file and the audit chain agree",
    () =>
      Effect.gen(function*() {
        const folder = yield* project(400, 150)
        const running = yield* startRun(folder)
        yield* begun(running)
        yield* succeeded(folder, 1)

        assert.deepInclude(yield* control(folder, "pause"), { code: 0, lifecycle_state: "paused", idempotent: false })
        yield* wait("what was under way finishes", () => count(folder, "status IN ('preparing', 'running')") === 0)
        const finished = count(folder, "status = 'succeeded'")
        assert.deepInclude(yield* control(folder, "pause"), { code: 0, lifecycle_state: "paused", idempotent: true })
        assert.strictEqual(count(folder, "attempts > 0"), finished, "a paused run starts nothing")
        yield* wait("the status file follows", () => json(folder, `${stateDir}/status.json`)["run_state"] === "paused")
        assert.match((yield* tau(folder, ["runs", "--state=paused"])).stdout, /^run-0001-\w+ +paused /m)
        assert.include((yield* tau(folder, ["runs", "--state=running"])).stdout, "No run of")

        assert.deepInclude(yield* control(folder, "resume"), { lifecycle_state: "running", idempotent: false })
        yield* succeeded(folder, finished + 1)
        const rollback = yield* control(folder, `rollback=${stateDir}/policy-checkpoint.json`)
        assert.deepInclude(rollback, { code: 0, lifecycle_state: "rollback_requested", resources_version: 1 })

        assert.deepInclude(yield* control(folder, "cancel"), { lifecycle_state: "cancelled", idempotent: false })
        const succeededThen = count(folder, "status = 'succeeded'")
        assert.strictEqual(
          count(folder, "status NOT IN ('succeeded', 'cancelled')"),
          0,
          "fenced with the verb's commit"
        )
        assert.strictEqual(yield* running.exit, 1, running.stderr())
        assert.deepInclude(JSON.parse(running.stdout()), { run_state: "cancelled", succeeded: succeededThen })

        assert.deepStrictEqual(codes(folder), ["job_queued", "job_started", "job_cancelled_during_run"])
        const [{ id }] = query<{ id: string }>(folder, "SELECT id FROM runs") as [{ id: string }]
        assert.deepInclude(json(folder, `.tau/runtime/jobs/${id}.json`), {
          state: "cancelled",
          pid: running.process.pid
        })
        const verdict = yield* tau(folder, ["audit", "verify", "--json"])
        assert.strictEqual(verdict.code, 0)
        assert.deepInclude(JSON.parse(verdict.stdout), { intact: true, rows: 5, audit_rows: 5, audit_rows_behind: 0 })
        const list = yield* tau(folder, ["audit", "list"])
        assert.match(list.stdout, /^ {3}1 {2}\S+ {2}pause by local:\S+: done\n/)
        assert.include(list.stdout, "done, nothing changed")

        // A line of the audit file that somebody improved.
        const file = join(folder, stateDir, "control-audit.jsonl")
        writeFileSync(file, readFileSync(file, "utf8").replace("\"action\":\"resume\"", "\"action\":\"pause\""))
        const broken = yield* tau(folder, ["audit", "verify"])
        assert.strictEqual(broken.code, 1)
        assert.include(broken.stdout, "The audit log is broken: line 3 of the audit file does not say what row 3")
      }),
    240_000
  )

  it.scopedLive(
    "answers in bounded time when the run's process is stopped by a signal, and says so",
    () =>
      Effect.gen(function*() {
        const folder = yield* project(200, 200)
        const running = yield* startRun(folder)
        yield* begun(running)
        yield* succeeded(folder, 1)
        running.process.kill("SIGSTOP")
        const answers: Array<Record<string, unknown> & { readonly code: unknown; readonly stderr: string }> = []
        for (const verb of ["status", "pause", "cancel"]) {
          const answer = yield* Effect.timeout(control(folder, verb), "60 seconds")
          answers.push(answer)
          const said = `${String(answer["detail"] ?? "")}${answer.stderr}`
          assert.include(said, `process ${running.process.pid} is stopped by a signal`, verb)
        }
        const tree = yield* tau(folder, ["inspect", "tree"])
        assert.strictEqual(tree.code, 1)
        assert.include(
          tree.stderr,
          `process ${running.process.pid} did not answer: it said nothing in time; it may be stopped`
        )
        assert.include(tree.stderr, "tau: no process that works on .tau/training/store.sqlite answers\n")
        running.process.kill("SIGCONT")
        // Stopped in the middle of a commit it kept the store locked, and the verbs said that.
        if (answers.at(-1)!.code !== 0) assert.strictEqual((yield* control(folder, "cancel")).code, 0)
        assert.strictEqual(yield* running.exit, 1)
        assert.strictEqual((JSON.parse(running.stdout()) as { run_state: string }).run_state, "cancelled")
      }),
    240_000
  )
})

describe("a run whose process was killed", () => {
  it.scopedLive(
    "is vouched for by its checkpoint, restarts with the command of its manifest, and tells what it found",
    () =>
      Effect.gen(function*() {
        const folder = yield* project(30, 100)
        const running = yield* startRun(folder)
        yield* begun(running)
        yield* succeeded(folder, 3)
        yield* wait(
          "a call is under way",
          () => query(folder, "SELECT 1 FROM spans WHERE state = 'open'").length > 0
        )
        running.process.kill("SIGKILL")
        yield* running.exit

        const status = yield* control(folder, "status")
        assert.deepInclude(status.run, { crashed: true, live: false })
        const told = yield* tau(folder, ["--prompt-optimization-control-resume"])
        assert.match(told.stdout, /^resume: ready to continue \(nothing changed\)\n/)
        const resumed = yield* control(folder, "resume")
        assert.deepInclude(resumed, { code: 0, recovery_checkpoint_source: "primary" })
        const report = json(folder, `${stateDir}/recovery-report.json`)
        assert.deepInclude(report, { crash_detected: true, checkpoint_source: "primary", replayed_actions: ["resume"] })
        const finished = count(folder, "status = 'succeeded'")
        const unknown = query(folder, "SELECT 1 FROM spans WHERE state = 'unknown_after_crash'").length
        assert.deepInclude(report["run"], { rollouts: 30, finished, resources_versions: [1], calls_replayed: 0 })

        const [{ id }] = query<{ id: string }>(folder, "SELECT id FROM runs") as [{ id: string }]
        const manifest = json(folder, `.tau/runtime/jobs/${id}.json`)
        assert.deepInclude(manifest, { run_id: id, state: "running", pid: running.process.pid })
        assert.include(told.stdout, `\n  continue  ${String(manifest["restart_command"])}\n`)
        assert.deepInclude(status.run, { restart_command: manifest["restart_command"] })
        const again = yield* startProcess("/", "/bin/sh", ["-c", String(manifest["restart_command"])])
        assert.strictEqual(yield* again.exit, 0, again.stderr())
        const summary = JSON.parse(again.stdout()) as Record<string, unknown> & {
          readonly resume: Record<string, unknown>
        }
        assert.deepInclude(summary, { run_state: "completed", total_rollouts: 30, succeeded: 30 })
        const { requeued } = summary.resume
        assert.deepInclude(summary.resume, {
          crash_detected: true,
          finished_before: finished,
          // The process of the verb had marked them.
          unknown_calls: unknown,
          resources_versions: [1],
          checkpoint_source: "primary",
          // One for each answer that came before the kill to an agent that did not live to hand its own in.
          calls_replayed: query(folder, `SELECT 1 FROM spans WHERE attributes ->> '$."tau.replayed"'`).length
        })
        assert.deepInclude(json(folder, `${stateDir}/recovery-report.json`), {
          crash_detected: true,
          prior_training_state: "running",
          replayed_actions: ["resume", "resume"],
          checkpoint_run_id: id
        })
        assert.deepInclude(json(folder, `${stateDir}/recovery-report.json`)["run"], { finished, requeued })
        assert.deepStrictEqual(codes(folder), [
          "job_queued",
          "job_started",
          "job_recovered_after_restart",
          "job_succeeded"
        ])
        assert.deepInclude(json(folder, `.tau/runtime/jobs/${id}.json`), { state: "completed", start: 2 })
      }),
    240_000
  )

  it.scopedLive(
    "was paused, and says so until it is started again; with another config it is not what goes on",
    () =>
      Effect.gen(function*() {
        const folder = yield* project(60, 100)
        const running = yield* startRun(folder)
        yield* begun(running)
        yield* control(folder, "pause")
        yield* wait("the status file follows", () => json(folder, `${stateDir}/status.json`)["run_state"] === "paused")
        running.process.kill("SIGKILL")
        yield* running.exit

        const config = readFileSync(join(folder, "config.json"), "utf8")
        writeFileSync(join(folder, "config.json"), config.replace("final number", "last number"))
        const changed = yield* tau(folder, ["--prompt-optimization-control-status"])
        const told = changed.stdout.replaceAll(/\s+/g, " ")
        assert.include(
          told,
          "config.json, or a file of examples that it names, has changed since, and must be as it was for running it to"
        )
        assert.notInclude(told, "again continues it")
        assert.notInclude(told, " continue cd ")
        const resumed = yield* control(folder, "resume")
        assert.deepInclude(resumed["run"], { config_changed: true })
        assert.include(String(resumed["detail"]), "has changed since")
        assert.strictEqual(json(folder, `${stateDir}/recovery-report.json`)["prior_training_state"], "paused")
        writeFileSync(join(folder, "config.json"), config)
        assert.deepInclude((yield* control(folder, "status"))["run"], { config_changed: false })

        yield* control(folder, "pause")
        const again = yield* startRun(folder)
        yield* begun(again)
        assert.deepInclude(json(folder, `${stateDir}/recovery-report.json`), {
          prior_lifecycle_state: "paused",
          prior_training_state: "paused"
        })
        assert.deepInclude(json(folder, `${stateDir}/control-state.json`), {
          lifecycle_state: "running",
          last_action: "pause"
        })
        assert.strictEqual(yield* again.exit, 0, again.stderr())
      }),
    240_000
  )
})
