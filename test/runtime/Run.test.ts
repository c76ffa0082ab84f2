import { assert, describe, it } from "@effect/vitest"
import Sqlite from "better-sqlite3"
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import { readFileSync } from "node:fs"
import { join } from "node:path"
import { RunId } from "../../src/domain/Ids.js"
import { ScoringFailed } from "../../src/domain/Reward.js"
import { AttemptFailed } from "../../src/runtime/Executor.js"
import { RolloutStore } from "../../src/store/RolloutStore.js"
import { type FakeAgent, runIn, runtimeAt, storePathIn } from "../support/runtime.js"
import { rowsOf, scratchFolder } from "../support/store.js"
import { eventually } from "../support/upstream.js"

const answering: FakeAgent = { execute: () => Effect.succeed({ output: "4" }) }
const stuck: FakeAgent = { execute: () => Effect.never }

const execute = (folder: string, agent: FakeAgent, count: number, config?: Parameters<typeof runIn>[2]) =>
  Effect.provide(runIn(folder, count, config), runtimeAt(folder, agent))

const failed = (detail: string, permanent = false) =>
  new AttemptFailed({ reason: "exit-code", detail, permanent, stderrTail: "boom" })

/** Every attempt of the store as `rollout position:attempt status`, in order. */
const attemptsIn = (folder: string) =>
  rowsOf<{ at: number; n: number; status: string; error: string | null; stderr_tail: string | null }>(
    storePathIn(folder),
    "SELECT r.ordinal + 1 AS at, a.n, a.status, a.error, a.stderr_tail FROM attempts a JOIN rollouts r ON r.id = a.rollout_id ORDER BY at, a.n"
  )
const statusesIn = (folder: string) => attemptsIn(folder).map(({ at, n, status }) => `${at}:${n} ${status}`)

const runRowIn = (folder: string) =>
  rowsOf<{ id: string; state: string; stopReason: string | null }>(
    storePathIn(folder),
    "SELECT id, state, stop_reason AS stopReason FROM runs ORDER BY ordinal DESC"
  )[0]!

/** What a control verb of another process writes. */
const ask = (folder: string, desired: "run" | "pause" | "cancel") => {
  const store = new Sqlite(storePathIn(folder), { timeout: 5_000 })
  store.prepare("UPDATE runs SET desired = ?").run(desired)
  store.close()
}

const statusIn = (folder: string): Record<string, unknown> =>
  JSON.parse(readFileSync(join(folder, "status.json"), "utf8")) as Record<string, unknown>

/** An agent that tells when its n-th execution starts, and then works for ever. */
const startsThenHangs = (n: number) =>
  Effect.map(Deferred.make<void>(), (started) => {
    let executions = 0
    const agent: FakeAgent = {
      execute: () =>
        Effect.suspend(() => ++executions === n ? Deferred.succeed(started, undefined) : Effect.void).pipe(
          Effect.zipRight(Effect.never)
        )
    }
    return { agent, started: Deferred.await(started) }
  })

describe("Run", () => {
  it.scopedLive("runs every rollout once, sums up, and leaves a status file that says so", () =>
    Effect.gen(function*() {
      const folder = yield* scratchFolder
      const said: Array<string> = []
      const summary = yield* execute(folder, { ...answering, said, heartbeatIntervalMs: 5_000 }, 25, {
        validate: [{ prompt: "last" }],
        worker_count: 4
      })
      assert.deepInclude(summary, { runState: "completed", total: 26, succeeded: 26, failed: 0, stoppedReason: null })
      assert.deepStrictEqual(summary.scores.map(({ mean, mode, n }) => [mode, n, mean]), [["train", 25, 1], [
        "val",
        1,
        1
      ]])
      assert.strictEqual(attemptsIn(folder).length, 26)
      assert.deepInclude(statusIn(folder), {
        schema_version: 1,
        run_state: "completed",
        model_ref: "fake/model",
        store_path: storePathIn(folder),
        total_rollouts: 26,
        succeeded: 26,
        failed: 0,
        cancelled: 0
      })
      assert.strictEqual(said[0], "new run run-0001-c0ffee: 26 rollouts")
    }))

  it.scopedLive("gives the agent its example, its own base URL and the run's key", () =>
    Effect.gen(function*() {
      const folder = yield* scratchFolder
      const seen: Array<unknown> = []
      yield* execute(
        folder,
        {
          execute: ({ deadlineMs, onSpeech, ...one }) =>
            Effect.sync(() => (seen.push({ ...one, hasRest: onSpeech !== undefined && !!deadlineMs }), { output: "" }))
        },
        1,
        { resources: { system_prompt: "Be brief." } }
      )
      assert.deepStrictEqual(seen, [{
        rolloutId: "run-0001-c0ffee-train-0001",
        attemptId: "run-0001-c0ffee-train-0001:attempt-1",
        attempt: 1,
        example: { prompt: "question 1" },
        resources: { system_prompt: "Be brief." },
        resourcesVersion: 1,
        model: "fake",
        baseUrl:
          "http://127.0.0.1:1/rollout/run-0001-c0ffee-train-0001/attempt/run-0001-c0ffee-train-0001%3Aattempt-1/v1",
        apiKey: "for-tests",
        hasRest: true
      }])
    }))

  it.scopedLive("tries a failing agent again until it succeeds or its attempts are used up", () =>
    Effect.gen(function*() {
      const folder = yield* scratchFolder
      const summary = yield* execute(
        folder,
        {
          execute: ({ attempt, example }) =>
            example["prompt"] === "question 1" && attempt === 2
              ? Effect.succeed({ output: "4" })
              : Effect.fail(failed("exit code 3"))
        },
        2,
        { max_attempts: 2 }
      )
      assert.deepStrictEqual(statusesIn(folder), ["1:1 failed", "1:2 succeeded", "2:1 failed", "2:2 failed"])
      assert.deepInclude(summary, { runState: "completed", succeeded: 1, failed: 1 })
      assert.deepEqual(summary.failures, [
        { id: "run-0001-c0ffee-train-0002", error: "exit code 3", rollouts: 1, stderrTail: "boom" }
      ])
      // The failed rollout counts as 0.
      assert.deepInclude(summary.scores[0], { n: 2, mean: 0.5 })
    }))

  it.scopedLive("fails as a whole when no rollout succeeded, and never repeats what cannot succeed", () =>
    Effect.gen(function*() {
      const folder = yield* scratchFolder
      const summary = yield* execute(folder, { execute: () => Effect.fail(failed("refused key", true)) }, 2)
      assert.deepInclude(summary, { runState: "failed", succeeded: 0, failed: 2 })
      assert.deepStrictEqual(statusesIn(folder), ["1:1 failed", "2:1 failed"])
      assert.strictEqual(statusIn(folder)["run_state"], "failed")
    }))

  it.scopedLive("stops an agent that takes too long and calls the attempt a timeout", () =>
    Effect.gen(function*() {
      const folder = yield* scratchFolder
      let stopped = 0
      yield* execute(
        folder,
        {
          execute: ({ onSpeech }) => {
            onSpeech?.(() => "waiting for the moon")
            return Effect.onInterrupt(Effect.never, () => Effect.sync(() => void (stopped += 1)))
          }
        },
        1,
        { attempt_timeout_secs: 1, max_attempts: 1 }
      )
      assert.strictEqual(stopped, 1)
      assert.deepInclude(attemptsIn(folder)[0], {
        status: "timeout",
        error: "the attempt took longer than 1 s (attempt_timeout_secs)",
        stderr_tail: "waiting for the moon"
      })
    }))

  it.scopedLive("asks a scorer that cannot judge again, without the agent, and then fails the attempt: that is no zero", () =>
    Effect.gen(function*() {
      const folder = yield* scratchFolder
      const asked: Array<string> = []
      const executed: Array<string> = []
      const agent: FakeAgent = {
        execute: ({ attemptId }) => Effect.sync(() => (executed.push(attemptId), { output: "4" })),
        score: ({ example }) => {
          const question = String(example["prompt"])
          asked.push(question)
          return question === "question 1" && asked.filter((one) => one === question).length === 2
            ? Effect.succeed(1)
            : Effect.fail(new ScoringFailed({ scorer: "judge", detail: "no", permanent: question === "question 3" }))
        }
      }
      yield* execute(folder, agent, 3, { max_attempts: 3 })
      assert.deepStrictEqual(asked.toSorted(), [1, 1, 2, 2, 2, 3].map((n) => `question ${n}`), "refused is refused")
      assert.lengthOf(executed, 3)
      const failed = "scorer judge failed: no"
      assert.deepStrictEqual(attemptsIn(folder).map(({ error }) => error), [null, failed, failed])
    }))

  it.scopedLive("survives a runner that breaks down, and does its rollout once", () =>
    Effect.gen(function*() {
      const folder = yield* scratchFolder
      const said: Array<string> = []
      const summary = yield* execute(
        folder,
        {
          said,
          execute: ({ attempt, example }) =>
            example["prompt"] === "question 2" && attempt === 1
              ? Effect.die(new TypeError("x is undefined"))
              : Effect.succeed({ output: "4" })
        },
        3
      )
      assert.strictEqual(summary.succeeded, 3)
      assert.deepStrictEqual(statusesIn(folder), [
        "1:1 succeeded",
        "2:1 unresponsive",
        "2:2 succeeded",
        "3:1 succeeded"
      ])
      assert.isTrue(
        said.some((line) => /^runner \d died and is started again .*: TypeError: x is undefined$/.test(line))
      )
    }))

  it.scopedLive("gives up when its runners keep breaking down, in words, with a store that resumes", () =>
    Effect.gen(function*() {
      const folder = yield* scratchFolder
      const error = yield* Effect.flip(execute(folder, { execute: () => Effect.die(new Error("no luck")) }, 50, {
        worker_count: 1
      }))
      assert.strictEqual(error.message, "runner 1 died 11 times within 10 s, the last time of: no luck")
      assert.deepInclude(runRowIn(folder), { state: "running", stopReason: "error" })
      assert.deepInclude(statusIn(folder), { run_state: "failed", stopped_reason: "error" })
      const summary = yield* execute(folder, answering, 50)
      assert.deepInclude(summary, { succeeded: 50, start: 2 })
    }))

  it.scopedLive("hands back what is under way when it is stopped, and the same command resumes it", () =>
    Effect.gen(function*() {
      const folder = yield* scratchFolder
      const { agent, started } = yield* startsThenHangs(2)
      const fiber = yield* Effect.fork(execute(folder, agent, 3))
      yield* started
      yield* Fiber.interrupt(fiber)
      assert.deepInclude(runRowIn(folder), { state: "paused", stopReason: "signal" })
      assert.deepInclude(statusIn(folder), { run_state: "paused", stopped_reason: "signal", active: 0 })
      const said: Array<string> = []
      const summary = yield* execute(folder, { ...answering, said }, 3, { max_attempts: 1 })
      assert.deepInclude(summary, { succeeded: 3, start: 2 })
      assert.strictEqual(summary.resume.resumedRollouts, 2)
      assert.deepStrictEqual(
        statusesIn(folder),
        ["1:1 failed", "1:2 succeeded", "2:1 failed", "2:2 succeeded", "3:1 succeeded"]
      )
      assert.strictEqual(
        said[0],
        "resuming run run-0001-c0ffee: 0 of 3 rollouts already finished, " +
          "0 put back in the queue that a dead process held, 0 calls ended unknown"
      )
    }))

  it.scopedLive("hands a rollout back only once its agent has stopped", () =>
    Effect.gen(function*() {
      const folder = yield* scratchFolder
      const started = yield* Deferred.make<void>()
      const whileStopping: Array<string> = []
      const fiber = yield* Effect.fork(execute(
        folder,
        {
          execute: () =>
            Effect.zipRight(Deferred.succeed(started, undefined), Effect.never).pipe(
              Effect.onInterrupt(() =>
                Effect.sleep("300 millis").pipe(
                  Effect.zipRight(Effect.sync(() => whileStopping.push(...statusesIn(folder))))
                )
              )
            )
        },
        1
      ))
      yield* Deferred.await(started)
      yield* Fiber.interrupt(fiber)
      assert.deepStrictEqual(whileStopping, ["1:1 running"])
      assert.deepStrictEqual(statusesIn(folder), ["1:1 failed"])
    }))

  it.scopedLive("stops when its time is up, keeps what is finished, and resumes without repeating it", () =>
    Effect.gen(function*() {
      const folder = yield* scratchFolder
      const said: Array<string> = []
      const executed: Array<unknown> = []
      const summary = yield* execute(
        folder,
        {
          said,
          execute: ({ example }) => example["prompt"] === "question 1" ? Effect.succeed({ output: "4" }) : Effect.never
        },
        3,
        { completion_timeout_secs: 1 }
      )
      assert.deepInclude(summary, { runState: "failed", stoppedReason: "completion_timeout", succeeded: 1 })
      assert.strictEqual(
        said.at(-1),
        "timed out after 1 s with 1 of 3 rollouts finished; run the same command to resume, or raise completion_timeout_secs"
      )
      assert.deepInclude(runRowIn(folder), { state: "running", stopReason: "completion_timeout" })
      assert.deepInclude(statusIn(folder), { run_state: "failed", stopped_reason: "completion_timeout" })
      const slow = { worker_count: 1, completion_timeout_secs: 1 }
      const { resume } = yield* execute(folder, { execute: () => Effect.never }, 3, slow)
      assert.strictEqual(resume.resumedRollouts, 1)
      const resumed = yield* execute(folder, {
        execute: ({ example }) => Effect.sync(() => (executed.push(example["prompt"]), { output: "4" }))
      }, 3)
      assert.deepInclude(resumed.resume, { resumed: true, finishedBefore: 1 })
      assert.deepStrictEqual(executed.toSorted(), ["question 2", "question 3"])
    }))

  it.scopedLive("starts a new run after a finished one and keeps the old", () =>
    Effect.gen(function*() {
      const folder = yield* scratchFolder
      yield* execute(folder, answering, 2)
      const second = yield* execute(folder, answering, 2)
      assert.deepInclude(second, { runId: RunId.make("run-0002-c0ffee"), start: 1, succeeded: 2 })
      assert.strictEqual(attemptsIn(folder).length, 4)
    }))

  it.scopedLive("names unfinished runs of other configs", () =>
    Effect.gen(function*() {
      const folder = yield* scratchFolder
      yield* execute(folder, stuck, 2, { completion_timeout_secs: 1 })
      const said: Array<string> = []
      yield* execute(folder, { ...answering, said }, 1)
      assert.include(said, "also unfinished in this store: run-0001-c0ffee (config.json); its own command resumes it")
    }))

  it.scopedLive("refuses a second run on the same store and names the holder", () =>
    Effect.gen(function*() {
      const folder = yield* scratchFolder
      const { agent, started } = yield* startsThenHangs(1)
      const first = yield* Effect.fork(execute(folder, agent, 1))
      yield* started
      const error = yield* Effect.flip(execute(folder, answering, 1))
      assert.match(
        error.message,
        /^another run is live on .*store\.sqlite: pid \d+ on \S+ since \S+, config config\.json$/
      )
      yield* Fiber.interrupt(first)
    }))

  it.scopedLive("starts nothing while it is paused, lets running attempts finish, and goes on when it may", () =>
    Effect.gen(function*() {
      const folder = yield* scratchFolder
      const gate = yield* Deferred.make<void>()
      const started = yield* Deferred.make<void>()
      let executions = 0
      const fiber = yield* Effect.fork(execute(
        folder,
        {
          execute: () =>
            Effect.gen(function*() {
              executions += 1
              if (executions === 2) yield* Deferred.succeed(started, undefined)
              yield* Deferred.await(gate)
              return { output: "4" }
            })
        },
        6,
        // Shorter than the pause: its clock must stand still. A busy machine is to come to the pause within it.
        { completion_timeout_secs: 2 }
      ))
      yield* Deferred.await(started)
      ask(folder, "pause")
      yield* eventually(
        "a paused status",
        Effect.sync(() => statusIn(folder)["run_state"] === "paused" ? true : undefined)
      )
      yield* Deferred.succeed(gate, undefined)
      yield* eventually(
        "the end of what was running",
        Effect.sync(() => statusIn(folder)["succeeded"] === 2 ? true : undefined)
      )
      yield* Effect.sleep("2100 millis")
      assert.strictEqual(executions, 2)
      ask(folder, "run")
      assert.deepInclude(yield* Fiber.join(fiber), { runState: "completed", succeeded: 6 })
    }))

  it.scopedLive("stops every attempt and cancels the rest on request", () =>
    Effect.gen(function*() {
      const folder = yield* scratchFolder
      const { agent, started } = yield* startsThenHangs(2)
      const fiber = yield* Effect.fork(execute(folder, agent, 5))
      yield* started
      ask(folder, "cancel")
      const summary = yield* Fiber.join(fiber)
      assert.deepInclude(summary, { runState: "cancelled", cancelled: 5, stoppedReason: "cancelled" })
      assert.deepInclude(runRowIn(folder), { state: "cancelled" })
      assert.deepStrictEqual(attemptsIn(folder).map(({ error, status }) => [status, error]), [
        ["failed", "the run was cancelled"],
        ["failed", "the run was cancelled"]
      ])
    }))

  it.scopedLive("stops an attempt whose rollout was taken from it, and writes nothing", () =>
    Effect.gen(function*() {
      const folder = yield* scratchFolder
      let executions = 0
      let stopped = 0
      const agent: FakeAgent = {
        execute: () =>
          Effect.suspend(() => {
            executions += 1
            if (executions > 1) return Effect.succeed({ output: "from the second" })
            const thief = new Sqlite(storePathIn(folder), { timeout: 5_000 })
            thief.exec(`UPDATE attempts SET status = 'unresponsive';
                        UPDATE rollouts SET status = 'requeuing', owner = NULL, lease_until_ms = NULL`)
            thief.close()
            return Effect.onInterrupt(Effect.never, () => Effect.sync(() => void (stopped += 1)))
          })
      }
      const outputs = yield* Effect.gen(function*() {
        const summary = yield* runIn(folder, 1)
        const rollouts = yield* RolloutStore
        return (yield* rollouts.page(summary.runId, -1, 10)).map(({ output }) => output)
      }).pipe(Effect.provide(runtimeAt(folder, agent)))
      assert.strictEqual(stopped, 1)
      assert.deepStrictEqual(outputs, ["from the second"])
      assert.deepStrictEqual(statusesIn(folder), ["1:1 unresponsive", "1:2 succeeded"])
    }))
})
