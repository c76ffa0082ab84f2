import { assert, describe, it } from "@effect/vitest"
import Sqlite from "better-sqlite3"
import * as Effect from "effect/Effect"
import { createHash } from "node:crypto"
import { join } from "node:path"
import { AuditTrail, breakIn, type ControlEntry } from "../../src/store/AuditTrail.js"
import { ControlLog } from "../../src/store/ControlLog.js"
import { controlStoreIn, withControl } from "../support/control.js"
import { storeBefore } from "../support/olderStore.js"
import { scratchFolder } from "../support/store.js"

const deny = (principal: string) =>
  Effect.flatMap(
    ControlLog,
    (log) =>
      log.record({ verb: "cancel", principal, decision: "deny_unbound_principal", detail: "no", outcome: "denied" })
  )

const everything = Effect.flatMap(AuditTrail, (trail) => trail.after(0, 100))

/** The first break of a log, read from its beginning. */
const broken = (entries: ReadonlyArray<ControlEntry>): string | null => {
  for (const [index, entry] of entries.entries()) {
    const found = breakIn(entries[index - 1] ?? null, entry)
    if (found !== null) return found
  }
  return null
}

/** What somebody with the file in his hands can do: without its triggers anything goes. */
const tamper = (folder: string, sql: string) => {
  const file = new Sqlite(join(folder, "store.sqlite"))
  for (const name of file.prepare("SELECT name FROM sqlite_schema WHERE type = 'trigger'").pluck().all()) {
    file.exec(`DROP TRIGGER ${String(name)}`)
  }
  file.exec(sql)
  file.close()
}

const awkward = "ada \"\\\n\t\u0001\u007f\u2028 é 😀"

describe("the chain of the control log", () => {
  it.scoped("hashes every row with the one before it, as anybody can work out who has read the documentation", () =>
    withControl(() =>
      Effect.gen(function*() {
        for (const principal of ["ada", awkward, "half a pair \ud83d"]) yield* deny(principal)
        const entries = yield* everything
        assert.isNull(broken(entries))
        let before = ""
        for (const row of entries) {
          const array = [before, row.n, row.atMs, row.principal, row.action, row.actionKey, row.lifecycleState]
            .concat([row.idempotent, row.decision, row.detail, row.outcome as string])
          const json = JSON.stringify([...array, row.rollbackCheckpoint, row.checkpointSource])
          before = createHash("sha256").update(json, "utf8").digest("hex")
          assert.strictEqual(row.hash, before)
        }
      })
    ))

  it.scoped("shows a row that was changed, removed, put in between, or rewritten together with its hash", () =>
    Effect.gen(function*() {
      for (
        const [sql, message] of [
          ["UPDATE control_log SET principal = 'bob' WHERE n = 2", "row 2 is not what its hash was made from"],
          ["DELETE FROM control_log WHERE n = 2", "row 2 is missing: row 3 follows row 1"],
          ["DELETE FROM control_log WHERE n = 1", "row 1 is missing: row 2 follows nothing"],
          [
            "UPDATE control_log SET decision = 'allow', hash = prev_hash WHERE n = 2",
            "row 2 is not what its hash was made from"
          ],
          ["UPDATE control_log SET prev_hash = hash WHERE n = 3", "row 3 does not name the hash of the row before it"]
        ] as const
      ) {
        yield* withControl((folder) =>
          Effect.gen(function*() {
            for (const principal of ["ada", "eve", "bob"]) yield* deny(principal)
            tamper(folder, sql)
            assert.strictEqual(broken(yield* everything), message)
          })
        )
      }
    }))

  it.scoped("refuses a row that does not continue it", () =>
    withControl((folder) =>
      Effect.gen(function*() {
        yield* deny("ada")
        const file = new Sqlite(join(folder, "store.sqlite"))
        assert.throws(
          () =>
            file.exec(
              `INSERT INTO control_log (at_ms, principal, action, action_key, lifecycle_state, idempotent, decision, detail, prev_hash, hash)
               SELECT at_ms, principal, action, action_key, lifecycle_state, idempotent, decision, detail, prev_hash, hash FROM control_log`
            ),
          /does not continue the chain/
        )
        file.close()
      })
    ))

  it.scoped("covers the rows of a store that is older than it", () =>
    Effect.gen(function*() {
      const folder = yield* scratchFolder
      const file = storeBefore("0005_audit_chain", join(folder, "store.sqlite"))
      const insert = file.prepare(
        "INSERT INTO control_log (at_ms, principal, action, action_key, lifecycle_state, idempotent, decision, detail) VALUES (?, ?, 'pause', 'control:rl:pause', 'paused', 0, ?, ?)"
      )
      insert.run(1_700_000_000_000n, awkward, "allow_team_mode_disabled", "the store has no unfinished run")
      insert.run(1_700_000_000_001n, "eve", "deny_unbound_principal", awkward)
      file.close()
      yield* Effect.gen(function*() {
        yield* deny("bob")
        const entries = yield* everything
        assert.deepStrictEqual(entries.map(({ outcome }) => outcome), [null, "denied", "denied"])
        assert.isNull(broken(entries))
      }).pipe(Effect.provide(controlStoreIn(folder)))
    }))
})
