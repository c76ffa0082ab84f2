import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import { RunId } from "../../../src/domain/Ids.js"
import { scoresOf, searchReport } from "../../../src/optimizer/run/reportOf.js"
import { type ScoredExample, SearchReader } from "../../../src/store/SearchReader.js"

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

describe("searchReport", () => {
  it.effect("says of a search that has not ended why nothing works on it, and how long it took", () =>
    Effect.gen(function*() {
      const id = RunId.make("run-0001-a1b2c3")
      const reader = SearchReader.of({
        record: () =>
          Effect.succeed({
            run: {
              id,
              config: JSON.stringify({ optimizer: { algorithm: "gepa", seed: 1, max_rollouts: 10 } }),
              calls: 0,
              tokens: 0,
              createdAtMs: 0,
              lastEndedAtMs: 21_000
            },
            steps: [{ n: 0, rollouts: 4, reflections: 0, atMs: 1_000 }],
            candidates: [],
            events: [],
            result: null,
            usage: [],
            failedReflections: { n: 0, last: null },
            promotion: null
          }),
        scored: () => Effect.succeed([]),
        events: () => Effect.succeed({ items: [], next: null })
      })
      const ends = [
        ["running", null, null],
        ["paused", null, "paused"],
        ["paused", "signal", "signal"],
        ["stopped", "signal", "signal"],
        ["stopped", null, "stopped"],
        ["crashed", null, "crashed"],
        ["cancelled", "cancelled", null]
      ] as const
      for (const [stands, stopReason, stopped] of ends) {
        const report = yield* searchReport({ id, stands, stopReason, configPath: "config.json" }, "store.sqlite")
          .pipe(Effect.provideService(SearchReader, reader))
        assert.strictEqual(report!.stopped, stopped, `${stands}, ${stopReason}`)
        // The one step took as long as its last rollout.
        assert.strictEqual(report!.budget.seconds.spent, 20)
      }
    }))
})
