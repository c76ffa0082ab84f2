import { assert, describe, it } from "@effect/vitest"
import Sqlite from "better-sqlite3"
import * as Effect from "effect/Effect"
import { join } from "node:path"
import { AttemptId } from "../../src/domain/Ids.js"
import { RunFindings } from "../../src/store/RunFindings.js"
import { handedBack } from "../../src/store/writer/rollouts.js"
import { begin, scratchFolder, storeAt } from "../support/store.js"

/** A run of seven rollouts, one in each state. Its second start was at 1 000 ms. */
const startedTwice = Effect.gen(function*() {
  const path = join(yield* scratchFolder, "store.sqlite")
  const { runId } = yield* Effect.provide(begin(7), storeAt(path))
  const db = yield* Effect.acquireRelease(Effect.sync(() => new Sqlite(path)), (db) => Effect.sync(() => db.close()))
  const ids = db.prepare("SELECT id FROM rollouts ORDER BY ordinal").pluck().all() as ReadonlyArray<string>
  const states = ["succeeded", "failed", "cancelled", "running", "preparing", "requeuing", "queuing"]
  for (const [at, id] of ids.entries()) {
    const owner = at === 3 || at === 4 ? "w1" : null
    db.prepare("UPDATE rollouts SET status = ?, owner = ?, lease_until_ms = iif(? IS NULL, NULL, 9) WHERE id = ?")
      .run(states[at], owner, owner, id)
  }
  db.exec(`UPDATE run_starts SET started_at_ms = 0, ended_at_ms = NULL;
    INSERT INTO run_starts (run_id, n, process_id, started_at_ms, finished_before, requeued, unknown_calls)
    SELECT run_id, 2, process_id, 1000, 0, 0, 0 FROM run_starts`)
  const tried = (rollout: number, n: number, startedAtMs: number, status = "failed", error: string | null = null) => {
    const id = `${ids[rollout]}:attempt-${n}`
    db.prepare(
      `INSERT INTO attempts (id, rollout_id, n, epoch, worker_id, status, resources_version, started_at_ms, error)
       VALUES (?, ?, ?, 1, 'w1', ?, 1, ?, ?)`
    ).run(id, ids[rollout], n, status, startedAtMs, error)
    db.prepare("UPDATE rollouts SET attempts = ? WHERE id = ?").run(n, ids[rollout])
    return AttemptId.make(id)
  }
  let spans = 0
  const called = (attemptId: string, attributes: object, tokens: number | null, statusCode = 200, kind = "llm") => {
    spans += 1
    db.prepare(
      `INSERT INTO spans (span_id, trace_id, rollout_id, attempt_id, sequence_id, process_id, name, kind, state, method, path,
         status_code, input_tokens, output_tokens, attributes, events, start_time_us)
       VALUES (?, 't', ?, ?, ?, 'p', 'n', ?, 'done', 'POST', '/', ?, ?, ?, ?, '[]', 0)`
    ).run(
      `${spans}`,
      attemptId.split(":")[0],
      attemptId,
      spans,
      kind,
      statusCode,
      tokens,
      tokens,
      JSON.stringify(attributes)
    )
  }
  return { path, runId, db, tried, called }
})

const findings = <A, E>(path: string, ask: (found: typeof RunFindings.Service) => Effect.Effect<A, E>) =>
  Effect.provide(Effect.flatMap(RunFindings, ask), storeAt(path))

describe("RunFindings", () => {
  it.scoped("counts what is finished, what is taken up again and what is held, and what replays saved", () =>
    Effect.gen(function*() {
      const { called, db, path, runId, tried } = yield* startedTwice
      const again = tried(3, 2, 1_500, "running")
      called(again, { "tau.replayed": true }, 5)
      called(again, { "tau.replayed": true }, null)
      called(again, {}, 100)
      const expected = {
        total: 7,
        finished: 3,
        resumed: 3,
        held: 2,
        callsReplayed: 2,
        tokensSaved: 10,
        previousStartCrashed: true
      }
      assert.deepInclude(yield* findings(path, ({ of }) => of(runId)), expected)
      db.exec("UPDATE run_starts SET ended_at_ms = 900 WHERE n = 1")
      const closed = yield* findings(path, ({ of }) => of(runId))
      assert.deepInclude(closed, { ...expected, previousStartCrashed: false })
    }))

  it.scoped("counts as taken up again what was tried both before a start and since", () =>
    Effect.gen(function*() {
      const { path, runId, tried } = yield* startedTwice
      const times = [[500, 1_000], [500, 999], [1_000, 1_500], [500]]
      for (const [rollout, startedAtMs] of times.entries()) {
        for (const [before, at] of startedAtMs.entries()) tried(rollout, before + 1, at)
      }
      assert.strictEqual(yield* findings(path, ({ takenUpAgain }) => takenUpAgain(runId, 2)), 1)
    }))

  it.scoped("tells attempts that came to an end of their own from those that were handed back", () =>
    Effect.gen(function*() {
      const { path, tried } = yield* startedTwice
      const attempts = [
        tried(0, 1, 0, "succeeded"),
        tried(1, 1, 0, "failed", "exit code 1"),
        tried(2, 1, 0, "timeout"),
        tried(3, 1, 0, "failed", handedBack),
        tried(4, 1, 0, "unresponsive"),
        tried(5, 1, 0, "running")
      ]
      tried(6, 1, 0, "succeeded")
      assert.deepStrictEqual(yield* findings(path, ({ fatesOf }) => fatesOf(attempts)), { finished: 3, handedBack: 1 })
    }))

  it.scoped("takes an attempt for heard once a model has answered it", () =>
    Effect.gen(function*() {
      const { called, path, tried } = yield* startedTwice
      const attempt = tried(3, 1, 0, "running")
      const isHeard = findings(path, ({ isHeard }) => isHeard(attempt))
      called(attempt, {}, null, 429)
      called(attempt, {}, null, 200, "other")
      called(tried(4, 1, 0, "running"), {}, null)
      assert.isFalse(yield* isHeard)
      called(attempt, {}, null, 200)
      assert.isTrue(yield* isHeard)
    }))
})
