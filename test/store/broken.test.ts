import * as SqlClient from "@effect/sql/SqlClient"
import { assert, describe, it } from "@effect/vitest"
import Database from "better-sqlite3"
import * as Effect from "effect/Effect"
import { join } from "node:path"
import { WorkerId } from "../../src/domain/Ids.js"
import { RolloutQueue } from "../../src/store/RolloutQueue.js"
import { SearchStore } from "../../src/store/SearchStore.js"
import { open } from "../../src/store/writer/Database.js"
import type { SearchStep } from "../../src/store/writer/search.js"
import { chainOf } from "../../src/store/writer/searchChain.js"
import type { FinishedSpan } from "../../src/store/writer/spans.js"
import { storeBefore } from "../support/olderStore.js"
import { recordCall } from "../support/recordedCall.js"
import { begin, scratchFolder, withStore } from "../support/store.js"

/** What an attempt failed with, and what is to be known of it. */
const failures = [
  ["scorer judge failed: the server gave no answer: ECONNREFUSED", "scorer"],
  ["the agent failed: the server gave no answer: other side closed", "agent"],
  ["the agent answered with 429", "agent"],
  ["the agent answered with 502: Bad Gateway", "agent"],
  ["the agent answered with 504", "agent"],
  ["the agent answered with 500: no such tool", null],
  ["the agent answered with 400: 503", null],
  ["exit code 1", null],
  [null, null]
] as const

const good = Buffer.from(JSON.stringify({ choices: [{ message: { content: "4" }, finish_reason: "stop" }] }))

type Made = Partial<FinishedSpan> & { readonly response?: Buffer }

const answered: Made = { response: good }
/** A call from one second of its attempt to another. */
const during = (from: number, to: number): Made => ({ startTimeUs: from * 1e6, endTimeUs: to * 1e6 })
/** Its client left, and had got nothing. */
const waited = (from: number, to: number): Made => ({
  ...during(from, to),
  state: "client_cancel",
  statusCode: null
})

/** Nothing more of its answer came for so many seconds before its client left. */
const stood = (from: number, to: number, seconds: number): Made => ({
  ...waited(from, to),
  statusCode: 200,
  silentMs: seconds * 1000
})

const attemptMs = 60_000

/** What broke rollouts whose one attempt made these calls. */
const brokenBy = (rollouts: ReadonlyArray<ReadonlyArray<Made>>, status: "failed" | "timeout" = "failed") =>
  withStore(Effect.gen(function*() {
    const { runId } = yield* begin(rollouts.length)
    const queue = yield* RolloutQueue
    const claims = yield* queue.claim({ runId, workerId: WorkerId.make("w"), leaseMs: 60_000, limit: rollouts.length })
    for (const [n, claim] of claims.entries()) {
      const { attemptId, rolloutId } = claim
      yield* queue.start(claim)
      for (const { response = Buffer.from("{}"), ...span } of rollouts[n]!) {
        yield* recordCall({ attemptId, request: Buffer.from("{}"), response, span: { rolloutId, ...span } })
      }
      yield* queue.fail(claim, { status, error: "e", brokenBy: null, stderrTail: null, permanent: true })
    }
    const sql = yield* SqlClient.SqlClient
    const [main] = yield* sql<{ file: string }>`SELECT file FROM pragma_database_list`
    const store = new Database(main!.file)
    store.prepare("UPDATE attempts SET started_at_ms = ended_at_ms - ?").run(attemptMs)
    store.close()
    const outcomes = yield* Effect.flatMap(
      SearchStore,
      (store) => store.outcomes(claims.map((claim) => claim.rolloutId))
    )
    return claims.map(({ rolloutId }) => outcomes.find(({ id }) => id === rolloutId)!.brokenBy)
  }))

/** One step that was decided on, and two that carry out what was asked for next. */
const searchSteps = [
  { asks: ["first"], rollouts: 2 },
  { asks: ["second"], rollouts: 1 },
  { asks: [], rollouts: 4 }
]

const stepOf = (
  { n, rollouts, ...step }: Pick<SearchStep, "chain" | "n" | "runId"> & { readonly rollouts: number }
) => ({
  ...step,
  n,
  stop: null,
  candidates: n === 0 ? [{ n: 0, texts: "{}", parents: [], change: null, path: "seed" }] : [],
  versions: n === 0 ? [{ n: 0, resources: "{}" }] : [],
  rollouts: Array.from({ length: rollouts }, (_, index) => ({
    id: `${step.runId}-${n}-${index}`,
    mode: "val" as const,
    input: "{}",
    candidate: 0,
    example: `${n}-${index}`,
    sample: 0
  })),
  reflections: [],
  events: [],
  eventsFrom: 0,
  attemptsMax: 1,
  author: "rgepa"
})

describe("What broke an attempt", () => {
  it.scopedLive("is its model where most of its time went by in calls that got nothing, or nothing more", () =>
    Effect.gen(function*() {
      const early = { ...answered, ...during(0, 1) }
      const rollouts = [
        [early, waited(1, 60)],
        // A client's tries, each with a timeout of its own.
        [waited(0, 20), waited(21, 41)],
        [early, waited(1, 11)],
        [waited(0, 50), { ...answered, ...during(50, 51) }],
        [{ ...waited(0, 60), statusCode: 200 }],
        // It asked several at once, and took the first answer, or gave up soon.
        [{ ...answered, ...during(0, 20) }, waited(0, 20), waited(0, 20)],
        [waited(0, 20), waited(0, 20), waited(1, 19)],
        // The other one is waited for longer.
        [waited(0, 60), early],
        // Answers that stood still behind their first bytes.
        [early, stood(1, 60, 50)],
        [stood(0, 30, 29), stood(30, 60, 29)],
        [stood(0, 30, 29), stood(0, 30, 29)],
        [stood(0, 40, 39), { ...answered, ...during(40, 41) }]
      ]
      const model = "timeout"
      const expected = [model, model, null, null, null, null, null, model, model, model, null, null]
      for (const status of ["timeout", "failed"] as const) {
        assert.deepStrictEqual(yield* brokenBy(rollouts, status), expected)
      }
    }))

  it.scopedLive("is not its model where the client's next try went well, unless its time ran out over that", () =>
    Effect.gen(function*() {
      const busy = (statusCode: number): Made => ({ statusCode })
      const other: Made = { response: good, caller: { sessionId: "another", retryCount: null, idempotencyKey: null } }
      const rollouts = [[busy(429), answered], [busy(429), busy(503), answered], [busy(429), busy(503)], [
        busy(429),
        other
      ]]
      assert.deepStrictEqual(yield* brokenBy(rollouts), [null, null, "503", "429"])
      assert.deepStrictEqual(yield* brokenBy(rollouts, "timeout"), ["429", "503", "503", "429"])
    }))

  it.scopedLive("is its model where its last answer has no choice, but not where it has one without a text", () =>
    Effect.gen(function*() {
      const saying = (value: unknown): Made => ({ response: Buffer.from(JSON.stringify(value)) })
      const none = saying({ choices: [] })
      const empty = saying({ choices: [{ message: { content: "" }, finish_reason: "stop" }] })
      const rollouts = [[none], [answered, none], [none, answered], [empty]]
      assert.deepStrictEqual(yield* brokenBy(rollouts), ["unreadable", "unreadable", null, null])
    }))

  it.scopedLive("is tried anew by a search with all that the same was asked with, and nothing that was decided on", () =>
    withStore(Effect.gen(function*() {
      const { runId } = yield* begin(0)
      const store = yield* SearchStore
      const queue = yield* RolloutQueue
      let chain = ""
      for (const [n, { asks, rollouts }] of searchSteps.entries()) {
        chain = chainOf(chain, asks)
        yield* store.take(stepOf({ runId, n, chain, rollouts }))
        const workerId = WorkerId.make("w")
        for (const claim of yield* queue.claim({ runId, workerId, leaseMs: 60_000, limit: rollouts })) {
          const { attemptId, rolloutId } = claim
          yield* queue.start(claim)
          yield* recordCall({
            attemptId,
            request: Buffer.from("{}"),
            response: Buffer.from("{}"),
            span: { rolloutId, statusCode: 401 }
          })
          yield* queue.fail(claim, {
            status: "failed",
            error: "401",
            brokenBy: null,
            stderrTail: null,
            permanent: true
          })
        }
      }
      const { finishedBefore, retried } = yield* begin(0)
      assert.deepStrictEqual({ finishedBefore, retried }, { finishedBefore: 2, retried: 5 })
    })))

  it.scoped("is known of those that were made before it was noted", () =>
    Effect.gen(function*() {
      const path = join(yield* scratchFolder, "store.sqlite")
      const older = storeBefore("0012_broken_by", path)
      older.exec(`INSERT INTO resources VALUES (1, 'resources-1', '{}', 'a', NULL, 'config', 1, 0);
        INSERT INTO runs (id, ordinal, state, config_hash, config, config_path, model_ref, resources_version, created_at_ms)
          VALUES ('run-1', 1, 'running', 'h', '{}', 'c', 'm', 1, 1);
        INSERT INTO rollouts (id, run_id, mode, ordinal, status, input, input_sha256, resources_version, run_at_ms, attempts_max,
          created_at_ms, attempts) VALUES ('r', 'run-1', 'train', 0, 'failed', '{}', 's', 1, 1, 99, 1, ${failures.length})`)
      const insert = older.prepare(
        `INSERT INTO attempts (id, rollout_id, n, epoch, worker_id, status, resources_version, started_at_ms, error)
         VALUES ('r:attempt-' || :n, 'r', :n, :n, 'w', 'failed', 1, 1, :error)`
      )
      for (const [index, [error]] of failures.entries()) insert.run({ n: index + 1, error })
      older.close()

      const { connection } = open(path)
      assert.deepStrictEqual(
        connection.prepare("SELECT error, broken_by FROM attempts ORDER BY n").raw().all(),
        failures.map((failure) => [...failure])
      )
      connection.close()
    }))
})
