import { assert, describe, it } from "@effect/vitest"
import * as fc from "effect/FastCheck"
import { Draws } from "../../src/statistics/Draws.js"
import { confidenceSequence, EProcess } from "../../src/statistics/EProcess.js"
import { ratioBounds } from "../../src/statistics/Fieller.js"
import { newcombe, pairCounts } from "../../src/statistics/Newcombe.js"
import { pairedBounds } from "../../src/statistics/PairedBounds.js"
import { conditionalPower, pairsNeeded } from "../../src/statistics/Power.js"
import { SampleInvalid } from "../../src/statistics/SampleInvalid.js"

const evidenceOf = (differences: ReadonlyArray<number>): EProcess => {
  const evidence = new EProcess()
  for (const difference of differences) evidence.observe(difference)
  return evidence
}

/** Wins and losses in the given shares. */
const drawn = (draws: Draws, n: number, win: number, loss: number): ReadonlyArray<number> =>
  Array.from({ length: n }, () => {
    const at = draws.uniform()
    return at < win ? 1 : at < win + loss ? -1 : 0
  })

const difference = fc.integer({ min: -8, max: 8 }).map((eighths) => eighths / 8)
const sample = fc.array(difference, { minLength: 1, maxLength: 60 })

describe("evidence that may be looked at", () => {
  it("is what ten bettors hold on average", () => {
    const stakes = [0.05, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9]
    const expected = stakes.reduce((total, stake) => total + (1 + stake) ** 2 * (1 - stake) * (1 + stake / 2), 0) / 10
    assert.closeTo(evidenceOf([1, 1, -1, 0.5]).value, expected, 1e-12)
    assert.strictEqual(evidenceOf([]).value, 1)
    assert.strictEqual(evidenceOf([0, 0]).anytimeP, 1)
  })

  it("remembers the most there was, and stays a number however long it wins", () => {
    const evidence = evidenceOf([...Array<number>(10).fill(1), ...Array<number>(30).fill(-1)])
    assert.isBelow(evidence.value, 1)
    assert.closeTo(evidence.max, evidenceOf(Array<number>(10).fill(1)).value, 1e-9)
    assert.isTrue(Number.isFinite(evidenceOf(Array<number>(5_000).fill(1)).value))
    assert.closeTo(evidence.anytimeP, 1 / evidence.max, 1e-12)
    assert.throws(() => evidenceOf([1.01]), SampleInvalid)
    assert.throws(() => evidenceOf([-1.01]), SampleInvalid)
    assert.throws(() => evidenceOf([Number.NaN]), SampleInvalid)
  })

  it("reaches 20 in fewer than 5 of 100 experiments without a gain, looked at after every pair", () => {
    const draws = new Draws(5)
    let count = 0
    for (let n = 0; n < 2_000; n += 1) if (evidenceOf(drawn(draws, 150, 0.2, 0.2)).max >= 20) count += 1
    assert.isBelow(count / 2_000, 0.05)
    assert.isAbove(count / 2_000, 0.01, "so cautious that it would find nothing")
  })

  it("finds a gain of 20 points in 100 pairs with independent arms about 73 times out of 100", () => {
    const draws = new Draws(6)
    let count = 0
    for (let n = 0; n < 1_000; n += 1) if (evidenceOf(drawn(draws, 100, 0.315, 0.115)).max >= 20) count += 1
    assert.closeTo(count / 1_000, 0.73, 0.05)
  })

  it("bounds the true mean at every stop in more than 95 of 100 experiments", () => {
    const draws = new Draws(7)
    let missed = 0
    for (let n = 0; n < 300; n += 1) {
      const differences = drawn(draws, 60, 0.3, 0.1)
      // Looking for the worst stop: bounds never widen, so the last one missing is what any would have missed.
      const { high, low } = confidenceSequence(differences)
      if (low > 0.2 || high < 0.2) missed += 1
    }
    assert.isBelow(missed / 300, 0.05)
  })

  it("bounds at the mean that the bets have just ruled out, once and for all", () => {
    const ruledOut = (differences: ReadonlyArray<number>, mean: number) =>
      evidenceOf(differences.map((one) => (one - mean) / (1 + Math.abs(mean)))).max
    const wins = [...Array<number>(20).fill(1), ...Array<number>(5).fill(-0.5)]
    for (const [level, needed] of [[0.95, 40], [0.9, 20]] as const) {
      const { high, low } = confidenceSequence(wins, level)
      assert.isAbove(low, 0.2)
      assert.strictEqual(high, 1)
      assert.isAtLeast(ruledOut(wins, low - 1e-9), needed * (1 - 1e-6))
      assert.isBelow(ruledOut(wins, low + 1e-9), needed * (1 + 1e-6))
      const later = confidenceSequence([...wins, ...Array<number>(10).fill(-1)], level)
      assert.closeTo(later.low, low, 1e-9)
    }
    assert.deepStrictEqual(confidenceSequence([0, 0.5]), { low: -1, high: 1 })
    assert.deepStrictEqual(confidenceSequence(wins), confidenceSequence(wins, 0.95))
  })

  it("bounds what was seen, turns round with the data, and narrows with more of them", () => {
    fc.assert(
      fc.property(sample, (differences) => {
        const bounds = confidenceSequence(differences)
        assert.isTrue(bounds.low >= -1 && bounds.low <= bounds.high + 1e-9 && bounds.high <= 1)
        const turned = confidenceSequence(differences.map((one) => -one))
        assert.closeTo(turned.low, -bounds.high, 1e-9)
        const longer = confidenceSequence([...differences, ...differences])
        assert.isAtLeast(longer.low, bounds.low - 1e-9)
        assert.isAtMost(longer.high, bounds.high + 1e-9)
        // The claim and the bound are the same bets.
        const isClaimed = evidenceOf(differences).max >= 40
        assert.strictEqual(bounds.low > 0, isClaimed)
      }),
      { numRuns: 60 }
    )
  })
})

describe("intervals of pairs", () => {
  it("gives Newcombe's published limits", () => {
    const bounds = newcombe({ both: 36, firstOnly: 2, secondOnly: 12, neither: 0 })
    assert.closeTo(bounds.low, 0.0569, 5e-5)
    assert.closeTo(bounds.high, 0.3404, 5e-5)
  })

  it("holds the difference, turns round with the arms, and is never empty", () => {
    const count = fc.nat(40)
    fc.assert(
      fc.property(count, count, count, fc.integer({ min: 1, max: 40 }), (both, firstOnly, secondOnly, neither) => {
        const n = both + firstOnly + secondOnly + neither
        const { high, low } = newcombe({ both, firstOnly, secondOnly, neither })
        const gain = (secondOnly - firstOnly) / n
        assert.isTrue(low <= gain + 1e-12 && gain <= high + 1e-12 && low < high)
        assert.isTrue(low >= -1 - 1e-9 && high <= 1 + 1e-9)
        const turned = newcombe({ both, firstOnly: secondOnly, secondOnly: firstOnly, neither })
        assert.closeTo(turned.low, -high, 1e-12)
      })
    )
  })

  it("counts pairs by who succeeded", () => {
    const counts = { both: 3, firstOnly: 1, secondOnly: 2, neither: 1 }
    assert.deepStrictEqual(pairCounts([1, 1, 1, 1, 0, 0, 0], [1, 1, 1, 0, 1, 1, 0]), counts)
    assert.isNull(pairCounts([1, 0.5], [1, 1]))
    assert.isNull(pairCounts([1, 0], [1, 0.5]))
  })

  it("chooses the method by the scores", () => {
    const options = { level: 0.95, seed: 1, draws: 499 }
    assert.strictEqual(pairedBounds([0, 1], [1, 1], options).method, "Newcombe 1998, method 10")
    assert.strictEqual(pairedBounds([0.2, 0.5], [0.9, 0.5], options).method, "paired bootstrap BCa")
    assert.strictEqual(pairedBounds([0.25, 0.5], [0.25, 0.5], options).method, "rule of three")
    assert.throws(() => pairedBounds([0], [0, 1], options), SampleInvalid)
  })

  it("holds the true ratio of two means in about 90 of 100 intervals at 90 %", () => {
    const draws = new Draws(8)
    let held = 0
    for (let n = 0; n < 1_000; n += 1) {
      const first = Array.from({ length: 40 }, () => 100 + 100 * draws.uniform())
      const second = first.map((amount) => 0.5 * amount + 180 * draws.uniform())
      const { high, low } = ratioBounds(first, second, 0.9)
      if (low <= 1.1 && high >= 1.1) held += 1
    }
    assert.closeTo(held / 1_000, 0.9, 0.03)
  })

  it("bounds no ratio when the first mean may be 0", () => {
    assert.deepStrictEqual(ratioBounds([0, 1, -1], [1, 2, 3]), { low: 0, high: Number.POSITIVE_INFINITY })
    assert.deepStrictEqual(ratioBounds([1], [2]), { low: 0, high: Number.POSITIVE_INFINITY })
  })
})

describe("how many pairs", () => {
  it("gives Connor's figures", () => {
    const needed = (discordant: number) =>
      [0.2, 0.15, 0.1, 0.05].map((difference) => pairsNeeded({ difference, discordant }))
    // The formula gives 94.06, 214.3, 863.5 and so on: one pair more rather than one too few.
    assert.deepStrictEqual(needed(0.35), [52, 95, 215, 864])
    assert.deepStrictEqual(needed(0.25), [37, 67, 153, 617])
    assert.throws(() => pairsNeeded({ difference: 0.2, discordant: 0.1 }), SampleInvalid)
  })

  it("foresees a win that is on its way and gives up one that is not", () => {
    assert.isAbove(conditionalPower(2.5, 0.5, 0.05), 0.95)
    assert.isBelow(conditionalPower(0.2, 0.5, 0.05), 0.1)
    // With the statistic just on the way to the critical value it is a coin's toss.
    assert.closeTo(conditionalPower(1.6448536 * Math.sqrt(0.6), 0.6, 0.05), 0.5, 1e-6)
  })
})
