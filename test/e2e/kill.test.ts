import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import { readFileSync, writeFileSync } from "node:fs"
import { join } from "node:path"
import { printed, type RunningCommand, startTau } from "../support/command.js"
import { randomFrom } from "../support/random.js"
import { testSeed } from "../support/seed.js"
import { rowsOf, scratchFolder } from "../support/store.js"

interface Scenario {
  readonly rollouts: number
  readonly kills: number
  readonly latencyMs: number
  readonly config: object
}

interface SummaryJson {
  readonly run_state: string
  readonly start: number
  readonly total_rollouts: number
  readonly succeeded: number
  readonly resume: { readonly resumed: boolean; readonly finished_before: number; readonly requeued: number }
}

/** `TAU_TEST_KILLS=50` for a longer trial. */
const kills = Number(process.env["TAU_TEST_KILLS"] ?? 12)

/** Starts the same command again and again, kills it at random moments, and lets the last start finish. */
const survive = ({ config, kills, latencyMs, rollouts }: Scenario) =>
  Effect.gen(function*() {
    const folder = yield* scratchFolder
    const random = randomFrom(testSeed)
    const servedLog = join(folder, "served.jsonl")
    const server = yield* startTau(folder, [
      "simulate",
      "--bind=127.0.0.1:0",
      `--log=${servedLog}`,
      `--latency-ms=${latencyMs}`
    ])
    const upstream = yield* printed(server, /listening on (\S+)/)
    writeFileSync(
      join(folder, "config.json"),
      JSON.stringify({
        optimize: Array.from({ length: rollouts }, (_, n) => ({ prompt: `What is ${n} + 1?`, expected: `${n + 1}` })),
        resources: { system_prompt: "Answer with the final number only." },
        upstream_url: upstream,
        poll_interval_ms: 5,
        completion_poll_interval_ms: 5,
        completion_timeout_secs: 120,
        ...config
      })
    )
    const storePath = join(folder, "store.sqlite")
    const start = startTau(folder, [
      "--model=sim/arithmetic",
      "--prompt-optimization-config=config.json",
      `--prompt-optimization-store-sqlite=${storePath}`,
      "--prompt-optimization-json"
    ], { DIARY: join(folder, "diary.jsonl") })

    for (let n = 1; n <= kills; n++) {
      yield* Effect.scoped(Effect.gen(function*() {
        const command = yield* start
        // Every fourth dies while it starts, the others while they work.
        if (n % 4 !== 0) yield* working(command)
        yield* Effect.sleep((n % 4 === 0 ? 1_000 : 400) * random())
        assert.isNull(command.process.exitCode, `start ${n} ended by itself: ${command.stderr()}`)
        command.process.kill("SIGKILL")
        assert.strictEqual(yield* command.exit, "SIGKILL")
      }))
    }
    const before =
      rowsOf<{ n: number }>(storePath, "SELECT count(*) AS n FROM rollouts WHERE status = 'succeeded'")[0]!.n
    const last = yield* start
    assert.strictEqual(yield* last.exit, 0, last.stderr())
    const summary = JSON.parse(last.stdout()) as SummaryJson
    return { folder, storePath, servedLog, before, summary, said: last.stderr() }
  })

const working = (command: RunningCommand) =>
  Effect.async<void>((resume) => {
    const look = () => /(new run|resuming run) run-/.test(command.stderr()) && resume(Effect.void)
    command.process.stderr!.on("data", look)
    command.process.once("exit", () => resume(Effect.void))
    look()
  })

const linesOf = <A>(file: string): ReadonlyArray<A> =>
  readFileSync(file, "utf8").trim().split("\n").map((line) => JSON.parse(line) as A)

type Survived = Effect.Effect.Success<ReturnType<typeof survive>>

const assertEachOnce = ({ before, said, storePath, summary }: Survived, { kills, rollouts }: Scenario) => {
  assert.deepStrictEqual(rowsOf(storePath, "PRAGMA integrity_check"), [{ integrity_check: "ok" }])
  assert.deepStrictEqual(
    rowsOf(
      storePath,
      `SELECT r.status, sum(a.status = 'succeeded') AS successes, max(a.n) = sum(1) AS gapless, r.failures
       FROM rollouts r JOIN attempts a ON a.rollout_id = r.id GROUP BY r.id`
    ),
    Array.from({ length: rollouts }, () => ({ status: "succeeded", successes: 1, gapless: 1, failures: 0 }))
  )
  assert.strictEqual(rowsOf(storePath, "SELECT 1 FROM runs").length, 1)
  // What the summary and the terminal tell is what the store knows.
  const starts = rowsOf<{ requeued: number }>(storePath, "SELECT requeued FROM run_starts ORDER BY n")
  assert.deepInclude(summary, {
    run_state: "completed",
    start: starts.length,
    total_rollouts: rollouts,
    succeeded: rollouts
  })
  assert.deepInclude(summary.resume, { resumed: true, finished_before: before, requeued: starts.at(-1)!.requeued })
  assert.include(said, `${before} of ${rollouts} rollouts already finished, ${starts.at(-1)!.requeued} put back`)
  assert.isAtLeast(starts.length, Math.ceil(kills * 3 / 4) + 1)
  assert.strictEqual(
    rowsOf(storePath, "SELECT 1 FROM attempts WHERE error = 'its process died'").length,
    starts.reduce((sum, { requeued }) => sum + requeued, 0)
  )
}

describe(`kill -9 (TAU_TEST_SEED=${testSeed})`, () => {
  it.scopedLive(
    `at ${kills} random moments of ${10 * kills} rollouts loses nothing and repeats nothing that was finished`,
    () =>
      Effect.gen(function*() {
        const scenario = { rollouts: 10 * kills, kills, latencyMs: 150, config: { worker_count: 4 } }
        const survived = yield* survive(scenario)
        assertEachOnce(survived, scenario)
        // Each success stands on a finished span whose answer is the one that the server sent.
        const served = new Map(
          linesOf<{ response_id: string; answer: string }>(survived.servedLog).map((
            line
          ) => [line.response_id, line.answer])
        )
        const successes = rowsOf<{ output: string; state: string; response: Buffer }>(
          survived.storePath,
          `SELECT r.output, s.state, p.content AS response
         FROM rollouts r JOIN attempts a ON a.rollout_id = r.id AND a.status = 'succeeded'
         JOIN spans s ON s.attempt_id = a.id JOIN payloads p ON p.sha256 = s.response_sha256`
        )
        assert.strictEqual(successes.length, scenario.rollouts)
        for (const { output, response, state } of successes) {
          assert.strictEqual(state, "done")
          const { id } = JSON.parse(response.toString()) as { id: string }
          assert.strictEqual(served.get(id), output)
        }
        assert.deepStrictEqual(rowsOf(survived.storePath, "SELECT 1 FROM spans WHERE state = 'open'"), [])
      }),
    60_000 + 6_000 * kills
  )

  it.scopedLive("never loses an answer that an agent held in its hands", () =>
    Effect.gen(function*() {
      const agent = join(import.meta.dirname, "../support/loggingAgent.mjs")
      const scenario = {
        rollouts: 48,
        kills: 6,
        latencyMs: 150,
        config: {
          worker_count: 3,
          executor: { kind: "command", command: [process.execPath, agent], env: { DIARY: "diary.jsonl" } }
        }
      }
      const survived = yield* survive(scenario)
      assertEachOnce(survived, scenario)
      const diary = linesOf<{ attempt: string; body: string }>(join(survived.folder, "diary.jsonl"))
      assert.isAtLeast(diary.length, scenario.rollouts)
      const recorded = new Map(
        rowsOf<{ attempt: string; state: string; response: Buffer }>(
          survived.storePath,
          "SELECT s.attempt_id AS attempt, s.state, p.content AS response FROM spans s JOIN payloads p ON p.sha256 = s.response_sha256"
        ).map(({ attempt, response, state }) => [attempt, `${state} ${response.toString()}`])
      )
      for (const { attempt, body } of diary) assert.strictEqual(recorded.get(attempt), `done ${body}`)
    }), 120_000)
})
