import { assert, describe, it } from "@effect/vitest"
import { bootstrapMean, unanimousBounds } from "../../src/statistics/Bootstrap.js"
import { cohensD, cohensDz, pairedOddsRatio } from "../../src/statistics/EffectSize.js"
import { ratioBounds } from "../../src/statistics/Fieller.js"
import { mcNemar } from "../../src/statistics/McNemar.js"
import { differenceOf, isAtMost, mean, variance } from "../../src/statistics/Moments.js"
import { newcombe } from "../../src/statistics/Newcombe.js"
import { normalCdf, normalQuantile } from "../../src/statistics/Normal.js"
import { pairedBounds } from "../../src/statistics/PairedBounds.js"
import { pairedPermutation } from "../../src/statistics/Permutation.js"
import { conditionalPower, mcNemarPower, tPower } from "../../src/statistics/Power.js"
import { studentTQuantile } from "../../src/statistics/StudentT.js"
import { unanimousDifference, unanimousPValue } from "../../src/statistics/UnanimousSamples.js"
import { welch } from "../../src/statistics/Welch.js"
import { wilson } from "../../src/statistics/Wilson.js"

const repeated = (n: number, value: number) => Array<number>(n).fill(value)

describe("statistics worked out by hand", () => {
  it("counts up to 2^16 patterns, draws 9999 of more, and says how sure that is", () => {
    assert.include(pairedPermutation(repeated(16, 1)), { method: "exact", patterns: 65_536, pValue: 2 / 65_536 })
    const drawn = pairedPermutation(repeated(17, 1), { alternative: "greater" })
    const p = 1 / 10_000
    assert.deepStrictEqual(drawn, {
      method: "monte-carlo",
      patterns: 9_999,
      pValue: p,
      standardError: Math.sqrt(p * (1 - p) / 9_999)
    })
  })

  it("draws the sign of every one of many differences", () => {
    const { pValue, standardError } = pairedPermutation([...repeated(20, 1), ...repeated(20, -1)], {
      alternative: "greater"
    })
    assert.closeTo(pValue, mcNemar(20, 20, "greater").pValue, 4 * standardError)
  })

  it("is certain of a difference without spread in its own direction alone", () => {
    const pValue = (alternative: "two-sided" | "greater" | "less") => welch([1, 1], [2, 2, 2], alternative).pValue
    assert.deepStrictEqual([pValue("two-sided"), pValue("greater"), pValue("less")], [0, 0, 1])
    assert.deepInclude(welch([1, 1], [2, 2, 2]), { t: Number.POSITIVE_INFINITY, df: 3, bounds: { low: 1, high: 1 } })
    assert.deepInclude(welch([1, 1], [1, 1], "greater"), { t: 0, pValue: 1 })
    assert.strictEqual(cohensD([1], [2]), Number.POSITIVE_INFINITY)
    assert.strictEqual(cohensD([1, 1], [1]), 0)
    assert.strictEqual(cohensDz([-1]), Number.NEGATIVE_INFINITY)
  })

  it("adds half a pair to the odds only where one side is empty", () => {
    assert.deepStrictEqual([pairedOddsRatio(6, 3), pairedOddsRatio(3, 0), pairedOddsRatio(0, 3)], [2, 7, 1 / 7])
  })

  it("finds a gain with a one-sided test that a two-sided one cannot find", () => {
    const power = (pairs: number, difference: number, alternative: "greater" | "two-sided") =>
      mcNemarPower({ pairs, discordant: 1, difference }, { alternative })
    assert.closeTo(power(5, 1, "greater"), 1, 1e-12)
    assert.closeTo(power(5, 1, "two-sided"), 0, 1e-12)
    assert.closeTo(power(4, 1, "greater"), 0, 1e-12)
    // Five wins of five are all that rejects; five losses are no gain.
    assert.closeTo(power(5, 0, "greater"), 1 / 32, 1e-12)
    assert.strictEqual(mcNemarPower({ pairs: 5, discordant: 0, difference: 0 }), 0)
    const ofT = tPower({ difference: 2, standardError: 1, df: 1e6 }, { alternative: "greater" })
    assert.closeTo(ofT, normalCdf(2 - 1.6448536), 1e-5)
  })

  it("goes on from where a statistic stands, with what is still to come", () => {
    assert.closeTo(conditionalPower(2.5, 0.5, 0.05), normalCdf((2.5 / Math.SQRT1_2 - 1.6448536) * Math.SQRT2), 1e-6)
  })

  it("bounds a ratio where the t test of the pairs just rejects it", () => {
    const first = [3, 5, 4, 6, 7, 5]
    const second = [4, 5, 6, 6, 9, 4]
    for (const level of [0.9, 0.95]) {
      const { high, low } = ratioBounds(first, second, level)
      for (const [ratio, tail] of [[low, 1], [high, -1]] as const) {
        const left = second.map((value, index) => value - ratio * first[index]!)
        const t = mean(left) / Math.sqrt(variance(left) / left.length)
        assert.closeTo(t, tail * -studentTQuantile((1 - level) / 2, 5), 1e-9)
      }
    }
    assert.deepStrictEqual(ratioBounds(first, second), ratioBounds(first, second, 0.95))
    assert.strictEqual(ratioBounds([10, 11, 9], [0, 1, -1]).low, 0)
  })

  it("takes a small correlation of pairs for none", () => {
    const { high, low } = newcombe({ both: 3, firstOnly: 2, secondOnly: 2, neither: 2 }, 0.9)
    const arm = wilson(5, 9, 0.9)
    assert.closeTo(low, -Math.hypot(5 / 9 - arm.low, arm.high - 5 / 9), 1e-12)
    assert.closeTo(high, -low, 1e-12)
  })

  it("bounds the second arm minus the first at the level, with the draws and from the seed that are asked for", () => {
    const options = { level: 0.8, seed: 3, draws: 99 }
    const bounds = (first: ReadonlyArray<number>, second: ReadonlyArray<number>) => {
      const { method: _, ...bounds } = pairedBounds(first, second, options)
      return bounds
    }
    assert.deepStrictEqual(
      bounds([0, 1, 0], [1, 1, 0]),
      newcombe({ both: 1, firstOnly: 0, secondOnly: 1, neither: 1 }, 0.8)
    )
    // One difference, but for rounding.
    assert.deepStrictEqual(bounds([0.1, 0.2], [0.4, 0.5]), unanimousBounds(0.4 - 0.1, 2, 0.8))
    const differences = [0.25, 0.5, -0.25, 0.75, 0.125]
    assert.deepStrictEqual(
      bounds(repeated(5, 0.25), differences.map((one) => one + 0.25)),
      bootstrapMean(differences, options)
    )
    assert.deepStrictEqual(
      bootstrapMean(differences),
      bootstrapMean(differences, { level: 0.95, seed: 1, draws: 9_999 })
    )
  })

  it("bounds equal scores within their scale, and the difference of two such samples", () => {
    const hidden = (n: number, tails: number) => 1 - (0.05 / tails) ** (1 / n)
    const { high, low } = unanimousBounds(0.5, 8, 0.95, 0)
    assert.closeTo(low, 0.5 - hidden(8, 2) / 2, 1e-12)
    assert.closeTo(high, 0.5 + hidden(8, 2) / 2, 1e-12)
    const difference = unanimousDifference({ value: 0.5, n: 3 }, { value: 1, n: 5 }, 0.95)
    assert.closeTo(difference.low, 1 - hidden(5, 4) - (0.5 + hidden(3, 4) / 2), 1e-12)
    assert.closeTo(difference.high, 1 - 0.5 * (1 - hidden(3, 4)), 1e-12)
    assert.strictEqual(unanimousPValue({ value: 1, n: 3 }, { value: 1, n: 4 }), 1)
  })

  it("takes for a tie, and for a bound that is kept, what differs by rounding alone, in numbers of any size", () => {
    for (const size of [1, 1e-9, 1e9]) {
      assert.strictEqual(differenceOf(size * 0.3, size * (0.1 + 0.2)), 0)
      assert.strictEqual(differenceOf(size * (0.1 + 0.2), size * 0.3), 0)
      assert.isAbove(differenceOf(size, size * (1 + 1e-11)), 0)
      assert.isTrue(isAtMost(size * (0.1 + 0.2), size * 0.3))
    }
    assert.isTrue(isAtMost(0.8 - 0.75, 0.05) && isAtMost(0.1 + 0.2 - 0.3, 0))
    assert.isFalse(isAtMost(1e-9, 0) || isAtMost(0.05 + 1e-9, 0.05) || isAtMost(1e9 + 1, 1e9))
  })

  it("has infinite quantiles at the ends of a distribution, and none beyond them", () => {
    for (const quantile of [normalQuantile, (p: number) => studentTQuantile(p, 3)]) {
      assert.deepStrictEqual([0, 1].map(quantile), [Number.NEGATIVE_INFINITY, Number.POSITIVE_INFINITY])
      assert.deepStrictEqual([-0.1, 1.1, Number.NaN].map(quantile), [Number.NaN, Number.NaN, Number.NaN])
    }
  })

  it("has nothing below 0 or above 1 in the interval of a share", () => {
    for (let n = 1; n < 60; n += 1) {
      assert.deepStrictEqual([wilson(0, n).low, wilson(n, n).high], [0, 1])
    }
    assert.deepStrictEqual(wilson(3, 7), wilson(3, 7, 0.95))
  })
})
