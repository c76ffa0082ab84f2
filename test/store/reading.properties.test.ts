import * as SqlClient from "@effect/sql/SqlClient"
import { assert, describe, it } from "@effect/vitest"
import Sqlite from "better-sqlite3"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as FastCheck from "effect/FastCheck"
import * as Layer from "effect/Layer"
import { join } from "node:path"
import { lookedAtMax, type Page, type PageRequest } from "../../src/store/Page.js"
import * as ReadOnlyStore from "../../src/store/ReadOnlyStore.js"
import { RolloutStore } from "../../src/store/RolloutStore.js"
import { RunReader } from "../../src/store/RunReader.js"
import { RunStore } from "../../src/store/RunStore.js"
import { anySpan, type SpanFilter, SpanStore } from "../../src/store/SpanStore.js"
import { scratchFolder, storeAt } from "../support/store.js"

const readers = Layer.mergeAll(RunReader.layer, RolloutStore.layer, SpanStore.layer)

interface StoredSpan {
  readonly span_id: string
  readonly rollout_id: string
  readonly attempt_id: string
  readonly sequence_id: number
  readonly start_time_us: number
  readonly model: string
  readonly status_code: number
  readonly run_id: string | null
}

/** A store with two runs of 30 rollouts, and 240 calls: many in one second, over two rollouts and three attempts. */
const filledStore = Effect.gen(function*() {
  const path = join(yield* scratchFolder, "store.sqlite")
  const runIds = yield* Effect.gen(function*() {
    const runs = yield* RunStore
    return yield* Effect.forEach(["c0ffee1", "c0ffee2"], (configHash) =>
      Effect.map(
        runs.begin({
          configHash,
          config: {},
          configPath: "config.json",
          modelRef: "sim/arithmetic",
          resources: null,
          rollouts: Array.from(
            { length: 30 },
            (_, n) => ({ mode: n % 3 === 0 ? "val" : "train", input: { prompt: `${n}` } })
          ),
          attemptsMax: 1
        }),
        ({ runId }) => runId
      ))
  }).pipe(Effect.provide(storeAt(path)))
  const db = new Sqlite(path)
  db.exec("UPDATE runs SET created_at_ms = 1700000000000")
  db.exec("UPDATE rollouts SET status = 'failed' WHERE ordinal % 7 = 1")
  db.exec("UPDATE rollouts SET status = 'succeeded', score = (ordinal % 5) / 4.0 WHERE ordinal % 7 = 2")
  const insert = db.prepare(
    `INSERT INTO spans (span_id, trace_id, run_id, rollout_id, attempt_id, sequence_id, process_id, name, kind, state, method,
       path, status_code, model, attributes, events, start_time_us)
     VALUES (?, 't', ?, ?, ?, ?, 'p', 'n', 'llm', 'done', 'POST', '/', ?, ?, '{"tau.call.role":"main"}', '[]', ?)`
  )
  for (let n = 0; n < 240; n++) {
    const second = 1_700_000_000 + Math.floor(n / 50)
    insert.run(
      second.toString(16).padStart(8, "0") + n.toString(16).padStart(8, "0"),
      n % 5 === 4 ? null : runIds[n % 2]!,
      `r${n % 2}`,
      `r${n % 2}:attempt-${n % 3}`,
      n + 1,
      n % 11 === 0 ? 500 : 200,
      n % 4 === 0 ? "a" : "b",
      // Calls of one rollout that began in the same microsecond have only their ids to tell them apart.
      second * 1_000_000 + Math.floor(n % 50 / 10)
    )
  }
  const spans = db.prepare("SELECT * FROM spans ORDER BY span_id").all() as ReadonlyArray<StoredSpan>
  const rollouts = db.prepare("SELECT id, run_id, status, mode, score FROM rollouts ORDER BY run_id, ordinal")
    .all() as ReadonlyArray<
      { id: string; run_id: string; status: string; mode: string; score: number | null }
    >
  db.close()
  return { path, spans, rollouts, runIds }
})

/** The ids of all pages of this size, one after the other. */
const allPages = <A, E, R>(
  limit: number,
  page: (request: PageRequest) => Effect.Effect<Page<A>, E, R>,
  idOf: (item: A) => string
) =>
  Effect.gen(function*() {
    const ids: Array<string> = []
    for (let after: string | null = null;;) {
      const { items, next }: Page<A> = yield* page({ after, limit })
      assert.isAtMost(items.length, limit)
      ids.push(...items.map(idOf))
      if (next === null) return ids
      after = next
    }
  })

const orNull = <A>(...values: ReadonlyArray<A>) => FastCheck.constantFrom<A | null>(null, ...values)

const spanChoice = FastCheck.record({
  limit: FastCheck.integer({ min: 1, max: 300 }),
  newest: FastCheck.boolean(),
  run: orNull(0, 1),
  captured: FastCheck.boolean(),
  rolloutId: orNull("r0", "r1", "none"),
  attemptId: orNull("r0:attempt-0", "r1:attempt-1"),
  model: orNull("a", "b"),
  role: orNull("main", "title"),
  failed: FastCheck.boolean(),
  sinceMs: orNull(1_700_000_001_000, 1_700_000_002_500),
  untilMs: orNull(1_700_000_003_000)
})

const rolloutChoice = FastCheck.record({
  limit: FastCheck.integer({ min: 1, max: 40 }),
  run: FastCheck.constantFrom(0, 1),
  status: orNull("failed" as const, "succeeded" as const, "queuing" as const),
  mode: orNull("train" as const, "val" as const),
  scoreMin: orNull(0.25, 0.5),
  scoreMax: orNull(0.5, 1)
})

/** The readers of a store in which something is written each time before a page asks which row it looked at last. */
const readersBeside = (path: string, write: () => void) =>
  Layer.provide(
    readers,
    Layer.map(ReadOnlyStore.layer(path), (context) => {
      const sql = Context.get(context, SqlClient.SqlClient)
      const watched = new Proxy(sql, {
        apply: (target, self, [strings, ...values]: [TemplateStringsArray, ...Array<unknown>]) => {
          if (strings.join("").includes("count(*) OVER ()")) write()
          return Reflect.apply(target, self, [strings, ...values])
        }
      })
      return Context.add(context, SqlClient.SqlClient, watched)
    })
  )

describe("paging", () => {
  it.scopedLive("gives a call once, however many are recorded while a page of few of them is looked for", () =>
    Effect.gen(function*() {
      const { path } = yield* filledStore
      const db = yield* Effect.acquireRelease(
        Effect.sync(() => new Sqlite(path)),
        (db) => Effect.sync(() => db.close())
      )
      const add = db.prepare(
        `INSERT INTO spans (span_id, trace_id, rollout_id, attempt_id, sequence_id, process_id, name, kind, state, method,
           path, model, attributes, events, start_time_us)
         SELECT printf('7%015x', value), 't', 'r', 'r:' || value, 1, 'p', 'n', 'llm', 'done', 'POST', '/',
           iif(value % 100 = 0, 'rare', 'm'), '{}', '[]', 0 FROM (
             WITH RECURSIVE n(value) AS (VALUES(@from) UNION ALL SELECT value + 1 FROM n WHERE value + 1 < @to)
             SELECT value FROM n)`
      )
      let count = lookedAtMax + 1_000
      add.run({ from: 0, to: count })
      const layer = readersBeside(path, () => {
        add.run({ from: count, to: count + 500 })
        count += 500
      })
      const store = Context.get(yield* Layer.build(layer), SpanStore)
      const ids = yield* allPages(
        1_000,
        (request) => store.list({ ...anySpan, model: "rare" }, { ...request, order: "newest" }),
        ({ spanId }) => spanId
      )
      const rare = Array.from(
        { length: lookedAtMax / 100 + 10 },
        (_, n) => `7${(n * 100).toString(16).padStart(15, "0")}`
      )
      assert.deepStrictEqual(ids, rare.toReversed())
      assert.isAbove(count, lookedAtMax + 1_000)
    }).pipe(Effect.scoped))

  it.scopedLive("leaves out no rollout that a search adds while a page of few of them is looked for", () =>
    Effect.gen(function*() {
      const { path, runIds } = yield* filledStore
      const runId = runIds[0]!
      const db = yield* Effect.acquireRelease(
        Effect.sync(() => new Sqlite(path)),
        (db) => Effect.sync(() => db.close())
      )
      const add = db.prepare(
        `INSERT INTO rollouts (id, run_id, mode, ordinal, status, input, input_sha256, resources_version, run_at_ms,
           attempts_max, created_at_ms)
         SELECT printf('added-%05d', value), run_id, @mode, value, 'queuing', input, input_sha256, resources_version, 0, 1, 0
         FROM rollouts, (WITH RECURSIVE n(value) AS (VALUES(@from) UNION ALL SELECT value + 1 FROM n WHERE value + 1 < @to)
                         SELECT value FROM n)
         WHERE run_id = @runId AND ordinal = 1`
      )
      const firstTest = lookedAtMax - 10
      add.run({ runId, mode: "train", from: 30, to: firstTest })
      let count = firstTest
      const layer = readersBeside(path, () => {
        add.run({ runId, mode: "test", from: count, to: count + 20 })
        count += 20
      })
      const store = Context.get(yield* Layer.build(layer), RolloutStore)
      const filter = { runId, status: null, mode: "test" as const, scoreMin: null, scoreMax: null }
      const ids = yield* allPages(1_000, (request) => store.list(filter, request), ({ id }) => id)
      // How many were there in time is for the store to say: those are the first ones.
      assert.deepStrictEqual(ids, Array.from(ids, (_, n) => `added-${firstTest + n}`))
      assert.isAbove(count, lookedAtMax)
    }).pipe(Effect.scoped))

  it.scopedLive("gives every call that fits once, in order, whatever the size of a page", () =>
    Effect.gen(function*() {
      const { path, runIds, spans } = yield* filledStore
      const store = Context.get(yield* Layer.build(Layer.provide(readers, ReadOnlyStore.layer(path))), SpanStore)
      for (const { limit, newest, run, ...choice } of FastCheck.sample(spanChoice, 150)) {
        const filter: SpanFilter = { ...anySpan, ...choice, runId: run === null ? null : runIds[run]! }
        const ids = yield* allPages(
          limit,
          (request) => store.list(filter, { ...request, order: newest ? "newest" : "oldest" }),
          ({ spanId }) => spanId
        )
        const fits = spans.filter((span) =>
          (filter.runId === null || span.run_id === filter.runId) &&
          (!filter.captured || span.run_id === null) &&
          (filter.rolloutId === null || span.rollout_id === filter.rolloutId) &&
          (filter.attemptId === null || span.attempt_id === filter.attemptId) &&
          (filter.model === null || span.model === filter.model) &&
          (filter.role === null || filter.role === "main") &&
          (!filter.failed || span.status_code >= 400) &&
          (filter.sinceMs === null || span.start_time_us >= filter.sinceMs * 1_000) &&
          (filter.untilMs === null || span.start_time_us < filter.untilMs * 1_000)
        ).map((span) => span.span_id)
        assert.deepStrictEqual(ids, newest ? fits.toReversed() : fits, JSON.stringify({ limit, ...filter }))
      }
    }).pipe(Effect.scoped))

  it.scopedLive("goes on after no call of another attempt, whose place among its own says nothing here", () =>
    Effect.gen(function*() {
      const { path, spans } = yield* filledStore
      const store = Context.get(yield* Layer.build(Layer.provide(readers, ReadOnlyStore.layer(path))), SpanStore)
      const { attempt_id: attemptId } = spans[0]!
      const other = spans.find((span) => span.attempt_id !== attemptId)!
      const request = { after: other.span_id, limit: 10, order: "oldest" as const }
      const answer = yield* Effect.match(store.list({ ...anySpan, attemptId }, request), {
        onFailure: ({ message }) => message,
        onSuccess: ({ items }) => `${items.length} calls`
      })
      assert.strictEqual(answer, `reading spans failed: there is no span ${other.span_id} to go on after`)
    }).pipe(Effect.scoped))

  it.scopedLive("gives every rollout that fits once, in order, whatever the size of a page", () =>
    Effect.gen(function*() {
      const { path, rollouts, runIds } = yield* filledStore
      const store = Context.get(yield* Layer.build(Layer.provide(readers, ReadOnlyStore.layer(path))), RolloutStore)
      for (const { limit, run, ...choice } of FastCheck.sample(rolloutChoice, 150)) {
        const filter = { ...choice, runId: runIds[run]! }
        const ids = yield* allPages(limit, (request) => store.list(filter, request), ({ id }) => id)
        const fits = rollouts.filter((rollout) =>
          rollout.run_id === filter.runId &&
          (filter.status === null || rollout.status === filter.status) &&
          (filter.mode === null || rollout.mode === filter.mode) &&
          (filter.scoreMin === null || (rollout.score ?? -1) >= filter.scoreMin) &&
          (filter.scoreMax === null || (rollout.score ?? 2) <= filter.scoreMax)
        ).map(({ id }) => id)
        assert.deepStrictEqual(ids, fits, JSON.stringify({ limit, ...filter }))
      }
    }).pipe(Effect.scoped))
})
