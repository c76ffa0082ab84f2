import { assert, describe, it } from "@effect/vitest"
import * as fc from "effect/FastCheck"
import { readFileSync } from "node:fs"
import { join } from "node:path"
import { episodesOf, readSuite } from "../../src/evidence/Suite.js"

const one = {
  case_id: "sum-1",
  seed: 1,
  prompt: "What is 2 + 2?",
  expected_outcome: "4",
  scoring_rubric: { exact_match: 0.75, numeric: 0.25 }
}
const two = { ...one, case_id: "sum-2", seed: 2 }
const suite = { suite_id: "sums-v1", family: "arithmetic", description: "Sums.", cases: [one, two] }
const withCase = (changes: object) => ({ ...suite, cases: [one, { ...two, ...changes }] })

const suiteOf = (value: unknown) => {
  const read = readSuite(value)
  if (read._tag === "invalid") return assert.fail(JSON.stringify(read.problems))
  return read.suite
}
const fieldsOf = (value: unknown) => {
  const read = readSuite(value)
  return read._tag === "invalid" ? read.problems.map(({ field }) => field) : []
}

const breaks: ReadonlyArray<readonly [field: string, value: unknown]> = [
  ["suite_id", { ...suite, suite_id: "sums" }],
  ["suite_id", { ...suite, suite_id: undefined }],
  ["family", { ...suite, family: " " }],
  ["description", { ...suite, description: 1 }],
  ["cases", { ...suite, cases: [] }],
  ["cases", { ...suite, cases: {} }],
  ["cases[1].case_id", withCase({ case_id: "sum-1" })],
  ["cases[1].case_id", withCase({ case_id: "" })],
  ["cases[1].seed", withCase({ seed: 0 })],
  ["cases[1].seed", withCase({ seed: -3 })],
  ["cases[1].seed", withCase({ seed: 1.5 })],
  ["cases[1].prompt", withCase({ prompt: null })],
  ["cases[1].expected_outcome", withCase({ expected_outcome: 4 })],
  ["cases[1].scoring_rubric", withCase({ scoring_rubric: undefined })],
  ["cases[1].scoring_rubric", withCase({ scoring_rubric: {} })],
  ["cases[1].scoring_rubric", withCase({ scoring_rubric: { exact_match: 0.75, numeric: 0.24 } })],
  ["cases[1].scoring_rubric.numeric", withCase({ scoring_rubric: { exact_match: 1.5, numeric: -0.5 } })],
  ["cases[1].scoring_rubric.numeric", withCase({ scoring_rubric: { exact_match: 1, numeric: "0" } })]
]

describe("a suite", () => {
  it.each(breaks)("is refused by the field %s", (field, value) => {
    assert.include(fieldsOf(value), field)
  })

  it("has a name and a version, and weights that may be written by hand", () => {
    const { name, version } = suiteOf(withCase({ scoring_rubric: { a: 0.1, b: 0.2, c: 0.7 } }))
    assert.deepStrictEqual([name, version], ["sums", "v1"])
  })

  it("of the examples is one", () => {
    const file = join(import.meta.dirname, "../../examples/suites/grade-school-math-v1.json")
    assert.strictEqual(suiteOf(JSON.parse(readFileSync(file, "utf8"))).cases.length, 60)
  })

  it("asks its cases in turn, under seeds that are the same for every checkpoint and differ for all else", () => {
    const read = suiteOf(suite)
    fc.assert(fc.property(fc.integer({ min: 1, max: 60 }), fc.integer({ min: 0, max: 2 ** 48 }), (count, seed) => {
      const episodes = episodesOf(read, count, seed)
      assert.deepStrictEqual(episodes, episodesOf(read, count, seed))
      assert.deepStrictEqual(
        episodes.map(({ case: { caseId }, repetition }) => [caseId, repetition]),
        Array.from({ length: count }, (_, n) => [n % 2 === 0 ? "sum-1" : "sum-2", Math.floor(n / 2)])
      )
      assert.isTrue(episodes.every((episode) => Number.isInteger(episode.seed) && episode.seed > 0))
      assert.isTrue(episodes.every((episode) => episode.seed < 2 ** 31))
      // Fewer episodes are the beginning of more.
      assert.deepStrictEqual(episodes.slice(0, -1), episodesOf(read, count - 1, seed))
      const other = episodesOf(read, count, seed + 1)
      assert.isTrue(episodes.every((episode, n) => episode.seed !== other[n]!.seed))
    }))
    assert.strictEqual(new Set(episodesOf(read, 60, 7).map(({ seed }) => seed)).size, 60)
  })
})
