import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import { Journal } from "../../src/proxy/Journal.js"
import type { CallHistory, PastCall } from "../../src/store/CallHistory.js"

const path = "/v1/chat/completions"
const answer = { status: 200, sha256: null, contentType: null, contentEncoding: null }
const pastCall = (n: number): PastCall => ({
  spanId: `span-${n}`,
  attemptId: "attempt-1",
  attempt: 1,
  startUs: 2 * n,
  endUs: 2 * n + 1,
  method: "POST",
  path,
  request: { sha256: null },
  answer
})

/** Calls of an earlier attempt that were never answered, so that there is none to give again; and one that was. */
const mostlyUnanswered: ReadonlyArray<PastCall> = Array.from({ length: 10_000 }, (_, n) => ({
  ...pastCall(n),
  request: null,
  answer: n === 0 ? answer : null
}))

/** A journal over these calls, asked about calls without a body. */
const journalOf = (past: ReadonlyArray<PastCall>, more: Partial<CallHistory> = {}) => {
  const read: Array<string> = []
  const warnings: Array<string> = []
  const journal = new Journal(
    {
      before: (attemptId) => Effect.sync(() => (read.push(attemptId), past)),
      body: () => Effect.succeed(null),
      ...more
    },
    "always",
    (message) => warnings.push(message)
  )
  const ids = (rolloutId: string, attempt: number) => ({ rolloutId, attemptId: `${rolloutId}:attempt-${attempt}` })
  return {
    read,
    warnings,
    concerns: (rolloutId: string, attempt: number) => journal.concerns(ids(rolloutId, attempt)),
    ask: (rolloutId: string, attempt = 2) =>
      journal.ask({ ...ids(rolloutId, attempt), method: "POST", path, body: new Uint8Array(0) })
  }
}

describe("Journal", () => {
  it("holds no more past calls than its limit, the unanswered among them", async () => {
    const { ask, read, warnings } = journalOf(mostlyUnanswered)
    for (let n = 0; n < 21; n += 1) await ask(`r${n}`)
    for (const kept of ["r20", "r1"]) await ask(kept)
    assert.strictEqual(read.length, 21)
    // The one that was used longest ago has made room for the last, and is read anew.
    await ask("r0")
    assert.deepStrictEqual(read.slice(21), ["r0:attempt-2"])
    assert.deepStrictEqual(warnings, [])
  })

  it("holds the calls of one attempt, however many", async () => {
    const { ask, read } = journalOf(Array.from({ length: 21 }, () => mostlyUnanswered).flat())
    await ask("r0")
    await ask("r0")
    assert.strictEqual(read.length, 1)
  })

  it("remembers no more attempts than its limit, those that were asked about last", async () => {
    const { ask, read } = journalOf([])
    for (let n = 0; n < 4_096; n += 1) await ask(`r${n}`)
    await ask("r0")
    await ask("one more")
    await ask("r0")
    assert.strictEqual(read.length, 4_097)
    await ask("r1")
    assert.strictEqual(read.at(-1), "r1:attempt-2")
  })

  it("is not to be asked about a first attempt, one that another has followed, or one that has come to the end", async () => {
    const { ask, concerns } = journalOf([0, 1].map(pastCall))
    assert.isFalse(concerns("r", 1))
    assert.isTrue(concerns("r", 2))
    await ask("r", 3)
    assert.deepStrictEqual([2, 3, 4].map((attempt) => concerns("r", attempt)), [false, true, true])
    await ask("r", 3)
    assert.strictEqual(await ask("r", 3), "upstream")
    assert.deepStrictEqual([3, 4].map((attempt) => concerns("r", attempt)), [false, true])
  })

  it("says once that it can answer nothing, where it cannot read, and has all further calls go upstream", async () => {
    const broken = Effect.die(new Error("no such table"))
    for (
      const { ask, read, warnings } of [
        journalOf([], { before: () => broken }),
        journalOf([{ ...pastCall(0), answer: { ...answer, sha256: "a" } }, pastCall(1)], { body: () => broken })
      ]
    ) {
      assert.deepStrictEqual([await ask("r"), await ask("r"), await ask("r")], ["diverged", "upstream", "upstream"])
      assert.match(warnings[0]!, /^calls of r:attempt-2 cannot be answered from the journal: .*no such table/)
      assert.isTrue(warnings.length === 1 && read.length <= 1)
    }
  })

  it("has all further calls go upstream where an answer is not there any more", async () => {
    const { ask, warnings } = journalOf([{ ...pastCall(0), answer: { ...answer, sha256: "a" } }, pastCall(1)])
    assert.deepStrictEqual([await ask("r"), await ask("r")], ["diverged", "upstream"])
    assert.deepStrictEqual(warnings, [])
  })
})
