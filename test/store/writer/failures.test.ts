import { assert, describe, it } from "@effect/vitest"
import { failureOf } from "../../../src/store/writer/failures.js"

describe("what went wrong with the store", () => {
  it("is told with the path and in words where the file system refused, and with SQLite's code where it did", () => {
    const denied = Object.assign(new Error("EACCES: permission denied, mkdir '/srv/tau'"), {
      code: "EACCES",
      path: "/srv/tau"
    })
    assert.deepStrictEqual(failureOf(denied), { reason: "read-only", message: "/srv/tau: permission denied" })
    const damaged = Object.assign(new Error("database disk image is malformed"), { code: "SQLITE_CORRUPT" })
    assert.deepStrictEqual(failureOf(damaged), {
      reason: "corrupt",
      message: "database disk image is malformed (SQLITE_CORRUPT)"
    })
    assert.deepStrictEqual(failureOf(null), { reason: "other", message: "null" })
  })
})
