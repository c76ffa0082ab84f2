import { assert, describe, it } from "@effect/vitest"
import * as FastCheck from "effect/FastCheck"
import { History } from "../../src/proxy/History.js"
import type { PastCall } from "../../src/store/CallHistory.js"

const call = (spanId: string, startUs: number, endUs: number, isAnswered: boolean, attempt = 1): PastCall => ({
  spanId,
  attemptId: `r:attempt-${attempt}`,
  attempt,
  startUs,
  endUs,
  method: "POST",
  path: "/v1/chat/completions",
  request: { sha256: spanId },
  answer: isAnswered ? { status: 200, sha256: spanId, contentType: null, contentEncoding: null } : null
})

/** What one attempt did: calls that begin at some time and last a while, answered or not. */
const past = FastCheck.array(
  FastCheck.record({
    start: FastCheck.nat(60),
    length: FastCheck.integer({ min: 1, max: 20 }),
    isAnswered: FastCheck.boolean()
  }),
  { maxLength: 24 }
).map((calls) =>
  calls.toSorted((a, b) => a.start - b.start)
    .map(({ isAnswered, length, start }, index) => call(`${index}`, start, start + length, isAnswered))
)

const choices = FastCheck.infiniteStream(FastCheck.nat(1_000))

/** Whether the agent could only know the answer of `before` when it asked `after`. */
const isOrdered = (before: PastCall, after: PastCall) => before.endUs <= after.startUs

describe("History", () => {
  it.prop("answers every call of any order that an agent could make again", [past, choices], ([calls, choice]) => {
    const history = new History(calls)
    let left = calls.filter(({ answer }) => answer !== null)
    while (left.length > 0) {
      const possible = left.filter((one) => !left.some((other) => isOrdered(other, one)))
      const next = possible[choice.next().value! % possible.length]!
      assert.include(history.next(), next)
      history.take(next)
      left = left.filter((one) => one !== next)
      assert.strictEqual(history.left, left.length)
    }
    assert.isTrue(history.next().every(({ answer }) => answer === null))
  })

  it.prop("answers none before one that had been answered when it was asked", [past, choices], ([calls, choice]) => {
    const history = new History(calls)
    const taken = new Set<PastCall>()
    for (;;) {
      const next = history.next().filter(({ answer }) => answer !== null)
      for (const one of next) {
        const missing = calls.find((other) => other.answer !== null && !taken.has(other) && isOrdered(other, one))
        assert.isUndefined(missing)
      }
      if (next.length === 0) break
      const one = next[choice.next().value! % next.length]!
      history.take(one)
      taken.add(one)
    }
    assert.strictEqual(history.left, 0)
  })

  it("takes no call of a later attempt before the last answered one of the attempt before, whatever the clock said", () => {
    const first = call("a", 100, 200, true)
    const second = call("b", 50, 60, true, 2)
    const history = new History([first, second])
    assert.deepStrictEqual(history.next(), [first])
    history.take(first)
    assert.deepStrictEqual(history.next(), [second])
  })

  it("lets a call without an answer be left out, or made again as often as one likes", () => {
    const gap = call("a", 0, 10, false)
    const answered = call("b", 20, 30, true)
    const history = new History([gap, answered])
    assert.deepStrictEqual(history.next(), [gap, answered])
    history.learn(gap, "hash")
    const [learnt] = history.next()
    assert.deepStrictEqual(learnt!.request, { sha256: "hash" })
    history.take(answered)
    assert.deepStrictEqual(history.next(), [learnt!])
    assert.strictEqual(history.left, 0)
  })
})
