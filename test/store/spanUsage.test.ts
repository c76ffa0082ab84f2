import * as SqlClient from "@effect/sql/SqlClient"
import { assert, describe, it } from "@effect/vitest"
import Database from "better-sqlite3"
import * as Effect from "effect/Effect"
import { WorkerId } from "../../src/domain/Ids.js"
import { costOf } from "../../src/domain/Prices.js"
import { RolloutQueue } from "../../src/store/RolloutQueue.js"
import { RunFindings } from "../../src/store/RunFindings.js"
import { SearchStore } from "../../src/store/SearchStore.js"
import type { FinishedSpan } from "../../src/store/writer/spans.js"
import { recordCall } from "../support/recordedCall.js"
import { begin, withStore } from "../support/store.js"

const answer = (usage?: object) =>
  Buffer.from(JSON.stringify({
    id: "a",
    model: "m",
    choices: [{ index: 0, message: { role: "assistant", content: "4" }, finish_reason: "stop" }],
    ...(usage !== undefined && { usage })
  }))

const crashed = "c".repeat(16)

describe("What calls used", () => {
  it.scopedLive("counts those apart that say nothing of it, and those that nobody priced", () =>
    withStore(Effect.gen(function*() {
      const { runId } = yield* begin(1)
      const queue = yield* RolloutQueue
      const claimed = yield* queue.claim({ runId, workerId: WorkerId.make("w1"), leaseMs: 60_000, limit: 1 })
      const { attemptId, rolloutId } = claimed[0]!
      const record = (response: Buffer, span: Partial<FinishedSpan> = {}) =>
        recordCall({
          request: Buffer.from(JSON.stringify({ model: "m", messages: [{ role: "user", content: "2+2" }] })),
          response,
          attemptId,
          span: { rolloutId, ...span }
        })
      const used = { prompt_tokens: 100, completion_tokens: 10 }
      const another = (yield* begin(1, { configHash: "another", configPath: "another.json" })).runId
      const [elsewhere] = yield* queue.claim({
        runId: another,
        workerId: WorkerId.make("w2"),
        leaseMs: 60_000,
        limit: 1
      })
      yield* record(answer(used))
      yield* record(answer({ ...used, cost: 0.25 }))
      yield* record(answer())
      yield* record(answer().subarray(0, 20), { state: "client_cancel" })
      yield* record(answer().subarray(0, 20), { state: "upstream_cut" })
      // Nobody was there for the answer.
      yield* record(Buffer.alloc(0), { spanId: crashed, state: "timeout", statusCode: null })
      const sql = yield* SqlClient.SqlClient
      const [main] = yield* sql<{ file: string }>`SELECT file FROM pragma_database_list`
      const store = new Database(main!.file)
      store.prepare("UPDATE spans SET state = 'unknown_after_crash' WHERE span_id = ?").run(crashed)
      store.close()
      yield* record(Buffer.alloc(0), { state: "client_cancel", statusCode: null })
      yield* record(Buffer.alloc(0), { state: "timeout", statusCode: 504 })
      // These used nothing.
      yield* record(Buffer.from("{\"error\":{\"message\":\"no\"}}"), { statusCode: 429 })
      yield* record(Buffer.alloc(0), { state: "upstream_error", statusCode: null })
      // Paid for before, by another run, and for no words of a model.
      yield* record(answer({ ...used, cost: 0.25 }), { replayOf: crashed })
      yield* recordCall({
        response: answer(used),
        attemptId: elsewhere!.attemptId,
        span: { rolloutId: elsewhere!.rolloutId }
      })
      yield* recordCall({
        path: "/v1/embeddings",
        request: Buffer.from(JSON.stringify({ model: "m", input: "2+2" })),
        response: Buffer.from(JSON.stringify({ object: "list", model: "m", data: [], usage: { prompt_tokens: 100 } })),
        attemptId,
        span: { rolloutId }
      })
      const usage = yield* Effect.flatMap(SearchStore, (store) => store.usage(rolloutId))
      assert.deepStrictEqual(costOf(usage, { m: { input: 1_000, output: 10_000 } }), {
        usd: 0.45,
        unpriced: null,
        unpricedCalls: 0,
        unmeteredCalls: 6
      })
      const ofRun = yield* Effect.flatMap(RunFindings, ({ usage }) => usage(runId))
      assert.deepStrictEqual(costOf(ofRun, undefined), costOf(usage, undefined))
      assert.deepStrictEqual(costOf(usage, undefined), {
        usd: 0.25,
        unpriced: "m",
        unpricedCalls: 1,
        unmeteredCalls: 6
      })
    })))
})
