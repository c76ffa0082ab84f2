import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import { Journal } from "../../src/proxy/Journal.js"
import type { PastCall } from "../../src/store/CallHistory.js"

/** Calls of an earlier attempt that were never answered, so that there is none to give again; and one that was. */
const mostlyUnanswered: ReadonlyArray<PastCall> = Array.from({ length: 10_000 }, (_, n) => ({
  spanId: `span-${n}`,
  attemptId: "attempt-1",
  attempt: 1,
  startUs: n,
  endUs: n + 1,
  method: "POST",
  path: "/v1/chat/completions",
  request: null,
  answer: n === 0 ? { status: 200, sha256: null, contentType: null, contentEncoding: null } : null
}))

describe("Journal", () => {
  it("holds no more past calls than its limit, the unanswered among them", async () => {
    const read: Array<string> = []
    const journal = new Journal(
      {
        before: (attemptId) => Effect.sync(() => (read.push(attemptId), mostlyUnanswered)),
        body: () => Effect.succeed(null)
      },
      "always",
      assert.fail
    )
    const ask = (rolloutId: string) =>
      journal.ask({
        rolloutId,
        attemptId: `${rolloutId}:attempt-2`,
        method: "POST",
        path: "/v1/chat/completions",
        body: new Uint8Array(0)
      })
    for (let n = 0; n < 21; n += 1) await ask(`r${n}`)
    await ask("r20")
    assert.strictEqual(read.length, 21)
    // The one that was used longest ago has made room for the last, and is read anew.
    await ask("r0")
    assert.deepStrictEqual(read.slice(21), ["r0:attempt-2"])
  })
})
