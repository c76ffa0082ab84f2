import { assert, describe, it } from "@effect/vitest"
import type Database from "better-sqlite3"
import * as Effect from "effect/Effect"
import * as FastCheck from "effect/FastCheck"
import * as Layer from "effect/Layer"
import { join } from "node:path"
import { RunId } from "../../src/domain/Ids.js"
import * as ReadOnlyStore from "../../src/store/ReadOnlyStore.js"
import { RunReader } from "../../src/store/RunReader.js"
import { open } from "../../src/store/writer/Database.js"
import { storeBefore } from "../support/olderStore.js"
import { scratchFolder } from "../support/store.js"

const statuses = ["queuing", "preparing", "running", "requeuing", "succeeded", "failed", "cancelled"] as const

const countedAnew = `SELECT run_id AS runId, resources_version AS resourcesVersion, mode, status, count(*) AS rollouts,
  count(score) AS scored, coalesce(sum(score), 0.0) AS scoreSum FROM rollouts GROUP BY 1, 2, 3, 4 ORDER BY 1, 2, 3, 4`
const kept = `SELECT run_id AS runId, resources_version AS resourcesVersion, mode, status, rollouts, scored,
  score_sum AS scoreSum FROM run_results ORDER BY 1, 2, 3, 4`
const momentsAnew =
  `SELECT run_id, resources_version, mode, coalesce(sum(score * score), 0.0) AS squares, coalesce(sum(score NOT IN (0, 1)), 0) AS partial
  FROM rollouts GROUP BY 1, 2, 3 ORDER BY 1, 2, 3`
const keptMoments =
  "SELECT run_id, resources_version, mode, score_square_sum AS squares, partial FROM run_counts ORDER BY 1, 2, 3"

const twoRuns = `
  INSERT INTO resources VALUES (1, 'resources-1', '{}', 'a', NULL, 'config', 1, 0), (2, 'resources-2', '{ }', 'b', 1, 'config', 1, 1);
  INSERT INTO runs (id, ordinal, state, config_hash, config, config_path, model_ref, resources_version, created_at_ms)
    VALUES ('run-1', 1, 'running', 'h', '{}', 'c', 'm', 1, 1), ('run-2', 2, 'running', 'h', '{}', 'c', 'm', 2, 1);`

interface Move {
  readonly rollout: number
  readonly status: typeof statuses[number]
  /** In quarters, so that sums are exact in any order. */
  readonly quarters: number
}

const idOf = (rollout: number) => `r${rollout}`

/** Twelve rollouts of two runs, versions and modes, each put into a state. */
const insert = (db: Database.Database, { quarters, rollout, status }: Move) =>
  db.prepare(
    `INSERT INTO rollouts (id, run_id, mode, ordinal, status, input, input_sha256, resources_version, run_at_ms, attempts_max,
       created_at_ms, owner, lease_until_ms, score)
     VALUES (?, ?, ?, ?, ?, '{}', 's', ?, 1, 3, 1, ?, ?, ?)`
  ).run(
    idOf(rollout),
    `run-${rollout % 2 + 1}`,
    rollout % 3 === 0 ? "val" : "train",
    rollout,
    status,
    rollout % 4 < 2 ? 1 : 2,
    ...heldOf(status),
    scoreOf(status, quarters)
  )

const heldOf = (status: string) => status === "preparing" || status === "running" ? ["w", 1] : [null, null]
const scoreOf = (status: string, quarters: number) => status === "succeeded" ? quarters / 4 : null

const move = (db: Database.Database, { quarters, rollout, status }: Move) =>
  db.prepare("UPDATE rollouts SET status = ?, owner = ?, lease_until_ms = ?, score = ? WHERE id = ?")
    .run(status, ...heldOf(status), scoreOf(status, quarters), idOf(rollout))

const moves = FastCheck.array(
  FastCheck.record({
    rollout: FastCheck.nat({ max: 11 }),
    status: FastCheck.constantFrom(...statuses),
    quarters: FastCheck.integer({ min: -4, max: 8 })
  }),
  { maxLength: 40 }
)

const beginnings = FastCheck.tuple(
  ...Array.from({ length: 12 }, (_, rollout) =>
    FastCheck.record({
      rollout: FastCheck.constant(rollout),
      status: FastCheck.constantFrom(...statuses),
      quarters: FastCheck.integer({ min: -4, max: 8 })
    }))
)

const agrees = (db: Database.Database) => {
  assert.deepStrictEqual(db.prepare(kept).all(), db.prepare(countedAnew).all())
  assert.deepStrictEqual(db.prepare(keptMoments).all(), db.prepare(momentsAnew).all())
}

describe("the counts of a run", () => {
  it.scoped("are those of its rollouts, however they move", () =>
    Effect.gen(function*() {
      const { connection } = open(join(yield* scratchFolder, "store.sqlite"))
      connection.exec(twoRuns)
      FastCheck.assert(FastCheck.property(beginnings, moves, (first, then) => {
        connection.exec("BEGIN")
        try {
          for (const one of first) insert(connection, one)
          agrees(connection)
          for (const one of then) move(connection, one)
          agrees(connection)
        } finally {
          connection.exec("ROLLBACK")
        }
      }))
      connection.close()
    }))

  it.scopedLive("are there for a store that is older than they are, and are read by run and by version", () =>
    Effect.gen(function*() {
      const path = join(yield* scratchFolder, "store.sqlite")
      const older = storeBefore("0010_counts", path)
      older.exec(twoRuns)
      for (let rollout = 0; rollout < 40; rollout++) {
        insert(older, { rollout, status: statuses[rollout % 7]!, quarters: rollout % 5 })
      }
      const counts = older.prepare(countedAnew).all() as ReadonlyArray<{ runId: string; resourcesVersion: number }>
      const expected = counts.map((count) => ({ ...count, isVoid: false }))
      older.close()

      const { connection } = open(path)
      agrees(connection)
      connection.close()
      const read = yield* Effect.gen(function*() {
        const runs = yield* RunReader
        return [yield* runs.results(RunId.make("run-1")), yield* runs.resultsOfVersion(2)]
      }).pipe(Effect.provide(Layer.provide(RunReader.layer, ReadOnlyStore.layer(path))))
      assert.deepEqual(read.map((results) => results.map((result) => ({ ...result }))), [
        expected.filter(({ runId }) => runId === "run-1"),
        expected.filter(({ resourcesVersion }) => resourcesVersion === 2)
      ])
    }))

  it.scoped("cannot come apart from the rollouts: those stay in their run, version and mode, and are kept", () =>
    Effect.gen(function*() {
      const { connection } = open(join(yield* scratchFolder, "store.sqlite"))
      connection.exec(twoRuns)
      insert(connection, { rollout: 0, status: "queuing", quarters: 0 })
      for (const change of ["run_id = 'run-2'", "resources_version = 2", "mode = 'test'"]) {
        assert.throws(() => connection.exec(`UPDATE rollouts SET ${change}`), /immutable/)
      }
      assert.throws(() => connection.exec("DELETE FROM rollouts"), /are kept/)
      connection.close()
    }))
})
