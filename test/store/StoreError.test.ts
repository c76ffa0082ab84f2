import { assert, describe, it } from "@effect/vitest"
import { StoreError } from "../../src/store/StoreError.js"

describe("StoreError", () => {
  it("says what to do where SQLite was not built, instead of where it was looked for", () => {
    const failed = (detail: string) =>
      new StoreError({ operation: "opening the store", reason: "other", detail }).message
    assert.strictEqual(
      failed("store.sqlite: Could not locate the bindings file. Tried:\n → /app/node_modules/better-sqlite3/build/…"),
      "opening the store failed: better-sqlite3 was not built when it was installed: npm rebuild better-sqlite3 builds it"
    )
    assert.strictEqual(failed("no such table: runs"), "opening the store failed: no such table: runs")
  })
})
