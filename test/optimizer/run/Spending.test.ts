import { assert, describe, it } from "@effect/vitest"
import * as fc from "effect/FastCheck"
import { Spending } from "../../../src/optimizer/run/Spending.js"

const unlimited = { tokensMax: Infinity, usdMax: Infinity, secondsMax: Infinity }
const usage = (inputTokens: number, outputTokens: number, model: string | null = "m", cost: number | null = null) => [
  { model, isJudge: 0 as const, inputTokens, outputTokens, cost }
]
const prices = { m: { input: 1, output: 10 } }

describe("Spending", () => {
  it("reserves a batch by the dearest so far, and what comes after it by the average", () => {
    const spending = new Spending({ ...unlimited, tokensMax: 1_000, usdMax: 1 }, prices)
    for (const tokens of [20, 20, 20, 100]) spending.addRollout(usage(tokens, 0))
    spending.addReflection(usage(40, 0))
    const batch = (rollouts: number) => ({ rollouts, reflections: 0 })
    assert.isNull(spending.refusal(batch(8), 0))
    assert.match(spending.refusal(batch(9), 0)!.detail, /^the next batch may come to 1100 tokens of 1000 /)
    assert.isNull(spending.refusal(batch(4), 0, { reserved: 5, rest: { rollouts: 3, reflections: 1 } }))
    assert.isNotNull(spending.refusal(batch(4), 0, { reserved: 6, rest: { rollouts: 4, reflections: 1 } }))
    spending.addRollout(usage(0, 0, "m", 0.3))
    assert.isNull(spending.refusal(batch(2), 0))
    assert.strictEqual(spending.refusal(batch(3), 0)?.reason, "usd")
  })

  it("reserves a batch by what rollouts and reflections used so far, each by itself", () => {
    const spending = new Spending({ ...unlimited, tokensMax: 1_000 }, prices)
    assert.isNull(spending.refusal({ rollouts: 1_000, reflections: 0 }, 0), "nobody knows yet")
    spending.addRollout(usage(60, 40))
    spending.addReflection(usage(300, 100))
    assert.strictEqual(spending.tokens, 500)
    assert.isNull(spending.refusal({ rollouts: 5, reflections: 0 }, 0))
    assert.isNull(spending.refusal({ rollouts: 1, reflections: 1 }, 0))
    assert.strictEqual(spending.refusal({ rollouts: 6, reflections: 0 }, 0)?.reason, "tokens")
    assert.match(
      spending.refusal({ rollouts: 2, reflections: 1 }, 0)!.detail,
      /may come to 1100 tokens of 1000 \(max_tokens\)/
    )
  })

  it("takes what the upstream says a call cost before any table", () => {
    const spending = new Spending({ ...unlimited, usdMax: 0.01 }, prices)
    spending.addRollout(usage(1_000, 100))
    assert.closeTo(spending.usd, 0.002, 1e-12)
    spending.addRollout(usage(1_000, 100, "m", 0.004))
    assert.closeTo(spending.usd, 0.006, 1e-12)
    assert.isNull(spending.refusal({ rollouts: 1, reflections: 0 }, 0))
    assert.strictEqual(spending.refusal({ rollouts: 2, reflections: 0 }, 0)?.reason, "usd")
  })

  it("begins a batch that comes to the dollars exactly, also where binary fractions do not add up to them", () => {
    for (const [usdMax, cost, n] of [[0.3, 0.1, 3], [0.7, 0.7 / 7, 7], [0.06, 0.0001, 600]] as const) {
      const spending = new Spending({ ...unlimited, usdMax }, prices)
      for (let ended = 0; ended < n; ended += 1) {
        assert.isNull(spending.refusal({ rollouts: 1, reflections: 0 }, 0), `${ended} of $${cost} in $${usdMax}`)
        spending.addRollout(usage(10, 1, "m", cost))
      }
      assert.strictEqual(spending.refusal({ rollouts: 1, reflections: 0 }, 0)?.reason, "usd")
    }
  })

  it("begins nothing more once a model was called that nobody knows the price of, where dollars are limited", () => {
    const spending = new Spending({ ...unlimited, usdMax: 1 }, undefined)
    spending.addRollout([...usage(0, 0, "refused"), ...usage(10, 1, "reported", 0.001), ...usage(10, 1, "free", 0)])
    assert.isNull(spending.refusal({ rollouts: 1, reflections: 0 }, 0))
    spending.addRollout(usage(10, 1, "mystery"))
    assert.match(spending.refusal({ rollouts: 1, reflections: 0 }, 0)!.detail, /^nobody says what mystery costs/)
    spending.addRollout(usage(10, 1, "reported", 0.001))
    spending.addReflection(usage(10, 1, "riddle"))
    assert.match(spending.refusal({ rollouts: 1, reflections: 0 }, 0)!.detail, /^nobody says what mystery costs/)
    const free = new Spending(unlimited, undefined)
    free.addRollout(usage(10, 1, "mystery"))
    assert.isNull(free.refusal({ rollouts: 1, reflections: 0 }, 0))
  })

  it("begins nothing more where no call is answered with its usage, and a limit goes by that", () => {
    const silent = (unmetered: number) => [{ ...usage(0, 0)[0]!, unmetered }]
    const more = { rollouts: 1, reflections: 0 }
    for (const limit of [{ tokensMax: 1_000 }, { usdMax: 1 }]) {
      const spending = new Spending({ ...unlimited, ...limit }, prices)
      spending.addRollout(silent(0))
      assert.isNull(spending.refusal(more, 0), "calls that failed use nothing")
      spending.addRollout(silent(2))
      assert.deepInclude({ ...spending.refusal(more, 0) }, {
        reason: "unmetered",
        detail: "the calls of rollouts were answered without their usage: max_tokens and max_usd cannot be kept"
      })
      spending.addRollout(usage(10, 1))
      assert.isNull(spending.refusal(more, 0), "one that broke off may have none")
      spending.addReflection(silent(1))
      assert.match(spending.refusal(more, 0)!.detail, /^the calls of reflections /)
    }
    const unlimitedSpending = new Spending(unlimited, prices)
    unlimitedSpending.addRollout(silent(1))
    assert.isNull(unlimitedSpending.refusal(more, 0))
  })

  it("goes on where calls are answered with what they cost, in place of their usage", () => {
    const spending = new Spending({ ...unlimited, usdMax: 1 }, prices)
    spending.addRollout([{ ...usage(0, 0)[0]!, unmetered: 1 }, ...usage(0, 0, "m", 0.2)])
    assert.isNull(spending.refusal({ rollouts: 4, reflections: 0 }, 0))
    assert.strictEqual(spending.refusal({ rollouts: 5, reflections: 0 }, 0)?.reason, "usd")
  })

  it("counts the calls that its dollars are without", () => {
    const spending = new Spending(unlimited, prices)
    assert.deepStrictEqual(spending.leftOut, { unpricedCalls: 0, unmeteredCalls: 0 })
    spending.addRollout([{ ...usage(10, 1, "mystery")[0]!, metered: 2 }, { ...usage(10, 1)[0]!, unmetered: 3 }])
    spending.addReflection([{ ...usage(10, 1, "mystery")[0]!, metered: 1 }, { ...usage(0, 0)[0]!, brokenOff: 1 }])
    assert.deepStrictEqual(spending.leftOut, { unpricedCalls: 3, unmeteredCalls: 4 })
  })

  it("begins nothing when its time is over", () => {
    const spending = new Spending({ ...unlimited, secondsMax: 60 }, prices)
    assert.isNull(spending.refusal({ rollouts: 1, reflections: 0 }, 59.9))
    assert.strictEqual(spending.refusal({ rollouts: 1, reflections: 0 }, 60)?.reason, "seconds")
  })

  it("begins no batch that would not end in time at the pace so far, nor one that leaves the gate none", () => {
    const spending = new Spending({ ...unlimited, secondsMax: 60 }, prices)
    spending.addRollout(usage(1, 0))
    // The time that has passed is of a search that was stopped, or paused.
    assert.isNull(spending.refusal({ rollouts: 100, reflections: 0 }, 40))
    spending.addWait(20, 40)
    assert.isNull(spending.refusal({ rollouts: 10, reflections: 0 }, 40))
    assert.strictEqual(
      spending.refusal({ rollouts: 11, reflections: 0 }, 40)?.message,
      "40 s have passed of 60 s (max_seconds), and what is next may take until 62 s"
    )
    assert.isNull(spending.refusal({ rollouts: 2, reflections: 0 }, 40, { reserved: 8 }))
    assert.strictEqual(spending.refusal({ rollouts: 2, reflections: 0 }, 40, { reserved: 9 })?.reason, "seconds")
    // Sixty rollouts in a minute: the pace is that of all batches.
    spending.addWait(40, 20)
    assert.isNull(spending.refusal({ rollouts: 20, reflections: 0 }, 40))
    assert.strictEqual(spending.refusal({ rollouts: 21, reflections: 0 }, 40)?.reason, "seconds")
  })

  it("reserves by the dearest in dollars also after a cheaper one", () => {
    const spending = new Spending({ ...unlimited, usdMax: 1 }, prices)
    for (const cost of [0.3, 0.1]) spending.addRollout(usage(1, 1, "m", cost))
    assert.isNull(spending.refusal({ rollouts: 2, reflections: 0 }, 0))
    assert.strictEqual(spending.refusal({ rollouts: 3, reflections: 0 }, 0)?.reason, "usd")
  })

  it("overshoots by no more than what rollouts of a batch take beyond the dearest before it", () => {
    const step = fc.record({ rollouts: fc.integer({ min: 0, max: 8 }), tokens: fc.integer({ min: 0, max: 200 }) })
    fc.assert(fc.property(fc.array(step), fc.integer({ min: 1, max: 3_000 }), (steps, tokensMax) => {
      const spending = new Spending({ ...unlimited, tokensMax }, prices)
      let dearest = 0
      let over = 0
      for (const { rollouts, tokens } of steps) {
        if (rollouts === 0 || spending.refusal({ rollouts, reflections: 0 }, 0) !== null) continue
        for (let n = 0; n < rollouts; n += 1) spending.addRollout(usage(tokens, 0))
        if (tokens > dearest) over = rollouts * (tokens - dearest)
        dearest = Math.max(dearest, tokens)
      }
      // What the last surprise cost beyond the dearest before it.
      assert.isAtMost(spending.tokens, tokensMax + over)
    }))
  })
})
