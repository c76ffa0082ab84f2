import { assert, describe, it } from "@effect/vitest"
import * as fc from "effect/FastCheck"
import { Chance } from "../../src/optimizer/Chance.js"
import { meanBounds } from "../../src/optimizer/MeanBounds.js"
import { Minibatches } from "../../src/optimizer/Minibatches.js"
import { PythonRandom, pythonSetOrder } from "../../src/optimizer/PythonRandom.js"
import { wilson } from "../../src/statistics/Wilson.js"

describe("minibatches", () => {
  it("bring every example once an epoch, and fill the last one up with others", () => {
    fc.assert(
      fc.property(fc.integer({ min: 1, max: 20 }), fc.integer({ min: 1, max: 7 }), fc.nat(), (count, size, seed) => {
        const items = Array.from({ length: count }, (_, at) => at)
        const batches = new Minibatches(items, size, (epoch, all) => new Chance(seed).shuffled(`${epoch}`, all))
        const perEpoch = Math.ceil(count / size)
        for (let epoch = 0; epoch < 4; epoch += 1) {
          const seen = Array.from({ length: perEpoch }, (_, at) => batches.at(epoch * perEpoch + at))
          for (const batch of seen) assert.lengthOf(batch, size)
          assert.deepStrictEqual([...new Set(seen.flat())].toSorted((a, b) => a - b), items)
          const counts = items.map((item) => seen.flat().filter((other) => other === item).length)
          assert.isAtMost(Math.max(...counts) - Math.min(...counts), 1)
          assert.deepStrictEqual(batches.at(epoch * perEpoch, perEpoch - 1), seen.at(-1))
          assert.deepStrictEqual(batches.at(epoch * perEpoch, perEpoch), seen[0])
        }
      })
    )
  })
})

describe("random numbers of CPython", () => {
  it("are those of random.Random", () => {
    const zero = new PythonRandom(0)
    assert.deepStrictEqual(
      [zero.uniform(), zero.uniform(), zero.uniform()],
      [0.8444218515250481, 0.7579544029403025, 0.420571580830845]
    )
    assert.strictEqual(new PythonRandom(4_294_967_295).uniform(), 0.6353574441341173)
    assert.strictEqual(new PythonRandom(4_294_967_296).uniform(), 0.11299430095636409)
    assert.strictEqual(new PythonRandom(99_999_999_999).uniform(), 0.9663222960108171)
    assert.strictEqual(new PythonRandom(Number.MAX_SAFE_INTEGER).uniform(), 0.09425040007102303)
    const seven = new PythonRandom(7)
    // [random.choice(range(n)) for n in range(1, 12)]
    const choices = Array.from({ length: 11 }, (_, at) => seven.below(at + 1))
    assert.deepStrictEqual(choices, [0, 0, 1, 0, 0, 4, 0, 5, 0, 8, 3])
  })

  it("come with its order of sets", () => {
    const walks: ReadonlyArray<readonly [added: ReadonlyArray<number>, walked: ReadonlyArray<number>]> = [
      [[27, 5, 13], [13, 27, 5]],
      [[48, 19, 23], [48, 19, 23]],
      [[47, 22], [22, 47]],
      [[50, 49, 22, 44, 37], [37, 44, 49, 50, 22]],
      [[8, 0, 55, 58, 13, 49, 57, 10, 52], [0, 8, 10, 13, 49, 52, 55, 57, 58]]
    ]
    for (const [added, walked] of walks) assert.deepStrictEqual(pythonSetOrder(added), walked)
    assert.deepStrictEqual(pythonSetOrder([3, 2, 1, 0]), [0, 1, 2, 3])
  })
})

describe("the interval of a mean", () => {
  it("holds the mean and stays within the scale", () => {
    const score = fc.integer({ min: 0, max: 4 }).map((quarters) => quarters / 4)
    fc.assert(fc.property(fc.array(score, { minLength: 1, maxLength: 30 }), (scores) => {
      const { high, low } = meanBounds(scores)
      const mean = scores.reduce((total, score) => total + score, 0) / scores.length
      assert.isAtMost(low, mean + 1e-12)
      assert.isAtLeast(high, mean - 1e-12)
      assert.isTrue(low >= 0 && high <= 1 && low < high)
    }))
  })

  it("is Wilson's for hits and misses, and Student's for partial credit", () => {
    assert.deepStrictEqual(meanBounds([1, 1, 0, 1]), wilson(3, 4))
    assert.deepStrictEqual(meanBounds([1, 1, 1]), wilson(3, 3))
    // 2.776445 is the quantile for four degrees of freedom.
    const half = 2.776445 * Math.sqrt(0.025 / 5)
    const { high, low } = meanBounds([0.3, 0.4, 0.5, 0.6, 0.7])
    assert.closeTo(low, 0.5 - half, 1e-6)
    assert.closeTo(high, 0.5 + half, 1e-6)
  })

  it("leaves to equal scores the room that the scale has on either side, rounding aside", () => {
    const hidden = 1 - 0.025 ** (1 / 10)
    for (const scores of [Array.from({ length: 10 }, () => 0.3), [0.1 * 3, ...Array.from({ length: 9 }, () => 0.3)]]) {
      const { high, low } = meanBounds(scores)
      assert.closeTo(low, 0.3 * (1 - hidden), 1e-9)
      assert.closeTo(high, 0.3 + 0.7 * hidden, 1e-9)
    }
  })

  it("gets narrower with more examples", () => {
    const width = (scores: ReadonlyArray<number>) => meanBounds(scores).high - meanBounds(scores).low
    for (const scores of [[0, 1], [0.25, 0.75], [0.5, 0.5]]) {
      assert.isBelow(width(Array.from({ length: 20 }, () => scores).flat()), width([...scores, ...scores]))
    }
  })
})
