import { assert, describe, it } from "@effect/vitest"
import { compare } from "../../src/evidence/Comparison.js"
import { metricsOf } from "../../src/evidence/Outcomes.js"
import { Draws } from "../../src/statistics/Draws.js"
import { pairedBounds } from "../../src/statistics/PairedBounds.js"
import { mcNemarPower, tPower } from "../../src/statistics/Power.js"

const outcomes = (rewards: ReadonlyArray<ReadonlyArray<number>>) =>
  rewards.map((of, index) => ({ caseId: `case-${index}`, rewards: of, safetyPenalties: of.map(() => 0) }))

const options = { alpha: 0.05, seed: 1 }
const repeat = (count: number, one: ReadonlyArray<number>) => Array.from({ length: count }, () => one)

describe("compare", () => {
  it("takes McNemar's test for cases that are right or wrong, and counts who won", () => {
    const baseline = outcomes([...repeat(9, [0]), ...repeat(2, [1]), ...repeat(5, [1])])
    const trained = outcomes([...repeat(9, [1]), ...repeat(2, [0]), ...repeat(5, [1])])
    const found = compare(baseline, trained, options)
    assert.strictEqual(found.test, "exact McNemar")
    assert.deepStrictEqual([found.wins, found.losses, found.ties, found.n], [9, 2, 5, 16])
    assert.closeTo(found.pValue, 0.0654296875, 1e-12)
    assert.closeTo(found.meanDelta, 7 / 16, 1e-12)
    assert.isTrue(found.bounds.low < found.meanDelta && found.meanDelta < found.bounds.high)
    assert.strictEqual(found.effects["odds_ratio"], 4.5)
  })

  it("takes for a tie, and for equal differences, what rounding alone makes unequal", () => {
    const shuffled = compare(
      outcomes([[0.1, 0.7, 0.2], [0.3, 0.1, 0.9], [0.6, 0.1, 0.3], [0.1, 0.2, 0.3]]),
      outcomes([[0.7, 0.2, 0.1], [0.9, 0.3, 0.1], [0.1, 0.3, 0.6], [0.2, 0.2, 0.2]]),
      options
    )
    assert.deepStrictEqual([shuffled.wins, shuffled.losses, shuffled.ties], [0, 0, 4])
    assert.strictEqual(shuffled.intervalMethod, "rule of three")
    assert.isBelow(shuffled.bounds.low, -0.5)
    // 0.2 - 0.1 and 0.3 - 0.2 are not the same in binary.
    const higher = compare(outcomes([[0.1], [0.2], [0.7]]), outcomes([[0.2], [0.3], [0.8]]), options)
    assert.strictEqual(higher.intervalMethod, "rule of three")
    assert.strictEqual(
      pairedBounds([0.1, 0.2, 0.7], [0.2, 0.3, 0.8], { level: 0.95, seed: 1, draws: 99 }).method,
      "rule of three"
    )
  })

  it("shows no gain by the interval of right and wrong answers that the test does not show", () => {
    // 4 wins, no loss, p = 0.125: a bootstrap, which never draws a loss, gives bounds from 0.02 to 0.18.
    const found = compare(
      outcomes([...repeat(4, [0]), ...repeat(46, [1])]),
      outcomes(repeat(50, [1])),
      options
    )
    assert.strictEqual(found.intervalMethod, "Newcombe 1998, method 10")
    assert.isBelow(found.bounds.low, 0)
    assert.isAbove(found.bounds.high, found.meanDelta)
    const partly = compare(outcomes([[0, 1], [1, 1], [0, 0]]), outcomes([[1, 1], [1, 1], [0, 0]]), options)
    assert.strictEqual(partly.intervalMethod, "paired bootstrap BCa")
  })

  it("holds the true gain in its intervals 95 times out of 100, also where few cases differ", () => {
    const kinds = [[0, 1], [1, 0], [1, 1], [0, 0]] as const
    const random = new Draws(1)
    const experiments = 150
    let held = 0
    for (let experiment = 0; experiment < experiments; experiment += 1) {
      const cases = Array.from({ length: 40 }, () => {
        const at = random.uniform()
        return kinds[at < 0.05 ? 0 : at < 0.1 ? 1 : at < 0.7 ? 2 : 3]!
      })
      const arm = (index: 0 | 1) => outcomes(cases.map((one) => [one[index]]))
      const { high, low } = compare(arm(0), arm(1), options).bounds
      if (low <= 0 && 0 <= high) held += 1
    }
    assert.isAtLeast(held / experiments, 0.95)
  })

  it("takes the permutation test for scores in between, exact while the cases are few", () => {
    const baseline = outcomes(repeat(8, [0.25]))
    const trained = outcomes([...repeat(6, [0.75]), [0.25], [0]])
    assert.strictEqual(compare(baseline, trained, options).test, "paired permutation, exact")
    const many = compare(outcomes(repeat(40, [0.25])), outcomes(repeat(40, [0.5])), options)
    assert.strictEqual(many.test, "paired permutation, Monte Carlo")
    assert.isAbove(many.pValueStandardError, 0)
  })

  it("counts cases, not episodes, and still gives the difference of the reported means", () => {
    const baseline = outcomes([[0, 0, 1], [1, 0], [0, 1]])
    const trained = outcomes([[1, 1, 1], [1, 0], [1, 1]])
    const found = compare(baseline, trained, options)
    assert.strictEqual(found.n, 3)
    assert.closeTo(found.meanDelta, metricsOf(trained).meanReward - metricsOf(baseline).meanReward, 1e-12)
  })

  it("pairs by case id, in whatever order the reports list them", () => {
    const baseline = outcomes([[0], [1], [0], [1]])
    assert.strictEqual(compare(baseline, baseline.toReversed(), options).ties, 4)
  })

  it("does not take agreement of a few cases for certainty", () => {
    const same = outcomes(repeat(10, [1]))
    const found = compare(same, same, options)
    assert.strictEqual(found.pValue, 1)
    assert.strictEqual(found.intervalMethod, "rule of three")
    assert.closeTo(found.bounds.high, 1 - 0.025 ** 0.1, 1e-12)
    assert.strictEqual(found.bounds.low, -found.bounds.high)
  })

  it("compares episodes by Welch's test when asked to, or when the cases do not pair", () => {
    const baseline = outcomes([[0, 1, 0], [1, 0, 0]])
    const trained = outcomes([[1, 1, 0], [1, 1, 1]])
    assert.strictEqual(compare(baseline, trained, { ...options, unpaired: true }).test, "Welch")
    const other = trained.map((one) => ({ ...one, caseId: `other-${one.caseId}` }))
    assert.strictEqual(compare(baseline, other, options).test, "Welch")
    // A case more, or an episode less of one: no report is to be of some of its cases only.
    const [first, second] = trained
    const more = [...trained, { ...first!, caseId: "case-2" }]
    assert.deepInclude(compare(baseline, more, options), { test: "Welch", n: 15 })
    assert.deepInclude(compare(more, baseline, options), { test: "Welch", n: 15 })
    const less = [first!, { ...second!, rewards: [1, 1] }]
    assert.deepInclude(compare(baseline, less, options), { test: "Welch", n: 11 })
  })

  it("says of unpaired episodes which way they differ, at the level that was asked for", () => {
    const [low, high] = [outcomes([[0, 0.2, 0.1, 0.3]]), outcomes([[0.6, 0.9, 0.7, 0.8]])]
    const unpaired = { ...options, unpaired: true }
    const found = compare(low, high, unpaired)
    assert.strictEqual(found.effects["cliffs_delta"], 1)
    assert.isAbove(found.effects["cohens_d"]!, 4)
    const wider = compare(low, high, { ...unpaired, alpha: 0.01 }).bounds
    assert.isTrue(wider.low < found.bounds.low && found.bounds.high < wider.high)
    // Amounts that are no scores have no scale that would bound what did not show itself.
    const amounts = compare(outcomes([[5, 5]]), outcomes([[7, 7]]), unpaired)
    assert.deepInclude(amounts, { intervalMethod: "none: the data have no spread", bounds: { low: 2, high: 2 } })
    const paired = compare(outcomes([[5], [5]]), outcomes([[7], [7]]), options)
    assert.deepInclude(paired, { intervalMethod: "none: the data have no spread", bounds: { low: 2, high: 2 } })
    assert.isNull(paired.effects["cohens_dz"])
  })

  it("gives wider bounds of paired cases for a smaller alpha", () => {
    const [before, after] = [outcomes(repeat(20, [0])), outcomes([...repeat(9, [1]), ...repeat(11, [0])])]
    const [five, one] = [0.05, 0.01].map((alpha) => compare(before, after, { ...options, alpha }).bounds)
    assert.isTrue(one!.low < five!.low && five!.high < one!.high)
  })

  it("does not take a few episodes that agree for certainty either", () => {
    const unpaired = { ...options, unpaired: true }
    // C(4, 2) = 6 ways to divide, and two of them set the zeros against the ones.
    const few = compare(outcomes(repeat(2, [0])), outcomes(repeat(2, [1])), unpaired)
    assert.strictEqual(few.test, "permutation, exact")
    assert.closeTo(few.pValue, 2 / 6, 1e-12)
    assert.isBelow(few.bounds.low, 0)
    assert.strictEqual(few.bounds.high, 1)
    // 1 / C(7, 2): the other way round the sizes do not fit.
    const other = outcomes(repeat(5, [1])).map((one) => ({ ...one, caseId: `other-${one.caseId}` }))
    assert.closeTo(compare(outcomes(repeat(2, [0])), other, options).pValue, 1 / 21, 1e-12)
    const many = compare(outcomes(repeat(100, [0.1])), outcomes(repeat(100, [0.3])), unpaired)
    assert.isBelow(many.pValue, 1e-50)
    assert.isTrue(0 < many.bounds.low && many.bounds.low < 0.2 && 0.2 < many.bounds.high && many.bounds.high < 0.3)
    const alike = compare(outcomes(repeat(3, [0.1])), outcomes(repeat(3, [0.1])), unpaired)
    assert.strictEqual(alike.pValue, 1)
    assert.isTrue(alike.bounds.low < 0 && 0 < alike.bounds.high)
    assert.closeTo(compare(outcomes([[0]]), outcomes([[1]]), unpaired).pValue, 1, 1e-12)
  })

  it("says what the data could have shown", () => {
    const alternating = (value: number) => outcomes(Array.from({ length: 60 }, (_, n) => [n % 3 === 0 ? value : 0]))
    const found = compare(alternating(0), alternating(1), options)
    assert.isAbove(found.powerAtMeanDelta!, 0.95)
    assert.isTrue(found.smallestDetectableDelta! > 0 && found.smallestDetectableDelta! < 0.4)
    assert.isNull(compare(outcomes([[0]]), outcomes([[0.5]]), options).smallestDetectableDelta)
    // Losses that wins outweigh still blur what is seen.
    const mixed = compare(
      outcomes([...repeat(12, [0]), ...repeat(6, [1]), ...repeat(2, [1])]),
      outcomes([...repeat(12, [1]), ...repeat(6, [0]), ...repeat(2, [1])]),
      options
    )
    assert.strictEqual(
      mixed.powerAtMeanDelta,
      mcNemarPower({ pairs: 20, discordant: 0.9, difference: 0.3 }, { alpha: 0.05 })
    )
    const graded = compare(outcomes(repeat(3, [0])), outcomes([[0.1], [0.2], [0.6]]), options)
    const spread = { difference: 0.3, standardError: Math.sqrt(0.07 / 3), df: 2 }
    assert.closeTo(graded.powerAtMeanDelta!, tPower(spread, { alpha: 0.05 }), 1e-9)
  })
})
