import { assert, describe, it } from "@effect/vitest"
import * as fc from "effect/FastCheck"
import { Chance } from "../../src/optimizer/Chance.js"
import { drawParent, instanceFronts, type Selector, undominated } from "../../src/optimizer/ParetoFront.js"
import type { Candidate } from "../../src/optimizer/Pool.js"

const mean = (row: ReadonlyArray<number>) => row.reduce((total, score) => total + score, 0) / row.length

const matrix = fc.tuple(fc.integer({ min: 1, max: 9 }), fc.integer({ min: 1, max: 9 })).chain((
  [candidates, examples]
) =>
  fc.array(
    fc.array(fc.integer({ min: 0, max: 3 }).map((thirds) => thirds / 3), { minLength: examples, maxLength: examples }),
    {
      minLength: candidates,
      maxLength: candidates
    }
  )
)

/** As the definition says it, word by word. */
const bruteForce = (scores: ReadonlyArray<ReadonlyArray<number>>): ReadonlyArray<ReadonlySet<number>> => {
  const fronts = scores[0]!.map((_, example) => {
    const highest = Math.max(...scores.map((row) => row[example]!))
    return new Set([...scores.keys()].filter((candidate) => scores[candidate]![example] === highest))
  })
  const appearance = [...new Set(fronts.flatMap((front) => [...front]))]
  const removed = new Set<number>()
  for (let found = true; found;) {
    found = false
    const ascending = appearance.filter((candidate) => !removed.has(candidate))
      .toSorted((a, b) => mean(scores[a]!) - mean(scores[b]!))
    for (const candidate of ascending) {
      const dominated = fronts.filter((front) => front.has(candidate)).every((front) =>
        [...front].some((other) => other !== candidate && !removed.has(other))
      )
      if (!dominated) continue
      removed.add(candidate)
      found = true
      break
    }
  }
  return fronts.map((front) => new Set([...front].filter((candidate) => !removed.has(candidate))))
}

const candidatesOf = (scores: ReadonlyArray<ReadonlyArray<number>>): ReadonlyArray<Candidate> =>
  scores.map((row, index) => ({
    index,
    texts: { p: `${index}` },
    parents: [],
    scores: row,
    mean: mean(row),
    tokens: 0
  }))

const drawn = (selector: Selector, scores: ReadonlyArray<ReadonlyArray<number>>, path: string): number => {
  const candidates = candidatesOf(scores)
  const best = candidates.reduce((a, b) => b.mean > a.mean ? b : a)
  return drawParent(selector, candidates, best, new Chance(1).at(path)).index
}

describe("the Pareto front", () => {
  it("is what the definition says, on any scores", () => {
    fc.assert(
      fc.property(matrix, (scores) => {
        const fast = undominated(instanceFronts(scores), scores.map(mean))
        assert.deepStrictEqual(fast.map((front) => new Set(front)), bruteForce(scores))
      }),
      { numRuns: 500 }
    )
  })

  it("keeps a best candidate for every example", () => {
    fc.assert(fc.property(matrix, (scores) => {
      for (const [example, front] of undominated(instanceFronts(scores), scores.map(mean)).entries()) {
        const highest = Math.max(...scores.map((row) => row[example]!))
        assert.isNotEmpty(front)
        for (const candidate of front) assert.strictEqual(scores[candidate]![example], highest)
      }
    }))
  })

  it("draws a parent as often as there are fronts that it remains in", () => {
    // 0 is best at one example, 1 at three; 2 is as good as 1 at two of them and best at none.
    const scores = [[1, 0, 0, 0], [0, 1, 1, 1], [0, 1, 1, 0]]
    const draws = Array.from({ length: 4_000 }, (_, at) => drawn("pareto", scores, `${at}`))
    assert.isFalse(draws.includes(2))
    // Six standard errors.
    assert.closeTo(draws.filter((index) => index === 0).length / 4_000, 0.25, 0.041)
  })

  it("takes the best but for one draw in ten, or the front of the best five", () => {
    const row = (hits: number) => [0, ...Array<number>(hits).fill(1), ...Array<number>(6 - hits).fill(0)]
    const scores = [[1, 0, 0, 0, 0, 0, 0], ...[2, 3, 4, 5, 6].map(row)]
    assert.strictEqual(drawn("current_best", scores, "x"), 5)
    const greedy = Array.from({ length: 2_000 }, (_, at) => drawn("epsilon_greedy", scores, `${at}`))
    assert.closeTo(greedy.filter((index) => index !== 5).length / 2_000, 0.1 * 5 / 6, 0.04)
    const top = Array.from({ length: 200 }, (_, at) => drawn("top_k_pareto", scores, `${at}`))
    assert.deepStrictEqual([...new Set(top)], [5])
    assert.isTrue(Array.from({ length: 200 }, (_, at) => drawn("pareto", scores, `${at}`)).includes(0))
  })
})
