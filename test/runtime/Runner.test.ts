import { assert, describe, it } from "@effect/vitest"
import Sqlite from "better-sqlite3"
import * as Effect from "effect/Effect"
import { RunId } from "../../src/domain/Ids.js"
import { Reward, RolloutRejected } from "../../src/domain/Reward.js"
import { AttemptFailed } from "../../src/runtime/Executor.js"
import { RolloutQueue } from "../../src/store/RolloutQueue.js"
import type { Writer } from "../../src/store/Writer.js"
import type { FinishedSpan } from "../../src/store/writer/spans.js"
import { recordCall } from "../support/recordedCall.js"
import { type FakeAgent, runIn, runtimeAt, storePathIn } from "../support/runtime.js"
import { rowsOf, scratchFolder } from "../support/store.js"

type Made = Partial<FinishedSpan> & { readonly response?: string }

const good: Made = { response: JSON.stringify({ choices: [{ message: { content: "4" }, finish_reason: "stop" }] }) }
const status = (statusCode: number): Made => ({ statusCode, response: "{\"error\":{\"message\":\"no\"}}" })
const leftEarly: Made = { state: "client_cancel", statusCode: null, response: "" }

/** Calls of an agent that answers whatever comes of them, and how its rollout ends. */
const swallowing: ReadonlyArray<
  readonly [calls: ReadonlyArray<Made>, cause: string | null, attempts: number]
> = [
  [[status(401)], "401", 1],
  [[status(429), status(503)], "503", 2],
  [[{ response: "<html>Sign in to this network</html>" }], "unreadable", 2],
  [[{ state: "upstream_error", statusCode: null }, leftEarly], "upstream_error", 2],
  [[status(429), good], null, 1],
  // It may have asked for something that it can do without.
  [[good, status(403)], null, 1],
  [[status(400)], null, 1],
  [[leftEarly], null, 1],
  [[{ ...status(401), path: "/v1/files" }], null, 1],
  [[], null, 1]
]

describe("A runner", () => {
  for (
    const [said, outcome] of [
      [
        "fails",
        new AttemptFailed({ reason: "model", detail: "answered with 503", permanent: false, stderrTail: null })
      ],
      ["answers all the same", Effect.succeed({ output: "Sorry." })]
    ] as const
  ) {
    it.scopedLive(`charges no attempt whose calls could not be recorded and that ${said}, and begins none until they can`, () =>
      Effect.gen(function*() {
        const folder = yield* scratchFolder
        const said: Array<string> = []
        let asked = 0
        let refusesUntil = 0
        let begunEarly = 0
        const agent: FakeAgent = {
          said,
          refusal: () => ++asked <= refusesUntil ? "the disk is full" : null,
          execute: ({ attempt }) => {
            if (attempt > 1) {
              if (asked <= refusesUntil) begunEarly += 1
              return Effect.succeed({ output: "4" })
            }
            refusesUntil = asked + 5
            return outcome
          }
        }
        const summary = yield* Effect.provide(
          runIn(folder, 1, { worker_count: 1, max_attempts: 1 }),
          runtimeAt(folder, { heartbeatIntervalMs: 5_000, ...agent })
        )
        assert.deepInclude(summary, { succeeded: 1, failed: 0 })
        assert.isAtLeast(asked, refusesUntil)
        assert.strictEqual(begunEarly, 0)
        assert.include(
          said.join("\n"),
          "handed back run-0001-c0ffee-train-0001, uncharged: its calls cannot be recorded: the disk is full"
        )
      }))
  }

  it.scopedLive("keeps no key out of the words with which a scorer rejects an answer", () =>
    Effect.gen(function*() {
      const folder = yield* scratchFolder
      const key = `sk-${"a".repeat(40)}`
      const agent: FakeAgent = {
        execute: () => Effect.succeed({ output: "4" }),
        score: () =>
          new RolloutRejected({
            detail: `it told ${key}`,
            rewards: [new Reward({ name: "leaks", value: 0, feedback: "it told a key" })]
          })
      }
      yield* Effect.provide(runIn(folder, 1), runtimeAt(folder, agent))
      assert.deepStrictEqual(rowsOf(storePathIn(folder), "SELECT status, error FROM rollouts"), [
        { status: "failed", error: "rejected: it told [REDACTED]" }
      ])
      assert.deepStrictEqual(rowsOf(storePathIn(folder), "SELECT feedback FROM rewards"), [{
        feedback: "it told a key"
      }])
    }))

  it.scopedLive("says nothing of the leases that a cancel took: the run's ending tells it, once", () =>
    Effect.gen(function*() {
      const folder = yield* scratchFolder
      const said: Array<string> = []
      let cancel: Effect.Effect<void> = Effect.void
      const agent: FakeAgent = {
        said,
        heartbeatIntervalMs: 100,
        execute: () => Effect.zipRight(Effect.suspend(() => cancel), Effect.never)
      }
      yield* Effect.gen(function*() {
        const queue = yield* RolloutQueue
        cancel = Effect.suspend(() => {
          const verb = new Sqlite(storePathIn(folder), { timeout: 5_000 })
          const runId = verb.prepare("UPDATE runs SET desired = 'cancel' RETURNING id").pluck().get() as string
          verb.close()
          return Effect.orDie(queue.cancel(RunId.make(runId)))
        })
        // The next heartbeat finds the lease gone, long before the run looks what verbs want.
        yield* runIn(folder, 1, { completion_poll_interval_ms: 1_500 })
      }).pipe(Effect.provide(runtimeAt(folder, agent)))
      assert.deepStrictEqual(said.filter((line) => /stopped|on request/.test(line)), [
        "cancelled on request: 1 unfinished rollout will not run"
      ])
    }))

  it.scopedLive("takes no answer of an agent whose model calls all failed for want of their provider", () =>
    Effect.gen(function*() {
      const folder = yield* scratchFolder
      let record: (call: Parameters<typeof recordCall>[0]) => Effect.Effect<void, string> = () => Effect.void
      const agent: FakeAgent = {
        execute: ({ attemptId, example, onSpeech, rolloutId }) =>
          Effect.gen(function*() {
            onSpeech?.(() => "no luck")
            const [calls] = swallowing[Number(String(example["prompt"]).replace("question ", "")) - 1]!
            for (const { path, response = "", ...span } of calls) {
              yield* record({
                attemptId,
                request: Buffer.from("{}"),
                response: Buffer.from(response),
                ...(path !== undefined && { path }),
                span: { rolloutId, ...span }
              })
            }
            return { output: "Sorry, something went wrong." }
          }).pipe(Effect.orDie)
      }
      const running = Effect.gen(function*() {
        const writer = yield* Effect.context<Writer>()
        record = (call) => Effect.provide(recordCall(call), writer)
        return yield* runIn(folder, swallowing.length, { max_attempts: 2 })
      })
      const summary = yield* Effect.provide(running, runtimeAt(folder, agent))
      assert.deepInclude(summary, { succeeded: 6, failed: 4 })
      const error = (cause: string) =>
        `the agent answered, but none of its model calls was answered (the last one: ${cause})`
      assert.deepStrictEqual(
        rowsOf(
          storePathIn(folder),
          `SELECT r.error, attempts, stderr_tail FROM rollouts r JOIN attempts a ON a.rollout_id = r.id AND a.n = r.attempts
           ORDER BY ordinal`
        ),
        swallowing.map(([, cause, attempts]) => ({
          error: cause === null ? null : error(cause),
          attempts,
          stderr_tail: cause === null ? null : "no luck"
        }))
      )
    }))

  it.scopedLive("tells an agent when its time is over, and waits as long as its failure says", () =>
    Effect.gen(function*() {
      const folder = yield* scratchFolder
      const begunAt: Array<number> = []
      const agent: FakeAgent = {
        execute: ({ deadlineMs }) => {
          begunAt.push(deadlineMs! - 7_000)
          return begunAt.length === 2
            ? Effect.succeed({ output: "4" })
            : new AttemptFailed({ reason: "model", detail: "429", permanent: false, stderrTail: null, pauseMs: 1_500 })
        }
      }
      const before = Date.now()
      yield* Effect.provide(runIn(folder, 1, { attempt_timeout_secs: 7 }), runtimeAt(folder, agent))
      assert.lengthOf(begunAt, 2)
      assert.isAtLeast(begunAt[0]!, before)
      assert.isAtLeast(begunAt[1]! - begunAt[0]!, 1_500)
    }))
})
