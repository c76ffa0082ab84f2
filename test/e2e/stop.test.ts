import { assert, describe, it } from "@effect/vitest"
import Sqlite from "better-sqlite3"
import * as Effect from "effect/Effect"
import { existsSync, readFileSync, statSync, writeFileSync } from "node:fs"
import { join } from "node:path"
import { counted } from "../../src/domain/Figures.js"
import { printed, type RunningCommand, startTau, tau } from "../support/command.js"
import { alive } from "../support/processes.js"
import { rowsOf, scratchFolder } from "../support/store.js"
import { eventually } from "../support/upstream.js"

const args = ["--model=sim/arithmetic", "--prompt-optimization-config=config.json"]
const storeIn = (folder: string) => join(folder, ".tau/training/store.sqlite")

const query = <Row>(folder: string, sql: string) => rowsOf<Row>(storeIn(folder), sql)

/** What a control verb does to the store, without the time that a command takes. */
const want = (folder: string, desired: "pause" | "run") => {
  const store = new Sqlite(storeIn(folder), { timeout: 5_000 })
  store.prepare("UPDATE runs SET desired = ?").run(desired)
  store.close()
}

const attemptsIn = (folder: string) =>
  query<{ status: string }>(folder, "SELECT status FROM attempts ORDER BY rowid").map(({ status }) => status)

/** A folder with a run of `count` questions, each of which takes the model a while. */
const slowRun = (count: number, latencyMs: number, config: object = {}) =>
  Effect.gen(function*() {
    const folder = yield* scratchFolder
    const server = yield* startTau(folder, ["simulate", "--bind=127.0.0.1:0", `--latency-ms=${latencyMs}`])
    const upstream = yield* printed(server, /listening on (\S+)/)
    writeFileSync(
      join(folder, "config.json"),
      JSON.stringify({
        optimize: Array.from({ length: count }, (_, n) => ({ prompt: `What is ${n} + 1?` })),
        resources: { system_prompt: "Answer with the final number only." },
        upstream_url: upstream,
        worker_count: 2,
        poll_interval_ms: 20,
        completion_poll_interval_ms: 20,
        ...config
      })
    )
    return folder
  })

const active = (folder: string) =>
  eventually(
    "an attempt under way",
    Effect.sync(() => {
      if (!existsSync(storeIn(folder))) return undefined
      try {
        return query(folder, "SELECT 1 FROM attempts WHERE status = 'running'").length > 0 ? true : undefined
      } catch {
        return undefined
      }
    })
  )

const running = (folder: string, ...more: ReadonlyArray<string>) =>
  Effect.tap(startTau(folder, [...args, ...more]), () => active(folder))

const assertResumes = (folder: string, total: number) =>
  Effect.gen(function*() {
    const { code, stderr, stdout } = yield* tau(folder, args)
    assert.strictEqual(code, 0, stderr)
    assert.include(stdout, `${total} of ${counted(total, "rollout")} succeeded`)
    assert.deepStrictEqual(
      query(folder, "SELECT 1 FROM rollouts WHERE status <> 'succeeded' OR failures > 0"),
      []
    )
    assert.deepStrictEqual(query(folder, "PRAGMA integrity_check"), [{ integrity_check: "ok" }])
  })

/** As the run's process knows it: its store has the end of an attempt a moment before the runner is free. */
const busyRunners = (folder: string) =>
  Effect.map(tau(folder, ["inspect", "tree", "--json"]), ({ stderr, stdout }) => {
    const { processes } = JSON.parse(stdout) as {
      readonly processes: ReadonlyArray<{ readonly actors: ReadonlyArray<{ readonly work: object | null }> }>
    }
    assert.lengthOf(processes, 1, stderr)
    return processes[0]!.actors.filter(({ work }) => work !== null).length
  })

const told = (command: RunningCommand, pattern: RegExp) =>
  eventually(`${pattern} on stderr`, Effect.sync(() => pattern.test(command.stderr()) ? true : undefined))

/** The exit of a process that is told to stop once more, and again where that came too soon after the first time. */
const insisted = (command: RunningCommand) =>
  Effect.raceFirst(
    command.exit,
    Effect.forever(
      Effect.zipRight(Effect.sync(() => command.process.kill("SIGINT")), Effect.sleep("50 millis"))
    )
  )

/** A capture proxy in front of this upstream, and what agents are pointed at. */
const startCapture = Effect.fnUntraced(function*(folder: string, upstream: string, ...more: ReadonlyArray<string>) {
  const proxy = yield* startTau(folder, [
    "--prompt-optimization-proxy-server",
    "--prompt-optimization-proxy-bind=127.0.0.1:0",
    `--prompt-optimization-proxy-upstream-url=${upstream}`,
    ...more
  ])
  return { proxy, base: yield* printed(proxy, /OPENAI_BASE_URL=(\S+)/) }
})

/** Waits until a proxy has so many calls under way. */
const callsUnderWay = (base: string, count: number) =>
  eventually(
    `${count} calls under way`,
    Effect.promise(async () => {
      const health = await fetch(`${base.replace(/\/v1$/, "")}/training/proxy/health`)
      return (await health.text()).includes(`"calls_under_way":${count},`) ? true : undefined
    })
  )

/** Where nobody listens: a call is answered with 502. */
const nowhere = "http://127.0.0.1:9"

describe("stopping", () => {
  for (const signal of ["SIGINT", "SIGTERM"] as const) {
    it.scopedLive(
      `lets attempts under way finish after ${signal}, starts no others, and leaves one file`,
      () =>
        Effect.gen(function*() {
          const folder = yield* slowRun(6, 1_000)
          const command = yield* running(folder)
          const begun = attemptsIn(folder).length
          command.process.kill(signal)
          assert.strictEqual(yield* command.exit, 1)
          assert.match(
            command.stderr(),
            /^stopping: [12] under way may finish within 10 s; a second signal stops at once$/m
          )
          assert.match(
            command.stderr(),
            /^stopped with [1-4] of 6 rollouts finished; [12] under way finished; run the same command to resume$/m
          )
          // Nobody paused it, and nothing works on it.
          assert.match((yield* tau(folder, ["runs"])).stdout, /^run-0001-\w+ +stopped +[1-4]\/6 /m)
          assert.include((yield* tau(folder, ["runs", "--state=paused"])).stdout, "No run of")
          const attempts = attemptsIn(folder)
          assert.isAtMost(attempts.length - begun, 2)
          assert.deepStrictEqual(attempts.filter((status) => status !== "succeeded"), [])
          assert.isFalse(existsSync(`${storeIn(folder)}-wal`) && statSync(`${storeIn(folder)}-wal`).size > 0)
          yield* assertResumes(folder, 6)
        }),
      60_000
    )
  }

  it.scopedLive(
    "says finished of no attempt whose lease could not be renewed meanwhile",
    () =>
      Effect.gen(function*() {
        const folder = yield* slowRun(2, 60_000, { heartbeat_interval_ms: 300 })
        const command = yield* running(folder)
        const other = new Sqlite(storeIn(folder), { timeout: 5_000 })
        other.exec("BEGIN IMMEDIATE")
        command.process.kill("SIGTERM")
        yield* told(
          command,
          /^stopped an attempt: the lease on \S+ could not be renewed within 2\.5 times heartbeat_interval_ms$/m
        )
        other.close()
        assert.strictEqual(yield* command.exit, 1)
        assert.match(
          command.stderr(),
          /^stopped with 0 of 2 rollouts finished; [12] under way given up, to be put back by the next start; run the same/m
        )
      }),
    60_000
  )

  it.scopedLive(
    "hands back what does not finish in time, kills its agent, and charges nothing",
    () =>
      Effect.gen(function*() {
        const agent = `process.on("SIGTERM", () => {});
        require("node:fs").writeFileSync("agent.pid", String(process.pid));
        if (require("node:fs").existsSync("go")) console.log("4"); else setInterval(() => {}, 1000)`
        const folder = yield* slowRun(1, 0, {
          executor: { kind: "command", command: [process.execPath, "-e", agent] },
          max_attempts: 1
        })
        const command = yield* startTau(folder, [...args, "--prompt-optimization-drain-ms=300"])
        const pid = yield* eventually(
          "an agent",
          Effect.sync(() =>
            existsSync(join(folder, "agent.pid"))
              ? Number(readFileSync(join(folder, "agent.pid"), "utf8")) || undefined
              : undefined
          )
        )
        command.process.kill("SIGTERM")
        assert.strictEqual(yield* command.exit, 1)
        assert.include(
          command.stderr(),
          "stopped with 0 of 1 rollout finished; 1 under way handed back, uncharged; run the same command to resume"
        )
        assert.isFalse(alive(pid))
        writeFileSync(join(folder, "go"), "")
        yield* assertResumes(folder, 1)
      }),
    60_000
  )

  it.scopedLive("has nothing told as running that its time was up for, and no score of what never finished", () =>
    Effect.gen(function*() {
      const folder = yield* slowRun(4, 20_000, {
        completion_timeout_secs: 1,
        scoring: [{ kind: "regex", pattern: "4" }]
      })
      const { code, stdout } = yield* tau(folder, args)
      assert.strictEqual(code, 1)
      assert.match(stdout, /^ {2}train score +none: none of its rollouts has finished$/m)
      assert.match((yield* tau(folder, ["runs"])).stdout, /^run-0001-\w+ +stopped +0\/4 /m)
      assert.include((yield* tau(folder, ["runs", "--state=running"])).stdout, "No run of")
      const { stdout: asked } = yield* tau(folder, ["runs", "--state=stopped", "--json"])
      const [run] = (JSON.parse(asked) as { readonly runs: ReadonlyArray<Record<string, unknown>> }).runs
      assert.deepInclude(run!, {
        state: "running",
        stands: "stopped",
        stop_reason: "completion_timeout",
        crashed: false
      })
      const manifest = JSON.parse(
        readFileSync(join(folder, `.tau/runtime/jobs/${String(run!["id"])}.json`), "utf8")
      ) as object
      assert.deepInclude(manifest, { state: "running", stop_reason: "completion_timeout", ended_at: null })
      assert.match(String((manifest as Record<string, unknown>)["stopped_at"]), /^\d{4}-/)
      const { stdout: status } = yield* tau(folder, ["--prompt-optimization-control-status"])
      assert.match(status, /^status: stopped\n/)
      assert.match(status, /^ {2}run +run-0001-\w+, stopped, told to run$/m)
    }))

  it.scopedLive("stops at once on the second SIGINT with 130, and the store resumes", () =>
    Effect.gen(function*() {
      const folder = yield* slowRun(3, 2_000)
      const command = yield* running(folder)
      command.process.kill("SIGINT")
      yield* told(command, /^stopping: /m)
      assert.strictEqual(yield* insisted(command), 130)
      yield* assertResumes(folder, 3)
    }), 60_000)

  it.scopedLive("takes signals that come at once for one wish, as of timeout, which signals its child and then the group", () =>
    Effect.gen(function*() {
      const folder = yield* scratchFolder
      const server = yield* startTau(folder, ["simulate", "--bind=127.0.0.1:0", "--latency-ms=1000"])
      const { base, proxy } = yield* startCapture(folder, yield* printed(server, /listening on (\S+)/))
      const body = JSON.stringify({ model: "sim/arithmetic", messages: [{ role: "user", content: "What is 1 + 1?" }] })
      const answer = fetch(`${base}/chat/completions`, {
        method: "POST",
        headers: { "content-type": "application/json" },
        body
      }).then((response) => response.status).catch(() => "broken off")
      yield* callsUnderWay(base, 1)
      // Two of one kind might arrive as one.
      proxy.process.kill("SIGTERM")
      proxy.process.kill("SIGINT")
      assert.strictEqual(yield* proxy.exit, 0, proxy.stderr())
      assert.strictEqual(yield* Effect.promise(() => answer), 200)
    }))

  it.scopedLive("survives a signal at any moment of its start", () =>
    Effect.gen(function*() {
      const folder = yield* slowRun(2, 300)
      for (const afterMs of [50, 300, 600, 900]) {
        yield* Effect.scoped(Effect.gen(function*() {
          const command = yield* startTau(folder, args)
          yield* Effect.sleep(afterMs)
          command.process.kill("SIGTERM")
          assert.include(["SIGTERM", 1, 0], yield* command.exit, command.stderr())
          assert.notInclude(command.stderr(), "bug in tau")
        }))
      }
      const { code, stderr } = yield* tau(folder, args)
      assert.strictEqual(code, 0, stderr)
      assert.deepStrictEqual(query(folder, "SELECT 1 FROM rollouts WHERE failures > 0"), [])
    }), 60_000)

  it.scopedLive("stops a paused run, which stays paused until resumed", () =>
    Effect.gen(function*() {
      const folder = yield* slowRun(4, 1_000)
      const command = yield* running(folder)
      want(folder, "pause")
      yield* told(command, /^paused on request/m)
      yield* eventually("no runner at work", Effect.map(busyRunners(folder), (busy) => busy === 0 ? true : undefined))
      command.process.kill("SIGHUP")
      assert.strictEqual(yield* command.exit, 1)
      assert.match(command.stderr(), /^stopped with [1-3] of 4 rollouts finished; nothing was under way; /m)
      want(folder, "run")
      yield* assertResumes(folder, 4)
    }), 60_000)

  it.scopedLive(
    "ends like any other run when the last rollout finishes after the signal",
    () =>
      Effect.gen(function*() {
        const folder = yield* slowRun(1, 1_500)
        const command = yield* running(folder)
        command.process.kill("SIGTERM")
        assert.strictEqual(yield* command.exit, 0, command.stderr())
        assert.include(command.stdout(), "1 of 1 rollout succeeded")
        assert.deepStrictEqual(query(folder, "SELECT state FROM runs"), [{ state: "completed" }])
      }),
    60_000
  )

  it.scopedLive("lets a proxy finish the calls in flight, each recorded whole", () =>
    Effect.gen(function*() {
      const folder = yield* scratchFolder
      const server = yield* startTau(folder, ["simulate", "--bind=127.0.0.1:0", "--latency-ms=1000"])
      const upstream = yield* printed(server, /listening on (\S+)/)
      const { base, proxy } = yield* startCapture(folder, upstream)
      const calls = Array.from({ length: 3 }, () =>
        fetch(`${base}/chat/completions`, {
          method: "POST",
          headers: { "content-type": "application/json" },
          body: JSON.stringify({ model: "arithmetic", messages: [{ role: "user", content: "What is 2 + 2?" }] })
        }).then((response) => response.text()))
      yield* callsUnderWay(base, 3)
      proxy.process.kill("SIGTERM")
      const answers = yield* Effect.promise(() => Promise.all(calls))
      assert.isTrue(answers.every((answer) => answer.includes("choices")))
      assert.strictEqual(yield* proxy.exit, 0, proxy.stderr())
      assert.deepStrictEqual(
        query<{ n: number }>(folder, "SELECT count(*) AS n FROM spans WHERE state = 'done'"),
        [{ n: 3 }]
      )
    }), 60_000)

  it.scopedLive(
    "ends proxies at once that are told twice while they wait for their store",
    () =>
      Effect.gen(function*() {
        const folder = yield* scratchFolder
        const start = startCapture(folder, nowhere)
        // Several: at a moment when its thread is not within SQLite, any process would end as it should.
        const proxies = yield* Effect.replicateEffect(start, 5)
        const lock = new Sqlite(storeIn(folder))
        yield* Effect.addFinalizer(() => Effect.sync(() => lock.close()))
        lock.exec("BEGIN IMMEDIATE")
        const calls = proxies.map(({ base }) =>
          fetch(`${base}/models`).then((response) => response.text()).catch(() => "broken off")
        )
        // Each is answered with 502, and waits for its commit.
        for (const { base } of proxies) yield* callsUnderWay(base, 1)
        for (const { proxy } of proxies) proxy.process.kill("SIGTERM")
        for (const { proxy } of proxies) {
          assert.strictEqual(yield* insisted(proxy), 130, proxy.stderr())
        }
        assert.deepStrictEqual(yield* Effect.promise(() => Promise.all(calls)), calls.map(() => "broken off"))
        lock.close()
        const { proxy } = yield* start
        proxy.process.kill("SIGTERM")
        assert.strictEqual(yield* proxy.exit, 0, proxy.stderr())
        assert.include(proxy.stderr(), "5 calls under way when an earlier process died")
      }),
    60_000
  )

  it.scopedLive("says at last what could not be recorded while it stopped", () =>
    Effect.gen(function*() {
      const folder = yield* scratchFolder
      const { base, proxy } = yield* startCapture(
        folder,
        nowhere,
        "--prompt-optimization-proxy-record-policy=best-effort"
      )
      const lock = new Sqlite(storeIn(folder))
      yield* Effect.addFinalizer(() => Effect.sync(() => lock.close()))
      lock.exec("BEGIN IMMEDIATE")
      const statuses = yield* Effect.promise(() =>
        Promise.all(Array.from({ length: 3 }, () => fetch(`${base}/models`).then(({ status }) => status)))
      )
      assert.deepStrictEqual(statuses, [502, 502, 502])
      proxy.process.kill("SIGTERM")
      assert.strictEqual(yield* proxy.exit, 0, proxy.stderr())
      assert.match(proxy.stderr(), /^tau: stopping; 0 calls recorded so far in \S+$/m)
      assert.match(proxy.stderr(), /^tau: 3 calls could not be recorded while stopping$/m)
    }), 60_000)
})
