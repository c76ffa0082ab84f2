import { assert, describe, it } from "@effect/vitest"
import Sqlite from "better-sqlite3"
import * as Effect from "effect/Effect"
import { existsSync, readFileSync, writeFileSync } from "node:fs"
import { join } from "node:path"
import { printed, startTau, tau } from "../support/command.js"
import { rowsOf, scratchFolder } from "../support/store.js"
import { eventually } from "../support/upstream.js"

const guide = {
  optimize: [{ prompt: "What is 2 + 2?", expected: "4" }],
  validate: [{ prompt: "What is 3 + 3?", expected: "6" }],
  resources: { system_prompt: "You are a concise assistant." },
  worker_count: 2,
  poll_interval_ms: 50,
  heartbeat_interval_ms: 1000,
  completion_poll_interval_ms: 60,
  completion_timeout_secs: 30
}

const folderWith = (config: object) =>
  Effect.tap(
    scratchFolder,
    (folder) => Effect.sync(() => writeFileSync(join(folder, "config.json"), JSON.stringify(config)))
  )

const args = ["--model=sim/arithmetic", "--prompt-optimization-config=config.json"]

const statusIn = (folder: string) =>
  JSON.parse(readFileSync(join(folder, ".tau/training/status.json"), "utf8")) as Record<string, unknown>

/** A run of `count` questions, each of which takes the model a while. */
const slowRun = (count: number, latencyMs: number) =>
  Effect.gen(function*() {
    const server = yield* startTau(yield* scratchFolder, [
      "simulate",
      "--bind=127.0.0.1:0",
      `--latency-ms=${latencyMs}`
    ])
    const upstream = yield* printed(server, /listening on (\S+)/)
    return yield* folderWith({
      optimize: Array.from({ length: count }, (_, n) => ({ prompt: `What is ${n} + 1?` })),
      upstream_url: upstream
    })
  })

const running = (folder: string) =>
  Effect.gen(function*() {
    const command = yield* startTau(folder, args)
    yield* eventually(
      "a run under way",
      Effect.sync(() =>
        existsSync(join(folder, ".tau/training/status.json")) && Number(statusIn(folder)["active"]) > 0
          ? true
          : undefined
      )
    )
    return command
  })

describe("tau --prompt-optimization-config", () => {
  it.scopedLive("runs the guide's config on the simulated model and says that it is simulated", () =>
    Effect.gen(function*() {
      const folder = yield* folderWith(guide)
      const { code, stderr, stdout } = yield* tau(folder, args)
      assert.strictEqual(code, 0, stderr)
      assert.match(stdout, /^Run run-0001-\w{6} completed: 2 of 2 rollouts succeeded\.$/m)
      assert.include(stdout, "sim/arithmetic  (simulated)")
      assert.deepStrictEqual(stdout.split("\n").filter((line) => line.length > 80), [])
      assert.deepInclude(statusIn(folder), {
        schema_version: 1,
        run_state: "completed",
        model_ref: "sim/arithmetic",
        store_path: ".tau/training/store.sqlite",
        total_rollouts: 2,
        succeeded: 2
      })
    }))

  it.scopedLive("prints one JSON object on stdout and nothing else there", () =>
    Effect.gen(function*() {
      const folder = yield* folderWith(guide)
      const { stderr, stdout } = yield* tau(folder, [...args, "--prompt-optimization-json"])
      const summary = JSON.parse(stdout) as Record<string, unknown>
      assert.deepInclude(summary, { schema_version: 1, total_rollouts: 2, succeeded: 2, simulated: true })
      assert.include(stderr, "new run run-0001-")
      assert.deepStrictEqual(
        rowsOf(
          join(folder, ".tau/training/store.sqlite"),
          "SELECT state, kind, rollout_id AS id FROM spans ORDER BY id"
        ),
        ["train", "val"].map((mode) => ({
          state: "done",
          kind: "llm",
          id: `${String(summary["run_id"])}-${mode}-0001`
        }))
      )
    }))

  it.scopedLive("asks for the provider's key before it writes anything", () =>
    Effect.gen(function*() {
      const folder = yield* folderWith(guide)
      const { code, stderr } = yield* tau(folder, ["--model=openai/gpt-4o-mini", args[1]!])
      assert.strictEqual(code, 1)
      assert.match(stderr, /^tau: OPENAI_API_KEY is not set: openai\/gpt-4o-mini needs the key of openai;.*\n$/)
      assert.isFalse(existsSync(join(folder, ".tau")))
    }))

  it.scopedLive("tells without any key what a run may cost, and which keys it will need", () =>
    Effect.gen(function*() {
      const judged = { ...guide, scoring: [{ kind: "judge", rubric: "Right?", model: "groq/judge" }] }
      const folder = yield* folderWith(judged)
      const { code, stderr, stdout } = yield* tau(folder, ["--model=openai/gpt-4o-mini", args[1]!, "--dry-run"])
      assert.strictEqual(code, 0)
      assert.match(stdout, /price +openai\/gpt-4o-mini: \$0\.15 in/)
      assert.strictEqual(
        stderr,
        "tau: OPENAI_API_KEY is not set: openai/gpt-4o-mini will need the key of openai\n" +
          "tau: GROQ_API_KEY is not set: groq/judge will need the key of groq\n"
      )
      assert.isFalse(existsSync(join(folder, ".tau")))
    }))

  it.scopedLive("says that TAU_STORE is where other commands look, when the run has another store", () =>
    Effect.gen(function*() {
      const folder = yield* folderWith(guide)
      const { code, stderr } = yield* tau(folder, ["--model=sim/arithmetic", args[1]!, "--dry-run"], {
        TAU_STORE: "other.sqlite"
      })
      assert.strictEqual(code, 0)
      assert.strictEqual(
        stderr,
        "tau: the store of this run is .tau/training/store.sqlite; TAU_STORE (other.sqlite) is where commands "
          + "such as tau runs and tau promote look: --prompt-optimization-store-sqlite chooses the run's\n"
      )
    }))

  it.scopedLive("keeps the provider's key from the agent and from the store", () =>
    Effect.gen(function*() {
      const folder = yield* folderWith({
        ...guide,
        upstream_url: "http://127.0.0.1:9",
        executor: {
          kind: "command",
          command: [process.execPath, "-e", "process.stdout.write(JSON.stringify(process.env))"]
        }
      })
      const key = "sk-of-the-provider"
      yield* tau(folder, ["--model=openai/gpt-4o-mini", args[1]!], { OPENAI_API_KEY: key })
      const store = new Sqlite(join(folder, ".tau/training/store.sqlite"))
      const { output } = store.prepare("SELECT output FROM rollouts LIMIT 1").get() as { output: string }
      store.close()
      assert.match((JSON.parse(output) as Record<string, string>)["OPENAI_API_KEY"]!, /^tau-run-[0-9a-f]{32}$/)
      assert.isFalse(readFileSync(join(folder, ".tau/training/store.sqlite")).includes(key))
    }))

  for (const signal of ["SIGINT", "SIGTERM"] as const) {
    it.scopedLive(`stops in order on ${signal}, and the same command goes on`, () =>
      Effect.gen(function*() {
        // Long enough that a drain at its first rollouts leaves most of it.
        const folder = yield* slowRun(24, 400)
        const command = yield* running(folder)
        command.process.kill(signal)
        assert.strictEqual(yield* command.exit, 1)
        assert.match(command.stderr(), /^stopped with .*; run the same command to resume$/m)
        assert.deepInclude(statusIn(folder), { run_state: "paused", stopped_reason: "signal", active: 0 })
        const { code, stderr } = yield* tau(folder, args)
        assert.strictEqual(code, 0, stderr)
        assert.match(stderr, /^resuming run run-0001-/m)
        assert.deepInclude(statusIn(folder), { run_state: "completed", succeeded: 24, failed: 0, start: 2 })
      }))
  }

  it.scopedLive("refuses to share a store with a live run, and names it", () =>
    Effect.gen(function*() {
      const folder = yield* slowRun(30, 2_000)
      const first = yield* running(folder)
      const { code, stderr } = yield* tau(folder, args)
      assert.strictEqual(code, 1)
      assert.include(
        stderr,
        `tau: another run is live on .tau/training/store.sqlite: pid ${first.process.pid} on `
      )
    }))

  it.scopedLive("exits 1 when its time is up, with a store that the same command completes", () =>
    Effect.gen(function*() {
      const folder = yield* slowRun(4, 700)
      const config = JSON.parse(readFileSync(join(folder, "config.json"), "utf8")) as object
      writeFileSync(join(folder, "config.json"), JSON.stringify({ ...config, completion_timeout_secs: 1 }))
      const { code, stderr } = yield* tau(folder, args)
      assert.strictEqual(code, 1)
      assert.match(stderr, /timed out after 1 s with \d of 4 rollouts finished; run the same command to resume/)
      // Raising the limit does not make it another run.
      writeFileSync(join(folder, "config.json"), JSON.stringify({ ...config, completion_timeout_secs: 60 }))
      const again = yield* tau(folder, args)
      assert.strictEqual(again.code, 0, again.stderr)
      assert.match(again.stderr, /^resuming run run-0001-/m)
    }))
})
