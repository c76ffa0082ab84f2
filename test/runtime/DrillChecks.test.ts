import { assert, describe, it } from "@effect/vitest"
import Sqlite from "better-sqlite3"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import { closeSync, copyFileSync, openSync, writeSync } from "node:fs"
import { join } from "node:path"
import { broken, forbidden, snapshot, unwitnessed } from "../../src/runtime/DrillChecks.js"
import { AttemptFailed } from "../../src/runtime/Executor.js"
import { AuditTrail } from "../../src/store/AuditTrail.js"
import { idsMax, invariants } from "../../src/store/Invariants.js"
import { layer as storeLayer, readOnly } from "../../src/store/Sqlite.js"
import { Writer } from "../../src/store/Writer.js"
import { runIn, runtimeAt, storePathIn } from "../support/runtime.js"
import { rowsOf, scratchFolder } from "../support/store.js"

const answer = JSON.stringify({ id: "chatcmpl-1", choices: [] })

/** A finished run of four rollouts, one of which failed once, with a recorded call. */
const soundStore = Effect.gen(function*() {
  const folder = yield* scratchFolder
  const path = storePathIn(folder)
  const agent = {
    execute: ({ attempt, rolloutId }: { readonly attempt: number; readonly rolloutId: string }) =>
      rolloutId.endsWith("0003") && attempt === 1
        ? Effect.fail(new AttemptFailed({ reason: "exit-code", detail: "no", permanent: false, stderrTail: null }))
        : Effect.succeed({ output: "4" })
  }
  yield* runIn(folder, 4, { completion_timeout_secs: 60 }).pipe(Effect.provide(runtimeAt(folder, agent)))
  const [first] = rowsOf<{ rollout: string; attempt: string; startedAtMs: number }>(
    path,
    "SELECT rollout_id AS rollout, id AS attempt, started_at_ms AS startedAtMs FROM attempts ORDER BY id"
  )
  yield* Effect.flatMap(Writer, (writer) =>
    Effect.async<void>((resume) => {
      const bodies = [Buffer.from(JSON.stringify({ model: "m", messages: [] })), Buffer.from(answer)]
      writer.submit("closeSpan", {
        spanId: "5".repeat(16),
        traceId: "7".repeat(32),
        parentId: null,
        rolloutId: first!.rollout,
        attemptId: first!.attempt,
        clientSequenceId: null,
        processId: "tester",
        method: "POST",
        path: "/v1/chat/completions",
        startTimeUs: first!.startedAtMs * 1000,
        caller: null,
        state: "done",
        endTimeUs: first!.startedAtMs * 1000 + 10,
        statusCode: 200,
        errorCode: null,
        errorMessage: null,
        upstreamUrl: "http://127.0.0.1:1/v1/chat/completions",
        firstByteUs: null,
        chunks: 1,
        requestBytes: bodies[0]!.length,
        responseBytes: bodies[1]!.length,
        requestTruncated: false,
        responseTruncated: false,
        requestContentEncoding: null,
        responseContentType: "application/json",
        responseContentEncoding: null,
        isFirst: true,
        wasOpened: false
      }, { nowMs: first!.startedAtMs, bodies, done: () => resume(Effect.void) })
    })).pipe(Effect.provide(storeLayer({ path, kind: "test" })))
  return { folder, path, attempt: first!.attempt }
})

/** A copy of the store with what no writer of ours would do done to it. */
const tampered = ({ folder, path }: { readonly folder: string; readonly path: string }, sql: string) => {
  const copy = join(folder, `${Math.random()}.sqlite`)
  copyFileSync(path, copy)
  const store = new Sqlite(copy)
  store.pragma("foreign_keys = OFF")
  store.pragma("ignore_check_constraints = ON")
  const schema = store.prepare(
    "SELECT type, name FROM sqlite_schema WHERE type = 'trigger' OR type = 'index' AND sql LIKE 'CREATE UNIQUE%'"
  ).all() as ReadonlyArray<{ type: string; name: string }>
  for (const { name, type } of schema) store.exec(`DROP ${type} ${name}`)
  store.exec(sql)
  store.close()
  return copy
}

const reading = (path: string) => AuditTrail.layer.pipe(Layer.provideMerge(readOnly(path)))
const brokenIn = (path: string) => Effect.provide(broken(path), reading(path))

const one = "(SELECT id FROM rollouts ORDER BY id LIMIT 1)"
const tried = "(SELECT rollout_id FROM attempts GROUP BY 1 HAVING count(*) = 2)"
const attempt = (status: string, epoch: number, n: number) =>
  `INSERT INTO attempts (id, rollout_id, n, epoch, worker_id, status, resources_version, started_at_ms, ended_at_ms)
   SELECT id || ':extra-${n}', id, ${n}, ${epoch}, 'w', '${status}', resources_version, 9e15, NULL FROM rollouts WHERE id = ${one};`

/** For each invariant, what breaks it. */
const breaks: Readonly<Record<string, string>> = {
  I1: attempt("running", 2, 2) + attempt("running", 3, 3),
  I2: `UPDATE attempts SET epoch = 1 WHERE rollout_id = ${tried}`,
  I3: `UPDATE rollouts SET ended_at_ms = NULL WHERE id = ${one}`,
  I4: `UPDATE rollouts SET status = 'running', owner = 'nobody', lease_until_ms = 1 WHERE id = ${one}`,
  I5: `UPDATE attempts SET status = 'succeeded' WHERE rollout_id = ${tried} AND n = 1`,
  I6: `UPDATE rollouts SET owner = 'nobody' WHERE id = ${one}`,
  I7: `UPDATE rollouts SET crashes = 1 WHERE id = ${one}`,
  I8: `UPDATE attempts SET status = 'succeeded' WHERE rollout_id = ${tried}`,
  I9: `UPDATE attempts SET status = 'running' WHERE rollout_id = ${one}`,
  I10: attempt("running", 0, 2),
  I11: "UPDATE spans SET attempt_id = 'nobody'",
  I12: `UPDATE rollouts SET status = 'failed' WHERE id = ${one}`,
  I13: `UPDATE attempts SET error = 'its process died' WHERE rollout_id = ${one}`,
  I15: `UPDATE rollouts SET status = 'queuing', ended_at_ms = NULL WHERE id = ${one}`,
  I16: `UPDATE rollouts SET ordinal = 1 WHERE id = ${one}`,
  I17: `UPDATE rollouts SET attempts = 7 WHERE id = ${one}`,
  I20: "DELETE FROM bodies",
  I21: "UPDATE spans SET sequence_id = 2",
  I22: "UPDATE resources SET is_latest = 0",
  counted: "UPDATE run_counts SET score_sum = score_sum + 0.25",
  calls: "UPDATE runs SET calls = calls + 1",
  unknown: "UPDATE spans SET state = 'open', process_id = (SELECT id FROM processes LIMIT 1)",
  requeued: "UPDATE run_starts SET requeued = 3",
  events: "DELETE FROM run_events WHERE reason_code = 'job_started'"
}

describe("the checks of a drill", () => {
  it.scopedLive(
    "find nothing wrong with a sound store, and each broken invariant in a tampered one",
    () =>
      Effect.gen(function*() {
        const store = yield* soundStore
        assert.deepStrictEqual(yield* brokenIn(store.path), [])
        assert.deepStrictEqual(Object.keys(breaks), invariants.map(({ name }) => name), "each has its tampering")
        for (const [name, sql] of Object.entries(breaks)) {
          const found = yield* brokenIn(tampered(store, sql))
          const breach = found.find(({ invariant }) => invariant === name)
          assert.isDefined(breach, `${name} was not found; found ${found.map(({ invariant }) => invariant).join()}`)
          assert.isNotEmpty(breach!.ids, name)
        }
      }),
    60_000
  )

  it.scopedLive("name the rows that break an invariant, up to a limit", () =>
    Effect.gen(function*() {
      const store = yield* soundStore
      const found = yield* brokenIn(tampered(store, "UPDATE rollouts SET attempts = 7"))
      const ids = found.find(({ invariant }) => invariant === "I17")!.ids
      assert.deepStrictEqual(ids.length, 4)
      assert.isTrue(ids.every((id) => /^run-0001-c0ffee-train-000\d$/.test(id)))
      assert.isAbove(idsMax, 4)
    }))

  it.scopedLive("find damage of the file, and a control log that was changed", () =>
    Effect.gen(function*() {
      const store = yield* soundStore
      const damaged = tampered(store, "SELECT 1")
      const [workers] = rowsOf<{ page: number }>(
        damaged,
        "SELECT (rootpage - 1) * (SELECT page_size FROM pragma_page_size) AS page FROM sqlite_schema WHERE name = 'workers'"
      )
      const file = openSync(damaged, "r+")
      writeSync(file, Buffer.alloc(512, 0xff), 0, 512, workers!.page)
      closeSync(file)
      assert.deepStrictEqual((yield* brokenIn(damaged)).map(({ invariant }) => invariant), ["store"])
      const improved = tampered(
        store,
        `INSERT INTO control_log (n, at_ms, principal, action, action_key, lifecycle_state, idempotent, decision, detail)
         VALUES (1, 1, 'local:eve', 'cancel', 'control:rl:cancel', 'cancelled', 0, 'allow', 'done')`
      )
      const [breach] = yield* brokenIn(improved)
      assert.deepInclude(breach, { invariant: "I25" })
      assert.match(breach!.ids[0]!, /row 1/)
    }))

  it.scopedLive("find what was lost or changed after its end, and an epoch that fell", () =>
    Effect.gen(function*() {
      const store = yield* soundStore
      const before = yield* Effect.provide(snapshot, reading(store.path))
      const after = (sql: string) => {
        const path = tampered(store, sql)
        return Effect.map(Effect.provide(snapshot, reading(path)), (now) => forbidden(before, now))
      }
      assert.deepStrictEqual(yield* after("SELECT 1"), [])
      const [lost] = yield* after("DELETE FROM rewards")
      assert.deepInclude(lost, { invariant: "I20" })
      assert.strictEqual(lost!.ids.length, 4)
      const [changed] = yield* after(`UPDATE rollouts SET output = '5' WHERE id = ${one}`)
      assert.deepInclude(changed, { invariant: "I3", ids: ["run-0001-c0ffee-train-0001"] })
      const fallen = yield* after(`UPDATE rollouts SET epoch = 0 WHERE id = ${one}`)
      assert.include(fallen.map(({ invariant }) => invariant), "I2")
    }))

  it.scopedLive("find answers that the store has and nobody gave, and those that it should have", () =>
    Effect.gen(function*() {
      const { attempt, path } = yield* soundStore
      const against = (
        held: ReadonlyArray<{ readonly attemptId: string; readonly body: string }> | null,
        served: ReadonlyArray<string> | null,
        servedBefore = 0
      ) =>
        Effect.map(
          Effect.provide(
            unwitnessed({ held, served: served === null ? null : () => served }, servedBefore),
            readOnly(path)
          ),
          (found) => found.map(({ what }) => what)
        )
      assert.deepStrictEqual(yield* against([{ attemptId: attempt, body: answer }], ["chatcmpl-1"]), [])
      assert.deepStrictEqual(yield* against(null, null), [])
      assert.deepStrictEqual(yield* against([{ attemptId: attempt, body: `${answer} ` }], null), [
        "an answer that an agent held whole is in the store, byte for byte"
      ])
      assert.deepStrictEqual(yield* against(null, []), ["a recorded answer is one that the model gave"])
      assert.deepStrictEqual(yield* against(null, ["chatcmpl-1", "chatcmpl-1"]), [
        "every answer that was given since the last kill is recorded"
      ])
      assert.deepStrictEqual(yield* against(null, ["chatcmpl-1", "chatcmpl-1"], 1), [])
      const twice = tampered(
        { folder: join(path, ".."), path },
        `INSERT INTO spans SELECT 'twin', trace_id, parent_id, run_id, rollout_id,
        attempt_id, 2, process_id, name, kind, state, method, path, status_code, model, input_tokens, output_tokens, attributes, events,
        start_time_us, end_time_us, resources_version, request_bytes, response_bytes, request_sha256, response_sha256, answer_sha256,
        retried_by FROM spans`
      )
      const found = yield* Effect.provide(unwitnessed({ held: null, served: () => ["chatcmpl-1"] }, 1), readOnly(twice))
      assert.deepStrictEqual(found.map(({ ids, what }) => [what, ids]), [
        ["an answer is recorded no more often than the model gave it", ["chatcmpl-1"]]
      ])
    }))
})
