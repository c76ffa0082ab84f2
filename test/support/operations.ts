/** The writer's operations over SQLite without its thread: for suites that carry out thousands of short histories. */
import Sqlite from "better-sqlite3"
import { mkdtempSync, rmSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { type Db, open } from "../../src/store/writer/Database.js"
import type { Input, OperationName, operations as realOperations, Output } from "../../src/store/writer/operations.js"
import type { Facts } from "../suites/invariants.js"
import type { Store } from "../suites/queueModel.js"

export type Operations = typeof realOperations

/** One operation, on its own or within a transaction of the caller's. */
export const carryOut = <Name extends OperationName>(
  operations: Operations,
  db: Db,
  name: Name,
  input: Input<Name>
): Output<Name> => {
  const operation = operations[name] as unknown as (
    db: Db,
    input: Input<Name>,
    bodies: ReadonlyArray<Uint8Array>
  ) => Output<Name>
  // What the thread and its caller say to each other travels as JSON.
  return operation(db, JSON.parse(JSON.stringify(input)) as Input<Name>, [])
}

const factQueries: Readonly<Record<keyof Facts, string>> = {
  rollouts:
    `SELECT id, run_id AS runId, ordinal, status, priority, run_at_ms AS runAtMs, epoch, owner, lease_until_ms AS leaseUntilMs,
    attempts, attempts_max AS attemptsMax, failures, crashes, resources_version AS resourcesVersion, output, ended_at_ms AS endedAtMs
    FROM rollouts ORDER BY id`,
  attempts:
    `SELECT id, rollout_id AS rolloutId, n, epoch, worker_id AS workerId, status, resources_version AS resourcesVersion,
    started_at_ms AS startedAtMs, ended_at_ms AS endedAtMs, error FROM attempts ORDER BY rollout_id, n`,
  runs: "SELECT id, state, desired FROM runs ORDER BY ordinal",
  rewards: "SELECT attempt_id AS attemptId, name, value FROM rewards ORDER BY attempt_id, name",
  resources:
    `SELECT version, sha256, parent_version AS parentVersion, is_latest AS isLatest FROM resources ORDER BY version`,
  control: "SELECT n || ' ' || action || ' ' || at_ms || ' ' || detail AS line FROM control_log ORDER BY n",
  spans: `SELECT attempt_id AS attemptId, sequence_id AS sequenceId, coalesce(attributes ->> '$."tau.late"', 0) AS late
    FROM spans ORDER BY attempt_id, sequence_id`,
  counts: "SELECT run_id AS runId, status, sum(rollouts) AS rollouts FROM run_results GROUP BY run_id, status"
}

const factsOf = (db: Db): Facts => {
  const read = (name: keyof Facts) => db.prepare(factQueries[name]).all()
  return {
    rollouts: read("rollouts") as unknown as Facts["rollouts"],
    attempts: read("attempts") as unknown as Facts["attempts"],
    runs: read("runs") as unknown as Facts["runs"],
    rewards: read("rewards") as unknown as Facts["rewards"],
    resources: read("resources") as unknown as Facts["resources"],
    control: (read("control") as ReadonlyArray<{ readonly line: string }>).map(({ line }) => line),
    spans: read("spans") as unknown as Facts["spans"],
    counts: read("counts") as unknown as Facts["counts"]
  }
}

/** A store file in a folder of its own. */
export const openFile = (): { readonly db: Db; readonly close: () => void } => {
  const folder = mkdtempSync(join(tmpdir(), "tau-operations-"))
  const db = open(join(folder, "store.sqlite"))
  return {
    db,
    close: () => {
      db.connection.close()
      rmSync(folder, { recursive: true, force: true })
    }
  }
}

/** The same schema in memory. */
export const openMemory = (): { readonly db: Db; readonly close: () => void } => {
  const file = openFile()
  file.db.connection.pragma("journal_mode = DELETE")
  const connection = new Sqlite(file.db.connection.serialize())
  file.close()
  connection.pragma("foreign_keys = ON")
  const statements = new Map<string, Sqlite.Statement>()
  return {
    db: {
      connection,
      now: 0,
      prepare: (sql) => {
        let statement = statements.get(sql)
        if (statement === undefined) statements.set(sql, statement = connection.prepare(sql))
        return statement
      }
    },
    close: () => connection.close()
  }
}

/**
 * Makes empty stores for the model's suite. `rolled-back` carries each history out in one transaction that is given up at its
 * end: one connection then serves thousands. `committed` commits each operation to a store of its own.
 */
export const storeIn = (
  operations: Operations,
  openStore: () => { readonly db: Db; readonly close: () => void },
  ending: "committed" | "rolled-back"
) => {
  const shared = ending === "rolled-back" ? openStore() : undefined
  return (): { readonly store: Store; readonly close: () => void } => {
    const { close, db } = shared ?? openStore()
    if (shared !== undefined) db.prepare("BEGIN IMMEDIATE").run()
    return {
      store: {
        run: (name, input, nowMs) => {
          db.now = nowMs
          if (shared !== undefined) return carryOut(operations, db, name, input)
          return db.connection.transaction(() => carryOut(operations, db, name, input)).immediate()
        },
        facts: () => factsOf(db),
        prioritize: (rolloutId, priority) => {
          db.prepare("UPDATE rollouts SET priority = ? WHERE id = ?").run(priority, rolloutId)
        }
      },
      close: () => shared === undefined ? close() : void db.prepare("ROLLBACK").run()
    }
  }
}
