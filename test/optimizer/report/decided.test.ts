import { assert, describe, it } from "@effect/vitest"
import * as FastCheck from "effect/FastCheck"
import { type DatedEvent, decided } from "../../../src/optimizer/report/decided.js"
import { lineageText } from "../../../src/optimizer/report/lineageText.js"
import type { SearchEvent, Texts } from "../../../src/optimizer/Search.js"

const texts = (prompt: string): Texts => ({ system_prompt: prompt })
const change = { component: "system_prompt", kind: "rewrite", edits: [], hypotheses: [] } as const
const proposed = (name: string, ...parents: ReadonlyArray<string>): SearchEvent => ({
  type: "proposed",
  candidate: texts(name),
  parents: parents.map(texts),
  change,
  path: "p"
})
const accepted = (name: string, mean: number): SearchEvent => ({
  type: "accepted",
  candidate: texts(name),
  mean,
  n: 10
})
const rejected = (name: string | null, reason: "screen" | "seen" | "parse" | "beam"): SearchEvent => ({
  type: "rejected",
  candidate: name === null ? null : texts(name),
  reason,
  detail: ""
})
const incumbent = (name: string, mean: number): SearchEvent => ({
  type: "incumbent",
  candidate: texts(name),
  mean,
  n: 10,
  low: mean - 0.1,
  high: mean + 0.1
})
/** Each event ten rollouts after the one before. */
const dated = (events: ReadonlyArray<SearchEvent>): ReadonlyArray<DatedEvent> =>
  events.map((event, index) => ({ event, rollouts: 10 * index }))

describe("decided", () => {
  const events = dated([
    { type: "iteration", n: 0 },
    incumbent("seed", 0.5),
    proposed("a", "seed"),
    rejected("a", "screen"),
    proposed("b", "seed"),
    accepted("b", 0.7),
    incumbent("b", 0.7),
    rejected(null, "parse"),
    proposed("b", "a"),
    rejected("b", "seen"),
    proposed("c", "b", "a")
  ])

  it("says of each text once what became of it", () => {
    const { candidates, incumbents } = decided(texts("seed"), events, null)
    assert.deepStrictEqual(
      candidates.map(({ examples, mean, n, parents, reason, rollouts, state }) =>
        [n, parents, state, reason, mean, examples, rollouts] as const
      ),
      [
        [0, [], "accepted", null, 0.5, 10, 0],
        [1, [0], "rejected", "screen", null, 0, 30],
        [2, [0], "accepted", null, 0.7, 10, 50],
        [3, [2, 1], "undecided", null, null, 0, 100]
      ]
    )
    assert.deepStrictEqual(incumbents.map(({ mean, rollouts }) => [rollouts, mean]), [[10, 0.5], [60, 0.7]])
    assert.deepStrictEqual(candidates[2]?.interval, { low: 0.7 - 0.1, high: 0.7 + 0.1 })
  })

  it("leaves a candidate accepted that falls out of the beam in a later round", () => {
    const list = dated([incumbent("seed", 0.5), proposed("a", "seed"), accepted("a", 0.6), rejected("a", "beam")])
    const [, candidate] = decided(texts("seed"), list, null).candidates
    assert.deepInclude(candidate, { state: "accepted", reason: null, mean: 0.6, examples: 10 })
  })

  it("names the winner once the search has ended, and none when it is the seed", () => {
    const states = (winner: string) =>
      decided(texts("seed"), events, texts(winner)).candidates.map(({ state }) => state)
    assert.deepStrictEqual(states("b"), ["accepted", "rejected", "winner", "undecided"])
    assert.deepStrictEqual(states("seed"), ["accepted", "rejected", "accepted", "undecided"])
  })

  const name = FastCheck.constantFrom("seed", "a", "b", "c", "d")
  const anyEvent = FastCheck.oneof(
    FastCheck.tuple(name, FastCheck.array(name, { maxLength: 3 })).map(([one, parents]) => proposed(one, ...parents)),
    name.map((one) => accepted(one, 0.5)),
    FastCheck.tuple(FastCheck.option(name), FastCheck.constantFrom("screen", "seen", "beam")).map(([one, reason]) =>
      rejected(one, reason as "screen")
    ),
    name.map((one) => incumbent(one, 0.5))
  )
  it.prop("makes a tree of whatever happened", [FastCheck.array(anyEvent)], ([list]) => {
    const { candidates } = decided(texts("seed"), dated(list), texts("a"))
    assert.deepStrictEqual(candidates.map(({ n }) => n), candidates.map((_, index) => index))
    assert.strictEqual(new Set(candidates.map(({ texts: { system_prompt } }) => system_prompt)).size, candidates.length)
    for (const { n, parents } of candidates) for (const parent of parents) assert.isBelow(parent, n)
    assert.lengthOf(lineageText({ candidates }).split("\n"), candidates.length)
  })
})
