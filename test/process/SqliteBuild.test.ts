import { assert, describe, it } from "@effect/vitest"
import { mkdtempSync, rmSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { sqliteTrouble } from "../../src/process/SqliteBuild.js"

describe("SQLite as it was compiled here", () => {
  it("is told of on Node 24 when the headers of 24.19 or later are in it, and on no other", () => {
    const folder = mkdtempSync(join(tmpdir(), "tau-test-"))
    try {
      const [affected, sound] = [join(folder, "affected.node"), join(folder, "sound.node")]
      writeFileSync(
        affected,
        Buffer.from("\u0000_ZN4node28RemoveEnvironmentCleanupHookEPN2v87IsolateEPFvPvES3_\u0000\u00ff")
      )
      writeFileSync(sound, Buffer.from("\u0000_ZN4node25AddEnvironmentCleanupHookEPN2v87IsolateEPFvPvES3_\u0000\u00ff"))
      assert.match(
        sqliteTrouble("24.21.0", affected)!,
        /^SQLite was compiled here .*on Node 24\.21\.0 it ends the process/
      )
      assert.isNotNull(sqliteTrouble("24.0.0", affected))
      for (const node of ["20.20.2", "22.23.3", "26.12.1"]) assert.isNull(sqliteTrouble(node, affected))
      assert.isNull(sqliteTrouble("24.21.0", sound))
      assert.isNull(sqliteTrouble("24.21.0", join(folder, "none.node")))
      assert.isNull(sqliteTrouble("24.21.0", ""))
    } finally {
      rmSync(folder, { recursive: true })
    }
  })
})
