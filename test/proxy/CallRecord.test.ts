import { assert, describe, it } from "@effect/vitest"
import { CallRecord } from "../../src/proxy/CallRecord.js"
import { RecordingBudget } from "../../src/proxy/RecordingBudget.js"
import type { SpanRecorder } from "../../src/proxy/SpanRecorder.js"
import type { SpanIntent } from "../../src/store/writer/spans.js"

const recordWith = (budget: RecordingBudget) => {
  const recorder = { open: () => ({ cancel: () => true }) } as unknown as SpanRecorder
  return new CallRecord({ recorder, recordedBytesMax: 10_000, budget }, {} as SpanIntent, "http://upstream")
}

describe("The record of a call", () => {
  it("holds as much of a request as there is memory for, and counts it until it is let go", () => {
    const budget = new RecordingBudget(1_000)
    const record = recordWith(budget)
    budget.used = 400
    assert.isTrue(record.holds(500))
    assert.strictEqual(budget.used, 900)
    assert.isTrue(record.holds(600))
    assert.strictEqual(budget.used, 1_000)
    assert.isFalse(record.holds(601))
    assert.strictEqual(budget.used, 1_000)
    record.letGo()
    assert.strictEqual(budget.used, 400)
    record.letGo()
    assert.strictEqual(budget.used, 400)
  })

  it("holds more than there is memory for of a request that goes on whole or not at all", () => {
    const budget = new RecordingBudget(1_000)
    const record = recordWith(budget)
    record.isHeldAlways = true
    assert.isTrue(record.holds(1_500))
    assert.strictEqual(budget.used, 1_500)
    record.release()
    assert.strictEqual(budget.used, 0)
  })

  it("gives back, once, all that it kept when the call is over: request, answer, and the client's own request", () => {
    const budget = new RecordingBudget(1_000)
    const record = recordWith(budget)
    record.request.add(Buffer.alloc(100))
    record.add(Buffer.alloc(20))
    record.add(Buffer.alloc(10))
    record.keepOriginal(Buffer.alloc(3))
    assert.deepStrictEqual([budget.used, record.answerBytes, record.chunks], [133, 30, 2])
    record.release()
    record.release()
    assert.strictEqual(budget.used, 0)
  })

  it("is of other bytes than the client's where a body was put in its place, or its usage was asked for", () => {
    const [kept, asked] = [recordWith(new RecordingBudget(9)), recordWith(new RecordingBudget(9))]
    assert.isFalse(kept.isChanged)
    kept.keepOriginal(Buffer.alloc(1))
    asked.usageAsked = true
    assert.deepStrictEqual([kept.isChanged, asked.isChanged], [true, true])
  })

  it("knows how long its client has waited for more, from the head on, and not while it holds that up itself", () => {
    const record = recordWith(new RecordingBudget(9))
    assert.isNull(record.silentMs(false))
    assert.isNull(record.silentMs(true))
    const before = performance.now()
    record.begin(200)
    const waited = record.silentMs(false)!
    assert.isTrue(waited >= 0 && waited <= performance.now() - before)
    assert.strictEqual(record.silentMs(true), 0)
    assert.strictEqual(record.statusCode, 200)
  })
})
