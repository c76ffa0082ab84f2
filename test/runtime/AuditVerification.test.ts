import { assert, describe, it } from "@effect/vitest"
import Sqlite from "better-sqlite3"
import * as Effect from "effect/Effect"
import { readFileSync, renameSync, rmSync, symlinkSync, writeFileSync } from "node:fs"
import { join } from "node:path"
import { verifyAudit } from "../../src/runtime/AuditVerification.js"
import { denyWithoutStore } from "../../src/runtime/Control.js"
import { auditFile, followAudit } from "../../src/runtime/ControlFiles.js"
import { ControlLog } from "../../src/store/ControlLog.js"
import { withControl } from "../support/control.js"

const deny = (principal: string) =>
  Effect.flatMap(
    ControlLog,
    (log) =>
      log.record({ verb: "pause", principal, decision: "deny_unbound_principal", detail: "no", outcome: "denied" })
  )

/** Three rows in the store and in the file. */
const threeRows = (folder: string) => Effect.zipRight(Effect.forEach(["ada", "bob", "eve"], deny), followAudit(folder))

const edit = (folder: string, change: (lines: Array<string>) => ReadonlyArray<string>) => {
  const file = auditFile(folder)
  writeFileSync(file, `${change(readFileSync(file, "utf8").trim().split("\n")).join("\n")}\n`)
}

const verdict = (folder: string) => verifyAudit(auditFile(folder))
const brokenIn = (folder: string) => Effect.map(verdict(folder), ({ broken }) => broken)

describe("the verification of the audit log", () => {
  it.scoped("finds a log intact, also one whose file is behind or has rows from before there was a store", () =>
    withControl((folder) =>
      Effect.gen(function*() {
        const decision = { allowed: false, reason: "deny_unbound_principal" } as const
        yield* Effect.flip(denyWithoutStore({ stateDir: folder, principal: "early", decision }, "status"))
        yield* threeRows(folder)
        yield* deny("late")
        const { headHash, ...rest } = yield* verdict(folder)
        assert.match(String(headHash), /^[0-9a-f]{64}$/)
        assert.deepStrictEqual(rest, {
          broken: null,
          brokenChain: null,
          rows: 4,
          file: { present: true, broken: null, rows: 3, behind: 1, withoutStore: 1 }
        })
        rmSync(auditFile(folder))
        assert.deepInclude(yield* verdict(folder), {
          broken: null,
          file: { present: false, broken: null, rows: 0, behind: 4, withoutStore: 0 }
        })
      })
    ))

  it.scoped("names the line of the file that was changed, removed, doubled, or is no row", () =>
    Effect.gen(function*() {
      const changes: ReadonlyArray<readonly [(lines: Array<string>) => ReadonlyArray<string>, string]> = [
        [
          ([a, b, c]) => [a!, b!.replace("bob", "ada"), c!],
          "line 2 of the audit file does not say what row 2 of the store says"
        ],
        [([a, , c]) => [a!, c!], "line 2 of the audit file shows row 3 where row 2 belongs"],
        [([a, b, c]) => [a!, b!, b!, c!], "line 3 of the audit file shows row 2 where row 3 belongs"],
        [([a, b, c]) => [a!, b!, c!, b!], "line 4 shows row 2 again"],
        [([a, b]) => [a!, b!, "{}"], "line 3 of the audit file is not an audit row"]
      ]
      for (const [change, message] of changes) {
        yield* withControl((folder) =>
          Effect.gen(function*() {
            yield* threeRows(folder)
            const { headHash } = yield* verdict(folder)
            edit(folder, change)
            // The store's own chain is as it was, and its head is there to be compared.
            const { file, ...store } = yield* verdict(folder)
            assert.deepStrictEqual(store, { broken: message, brokenChain: null, rows: 3, headHash })
            // No verb makes that good.
            assert.strictEqual(file.behind, 0)
          })
        )
      }
    }))

  it.scoped("tells the file up to the row where the store's own chain breaks, and holds nothing after it against the file", () =>
    withControl((folder) =>
      Effect.gen(function*() {
        yield* threeRows(folder)
        const file = new Sqlite(join(folder, "store.sqlite"))
        file.exec("DROP TRIGGER control_log_is_immutable; UPDATE control_log SET principal = 'ada' WHERE n = 2")
        file.close()
        const { broken, brokenChain, file: shown, rows } = yield* verdict(folder)
        assert.match(String(brokenChain), /row 2/)
        assert.strictEqual(broken, brokenChain)
        assert.deepInclude(shown, { broken: null, rows: 1, behind: 0 })
        assert.strictEqual(rows, 1)
      })
    ))

  it.scoped("sees rows that are cut off the end of the store, which its chain alone cannot show", () =>
    withControl((folder) =>
      Effect.gen(function*() {
        yield* threeRows(folder)
        const file = new Sqlite(join(folder, "store.sqlite"))
        file.exec("DROP TRIGGER control_log_is_kept; DELETE FROM control_log WHERE n = 3")
        file.close()
        assert.strictEqual(yield* brokenIn(folder), "line 3 shows row 3, which the store does not have")
      })
    ))

  it.scoped("reads no file through a link, through which no verb would write, and promises nothing of it", () =>
    withControl((folder) =>
      Effect.gen(function*() {
        yield* threeRows(folder)
        const other = join(folder, "other")
        renameSync(auditFile(folder), other)
        symlinkSync(other, auditFile(folder))
        const message = `${auditFile(folder)}: a link stands where a file was expected`
        assert.strictEqual((yield* Effect.flip(verdict(folder))).message, message)
        rmSync(other)
        assert.strictEqual((yield* Effect.flip(verdict(folder))).message, message)
        assert.strictEqual((yield* Effect.flip(followAudit(folder))).message, message)
      })
    ))
})
