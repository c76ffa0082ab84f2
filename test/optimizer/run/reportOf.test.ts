import { assert, describe, it } from "@effect/vitest"
import { scoresOf } from "../../../src/optimizer/run/reportOf.js"
import type { ScoredExample } from "../../../src/store/SearchReader.js"

const scored = (candidate: number, example: string, score: number, feedback: string | null = null): ScoredExample => ({
  candidate,
  example,
  input: "{}",
  score,
  feedback
})

describe("scoresOf", () => {
  it("takes the mean of an example's samples, as the search does that bought them to break a tie", () => {
    const found = scoresOf(
      [
        scored(2, "one", 1),
        scored(2, "two", 0.5, "half of it"),
        scored(1, "one", 0, "another candidate"),
        scored(2, "one", 0, "a miss"),
        scored(2, "one", 0.5, "half")
      ],
      2
    )
    assert.deepStrictEqual([...found], [
      ["one", scored(2, "one", 0.5, "a miss")],
      ["two", scored(2, "two", 0.5, "half of it")]
    ])
  })
})
