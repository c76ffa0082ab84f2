import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import { RunId } from "../../../src/domain/Ids.js"
import { scoresOf, searchReport, storedStanding } from "../../../src/optimizer/run/reportOf.js"
import { type ScoredExample, SearchReader, type SearchRecord } from "../../../src/store/SearchReader.js"

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

const id = RunId.make("run-0001-a1b2c3")

/** A store with this one search. */
const readerOf = (record: Partial<SearchRecord>) =>
  SearchReader.of({
    record: () =>
      Effect.succeed({
        run: {
          id,
          config: JSON.stringify({ optimizer: { algorithm: "gepa", seed: 1, max_rollouts: 10 } }),
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
        promotion: null,
        ...record
      }),
    scored: () => Effect.succeed([]),
    events: () => Effect.succeed({ items: [], next: null })
  })

describe("searchReport", () => {
  it.effect("says of a search that has not ended why nothing works on it, and how long it took", () =>
    Effect.gen(function*() {
      const reader = readerOf({})
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
  it.effect("says of a candidate that won against what is no longer the latest that it stays a proposal", () =>
    Effect.gen(function*() {
      const result = {
        reason: "budget",
        best: 3,
        bestVersion: 4,
        promotedVersion: null,
        overtakenBy: 7,
        gateLeftOut: { seen: 0, wornOut: 0 },
        spent: { rollouts: 4, reflections: 0, tokens: 0, usd: 0 },
        gate: { decision: "promote", reason: "better", n: 10, plan: {}, evidence: {}, test: null },
        noGate: null
      }
      const gateOf = (promotion: SearchRecord["promotion"]) =>
        searchReport({ id, stands: "completed", stopReason: null, configPath: "config.json" }, "store.sqlite").pipe(
          Effect.provideService(SearchReader, readerOf({ result: JSON.stringify(result), promotion })),
          Effect.map((report) => [report!.gate!.decision, report!.gate!.sentence])
        )
      assert.deepStrictEqual(yield* gateOf(null), [
        "overtaken",
        "better; but version 7 became the latest while the gate was open: candidate 3 stays a proposal until " +
        `tau promote ${id} --force --store store.sqlite`
      ])
      const forced = yield* gateOf({ version: 4, decision: "forced", principal: "ada", reason: null })
      assert.deepStrictEqual(forced, ["forced", "better; ada made version 4 the latest by force"])
    }))
})

describe("storedStanding", () => {
  it.effect("tells of a search whose run was killed after its end that it has ended, not that its gate is open", () =>
    Effect.gen(function*() {
      const opened = {
        candidates: [{ n: 0, texts: "{}" }, { n: 1, texts: "{\"a\":\"b\"}" }],
        events: [{ step: 0, data: JSON.stringify({ type: "gate_opened", candidate: 1, pairs: 20 }) }]
      } as unknown as Partial<SearchRecord>
      const standing = (record: Partial<SearchRecord>) =>
        storedStanding(id).pipe(
          Effect.provideService(SearchReader, readerOf(record)),
          Effect.map(({ gate, phase, tokens }) => [phase, gate?.pairs, tokens])
        )
      assert.deepStrictEqual(yield* standing({}), ["search", undefined, 0])
      assert.deepStrictEqual(yield* standing(opened), ["gate", 20, 0])
      const result = JSON.stringify({ spent: { rollouts: 4, reflections: 0, tokens: 60, usd: 0 } })
      assert.deepStrictEqual(yield* standing({ ...opened, result }), ["ended", 20, 60])
    }))
})
