import { assert, describe, it } from "@effect/vitest"
import * as fc from "effect/FastCheck"
import type { Alternative } from "../../src/statistics/Alternative.js"
import { bcaBounds, bootstrapMean, unanimousBounds } from "../../src/statistics/Bootstrap.js"
import { Draws } from "../../src/statistics/Draws.js"
import { cliffsDelta, cohensD, cohensDz, pairedOddsRatio } from "../../src/statistics/EffectSize.js"
import { confidenceSequence } from "../../src/statistics/EProcess.js"
import { ratioBounds } from "../../src/statistics/Fieller.js"
import { holm } from "../../src/statistics/Holm.js"
import { mcNemar } from "../../src/statistics/McNemar.js"
import { sum } from "../../src/statistics/Moments.js"
import { newcombe } from "../../src/statistics/Newcombe.js"
import { normalCdf, normalQuantile } from "../../src/statistics/Normal.js"
import { pairedPermutation } from "../../src/statistics/Permutation.js"
import { conditionalPower, mcNemarPower, pairsNeeded, smallestDetectable, tPower } from "../../src/statistics/Power.js"
import { SampleInvalid } from "../../src/statistics/SampleInvalid.js"
import { studentTCdf, studentTQuantile } from "../../src/statistics/StudentT.js"
import { unanimousDifference, unanimousPValue } from "../../src/statistics/UnanimousSamples.js"
import { welch } from "../../src/statistics/Welch.js"
import { wilson } from "../../src/statistics/Wilson.js"

const score = fc.integer({ min: -8, max: 8 }).map((eighths) => eighths / 8)
const sample = fc.array(score, { minLength: 2, maxLength: 10 })
const counts = [fc.nat(80), fc.nat(80)] as const
const alternatives: ReadonlyArray<Alternative> = ["two-sided", "greater", "less"]
const opposite = { "two-sided": "two-sided", greater: "less", less: "greater" } as const
const isProbability = (p: number) => p >= 0 && p <= 1

describe("statistics", () => {
  it("gives the same verdict when the arms change places and the question is turned round", () => {
    fc.assert(fc.property(...counts, sample, sample, fc.constantFrom(...alternatives), (wins, losses, a, b, one) => {
      const other = opposite[one]
      assert.closeTo(mcNemar(wins, losses, one).pValue, mcNemar(losses, wins, other).pValue, 1e-12)
      assert.closeTo(mcNemar(wins, losses, one).midPValue, mcNemar(losses, wins, other).midPValue, 1e-12)
      const turned = a.map((value) => -value)
      assert.strictEqual(
        pairedPermutation(a, { alternative: one }).pValue,
        pairedPermutation(turned, { alternative: other }).pValue
      )
      assert.closeTo(welch(a, b, one).pValue, welch(b, a, other).pValue, 1e-12)
      // Infinite where neither arm has any spread.
      assert.isTrue(cohensD(a, b) === -cohensD(b, a) || Math.abs(cohensD(a, b) + cohensD(b, a)) < 1e-9)
      assert.closeTo(cliffsDelta(a, b), -cliffsDelta(b, a), 1e-12)
      assert.closeTo(pairedOddsRatio(wins, losses) * pairedOddsRatio(losses, wins), 1, 1e-9)
    }))
  })

  it("finds more evidence the more pairs are won", () => {
    fc.assert(fc.property(...counts, (wins, losses) => {
      assert.isAtMost(mcNemar(wins + 1, losses, "greater").pValue, mcNemar(wins, losses, "greater").pValue + 1e-12)
      assert.isAtLeast(mcNemar(wins, losses + 1, "greater").pValue, mcNemar(wins, losses, "greater").pValue - 1e-12)
      assert.isTrue(isProbability(mcNemar(wins, losses).pValue) && isProbability(mcNemar(wins, losses).midPValue))
      assert.isAtMost(mcNemar(wins, losses).midPValue, mcNemar(wins, losses).pValue)
    }))
    fc.assert(fc.property(sample, fc.nat(9), (differences, at) => {
      const raised = differences.map((value, index) => index === at % differences.length ? Math.abs(value) : value)
      const p = (values: ReadonlyArray<number>) => pairedPermutation(values, { alternative: "greater" }).pValue
      assert.isAtMost(p(raised), p(differences))
    }))
  })

  it("counts 0/1 pairs in the permutation test as McNemar's does", () => {
    fc.assert(fc.property(fc.nat(8), fc.nat(8), fc.nat(5), (wins, losses, ties) => {
      const differences = [
        ...Array<number>(wins).fill(1),
        ...Array<number>(losses).fill(-1),
        ...Array<number>(ties + 1).fill(0)
      ]
      for (const alternative of alternatives) {
        assert.closeTo(
          pairedPermutation(differences, { alternative }).pValue,
          mcNemar(wins, losses, alternative).pValue,
          1e-12
        )
      }
    }))
  })

  it("draws patterns when there are too many to count, the same ones from the same seed, close to the exact value", () => {
    const differences = [0.5, 1, -0.25, 0.75, 0.5, -0.5, 1, 0.25, -0.75, 1, 0.5, 0.25, -1, 0.5]
    const exact = pairedPermutation(differences)
    const drawn = pairedPermutation(differences, { exactMax: 0, seed: 4 })
    assert.strictEqual(exact.method, "exact")
    assert.strictEqual(exact.standardError, 0)
    assert.strictEqual(drawn.method, "monte-carlo")
    assert.closeTo(drawn.pValue, exact.pValue, 4 * drawn.standardError)
    assert.deepStrictEqual(drawn, pairedPermutation(differences, { exactMax: 0, seed: 4 }))
    assert.notStrictEqual(drawn.pValue, pairedPermutation(differences, { exactMax: 0, seed: 5 }).pValue)
  })

  it("draws the numbers of xoshiro128**, seeded by all bits of the seed", () => {
    // Blackman and Vigna's xoshiro128starstar.c, its state filled by splitmix32.
    const known: ReadonlyArray<readonly [seed: number, bits: ReadonlyArray<number>]> = [
      [1, [393288148, 2174103013, 3814759091, 2092745082, 1865176206, 2179171167, 3207394750, 2858353069]],
      [2 ** 32 + 6, [210494603, 711084892, 3993689120, 4089369890, 1706118055, 2746022466, 1316796690, 458993998]]
    ]
    for (const [seed, bits] of known) {
      const draws = new Draws(seed)
      assert.deepStrictEqual(bits.map(() => draws.bits()), bits)
    }
  })

  it("is blind to the order of the pairs and to pairs that tie", () => {
    fc.assert(fc.property(sample, (differences) => {
      const p = pairedPermutation(differences).pValue
      assert.strictEqual(pairedPermutation(differences.toReversed()).pValue, p)
      assert.strictEqual(pairedPermutation([...differences, 0, 0]).pValue, p)
    }))
  })

  it("finds nothing where all differences are 0, and nothing in one pair alone", () => {
    assert.strictEqual(pairedPermutation([0, 0, 0]).pValue, 1)
    assert.strictEqual(pairedPermutation([0.7]).pValue, 1)
    assert.strictEqual(mcNemar(0, 0).pValue, 1)
    assert.strictEqual(mcNemar(1, 0).pValue, 1)
    assert.strictEqual(welch([1, 1], [1, 1]).pValue, 1)
    assert.strictEqual(cohensDz([0, 0]), 0)
    assert.deepStrictEqual(bootstrapMean([0.25, 0.25]), { low: 0.25, high: 0.25 })
    assert.deepStrictEqual(bootstrapMean([0.5]), { low: 0.5, high: 0.5 })
  })

  it("is exact where all is certain, where sums cancel, and for samples of one value each", () => {
    assert.closeTo(mcNemarPower({ pairs: 6, discordant: 1, difference: 1 }), 1, 1e-12)
    assert.strictEqual(sum([1, 1e100, 1, -1e100]), 2)
    const pValue = (first: number, second: number) => unanimousPValue({ value: 0, n: first }, { value: 1, n: second })
    assert.closeTo(pValue(3, 3), 2 / 20, 1e-12)
    assert.closeTo(pValue(2, 3), 1 / 10, 1e-12)
  })

  it("says how little equal differences say: the fewer, the wider", () => {
    assert.closeTo(unanimousBounds(1, 8, 0.95).low, 1 - 2 * (1 - 0.025 ** (1 / 8)), 1e-12)
    fc.assert(fc.property(fc.integer({ min: 1, max: 300 }), score, (n, value) => {
      const few = unanimousBounds(value, n, 0.95)
      const more = unanimousBounds(value, n + 1, 0.95)
      assert.isTrue(few.low >= -1 && few.high <= 1 && few.low <= value && few.high >= value)
      assert.isTrue(more.low >= few.low && more.high <= few.high)
    }))
  })

  it("draws the same interval of values of any size, in their size", () => {
    const sample = [1, -2, 5, 3]
    const { high, low } = bootstrapMean(sample)
    for (const size of [1e-150, 1e-110, 1e150]) {
      const sized = bootstrapMean(sample.map((value) => value * size))
      assert.closeTo(sized.low / size, low, 1e-9)
      assert.closeTo(sized.high / size, high, 1e-9)
    }
  })

  it("keeps intervals around what was seen, wider at a higher level", () => {
    fc.assert(
      fc.property(fc.array(score, { minLength: 3, maxLength: 30 }), (differences) => {
        const centre = differences.reduce((a, b) => a + b, 0) / differences.length
        const narrow = bootstrapMean(differences, { level: 0.8, draws: 400 })
        const wide = bootstrapMean(differences, { level: 0.99, draws: 400 })
        assert.isTrue(wide.low <= narrow.low && wide.high >= narrow.high)
        assert.isTrue(wide.low <= centre + 1e-9 && wide.high >= centre - 1e-9)
      }),
      { numRuns: 40 }
    )
    fc.assert(fc.property(fc.integer({ min: 1, max: 200 }), fc.nat(200), (n, k) => {
      const successes = Math.min(n, k)
      const { high, low } = wilson(successes, n)
      assert.isTrue(low >= 0 && high <= 1 && low <= successes / n && high >= successes / n)
    }))
  })

  it("corrects several p-values so that none gets smaller, their order stays, and one alone is left as it is", () => {
    fc.assert(
      fc.property(fc.array(fc.double({ min: 0, max: 1, noNaN: true }), { minLength: 1, maxLength: 8 }), (raw) => {
        const adjusted = holm(raw)
        assert.isTrue(adjusted.every((p, index) => p >= raw[index]! && p <= 1))
        for (const [i, one] of raw.entries()) {
          for (const [j, other] of raw.entries()) if (one <= other) assert.isTrue(adjusted[i]! <= adjusted[j]!)
        }
      })
    )
    assert.deepStrictEqual(holm([0.03]), [0.03])
    assert.deepStrictEqual(holm([]), [])
  })

  it("finds quantiles that lead back to their share", () => {
    fc.assert(
      fc.property(fc.double({ min: 1e-12, max: 1 - 1e-12, noNaN: true }), fc.integer({ min: 1, max: 500 }), (p, df) => {
        assert.closeTo(normalCdf(normalQuantile(p)), p, 1e-12)
        assert.closeTo(studentTCdf(studentTQuantile(p, df), df), p, 1e-12)
      })
    )
  })

  it("has more power for larger differences and samples, and names the smallest difference it can see", () => {
    const power = (difference: number, pairs: number) => mcNemarPower({ pairs, discordant: 0.4, difference })
    assert.isBelow(power(0.1, 80), power(0.2, 80))
    assert.isBelow(power(0.1, 80), power(0.1, 200))
    const smallest = smallestDetectable((difference) => power(difference, 120), { max: 0.4 })!
    assert.closeTo(power(smallest, 120), 0.8, 1e-6)
    assert.isNull(smallestDetectable((difference) => power(difference, 8), { max: 0.4 }))
    assert.closeTo(tPower({ difference: 0, standardError: 1, df: 20 }), 0.05, 1e-9)
    assert.strictEqual(tPower({ difference: 1e6, standardError: 1, df: 20 }), 1)
  })

  // Power that looked at every outcome took minutes; as arguments of one call the values do not fit on the stack.
  it("has an answer for many thousand values", { timeout: 30_000 }, () => {
    const many = 150_000
    const power = (difference: number) => mcNemarPower({ pairs: 30_000, discordant: 0.3, difference })
    assert.closeTo(smallestDetectable(power, { max: 0.3 })!, 2.8016 * Math.sqrt(0.3 / 30_000), 1e-4)
    const values = Array.from({ length: many }, (_, index) => index % 7 / 7)
    const { high, low } = bootstrapMean(values, { draws: 20 })
    assert.isTrue(low < 3 / 7 && high > 3 / 7 && high - low < 0.01)
    assert.closeTo(cliffsDelta(values, values.map((value) => value + 1 / 14)), 1 / 7, 1e-4)
  })

  it("refuses what is no number, no sample, no share and no count", () => {
    const refused = [
      () => pairedPermutation([0, Number.NaN]),
      () => pairedPermutation([]),
      () => bootstrapMean([Number.POSITIVE_INFINITY]),
      () => bootstrapMean([1], { level: 1 }),
      () => welch([1, 2], [Number.NaN, 1]),
      () => welch([1], [1, 2]),
      () => mcNemar(1.5, 2),
      () => mcNemar(-1, 2),
      () => mcNemar(Number.NaN, 2),
      () => mcNemar(2, 1.5),
      () => wilson(3, 2),
      () => wilson(0, 0),
      () => wilson(-1, 2),
      () => wilson(0.5, 2),
      () => wilson(1, 2, 1),
      () => holm([Number.NaN]),
      () => holm([1.01]),
      () => cohensDz([Number.NaN]),
      () => cliffsDelta([], [1]),
      () => mcNemarPower({ pairs: 5, discordant: 0.1, difference: 0.2 }),
      () => mcNemarPower({ pairs: 0, discordant: 0.3, difference: 0.2 }),
      () => mcNemarPower({ pairs: 5, discordant: 0.3, difference: 0.2 }, { alpha: 1 }),
      () => tPower({ difference: 1, standardError: 0, df: 4 }),
      () => tPower({ difference: 1, standardError: 1, df: 0 }),
      () => tPower({ difference: 1, standardError: 1, df: 4 }, { alpha: 0 }),
      () => smallestDetectable(() => 1, { power: 1 }),
      () => conditionalPower(1, 1, 0.05),
      () => conditionalPower(1, 0.5, 0),
      () => pairsNeeded({ difference: 0.2, discordant: 0.3 }, { alpha: 0 }),
      () => pairsNeeded({ difference: 0.2, discordant: 0.3 }, { power: 1 }),
      () => ratioBounds([1, 2], [1]),
      () => ratioBounds([1, 2], [1, 2], 1),
      () => newcombe({ both: 0, firstOnly: 0, secondOnly: 0, neither: 0 }),
      () => newcombe({ both: -1, firstOnly: 1, secondOnly: 1, neither: 1 }),
      () => confidenceSequence([0], 1),
      () => unanimousPValue({ value: 0, n: 0 }, { value: 1, n: 2 }),
      () => unanimousPValue({ value: 0, n: 2 }, { value: 1, n: 0 }),
      () => unanimousDifference({ value: 0, n: 2 }, { value: 1, n: 2 }, 1),
      () => unanimousDifference({ value: 0, n: 2 }, { value: 1, n: 0 }, 0.95),
      () => unanimousBounds(0, 0, 0.95),
      () => bcaBounds([0, 1], [], 0.95),
      () => bootstrapMean([0, 1], { draws: 0 }),
      () => pairedPermutation([0, 1], { draws: 0 }),
      () => pairedOddsRatio(-1, 2),
      () => pairedOddsRatio(1, 0.5)
    ]
    for (const refuse of refused) assert.throws(refuse, SampleInvalid)
    assert.throws(() => pairedPermutation([0, Number.NaN]), "differences[1]: expected a finite number, found NaN")
  })
})
