import { assert, describe, it } from "@effect/vitest"
import { RunId } from "../../../src/domain/Ids.js"
import type { Work } from "../../../src/optimizer/Conductor.js"
import { SearchLedger, type SearchLedgerOptions } from "../../../src/optimizer/run/SearchLedger.js"
import { type Ask, type SearchEvent, SearchStopped, type Split, type Texts } from "../../../src/optimizer/Search.js"

const seed = { p: "seed" }
const ledgerOf = (given: Partial<SearchLedgerOptions> = {}) =>
  new SearchLedger({
    runId: RunId.make("run-1"),
    resources: { p: "seed", other: "as it is" },
    seed,
    examples: new Map([["one", { prompt: "1" }], ["two", { prompt: "2" }]]),
    optimizer: "rgepa@4",
    attemptsMax: 3,
    ...given
  })

const rolloutOf = (texts: Texts, id: string, split: Split = "selection", sample = 0): Work["rollouts"][number] => ({
  key: `${texts["p"]}/${id}/${sample}`,
  texts,
  split,
  example: { id, input: id, expected: null },
  sample
})
const noteOf = (event: SearchEvent): Ask => ({ _tag: "Note", event })
const reflectOf = (path: string, prompt = "Why?", fenced = false) =>
  ({ _tag: "Reflect", path, prompt, json: false, fenced }) as const
const workOf = (n: number, given: Partial<Work> = {}): Work => ({
  n,
  asks: [],
  rollouts: [],
  reflections: [],
  traces: [],
  rest: { rollouts: 0, reflections: 0 },
  ...given
})

/** Puts a batch down and carries it out. */
const done = (ledger: SearchLedger, work: Work) => {
  const planned = ledger.plan(work, null)
  ledger.follow(planned)
  ledger.settle(planned)
  return planned.row
}

describe("The ledger of a search", () => {
  it("numbers candidates as they are first seen, each once, with where they come from", () => {
    const ledger = ledgerOf()
    const [a, b] = [{ p: "a" }, { p: "b" }]
    const change = { component: "p", kind: "edits", edits: ["add"], hypotheses: [] } as const
    const proposed = (candidate: Texts, parents: ReadonlyArray<Texts>) =>
      noteOf({ type: "proposed", candidate, parents, change, path: "iter/1/reflect/0" })
    const first = done(ledger, workOf(0, { asks: [proposed(a, [seed])], rollouts: [rolloutOf(a, "one")] }))
    assert.deepStrictEqual(first.candidates, [
      { n: 0, texts: "{\"p\":\"seed\"}", parents: [], change: null, path: "seed" },
      { n: 1, texts: "{\"p\":\"a\"}", parents: [0], change: JSON.stringify(change), path: "iter/1/reflect/0" }
    ])
    const second = done(ledger, workOf(1, { asks: [proposed(a, [seed])], rollouts: [rolloutOf(b, "one")] }))
    assert.deepStrictEqual(second.candidates, [
      { n: 2, texts: "{\"p\":\"b\"}", parents: [], change: null, path: "step/1" }
    ])
    assert.deepStrictEqual([seed, a, b].map((texts) => ledger.numberOf(texts)), [0, 1, 2])
    assert.deepInclude(JSON.parse(second.events[0]!), { candidate: 1, parents: [0] })
    const third = done(ledger, workOf(2, { asks: [proposed({ p: "c" }, [b, a])] }))
    assert.deepStrictEqual(third.candidates.map(({ n, parents }) => [n, parents]), [[3, [2, 1]]])
  })

  it("has a version of the resources for each candidate that is run, once", () => {
    const ledger = ledgerOf()
    const a = { p: "a" }
    const first = done(ledger, workOf(0, { rollouts: [rolloutOf(a, "one"), rolloutOf(a, "two")] }))
    assert.deepStrictEqual(first.versions, [{ n: 1, resources: "{\"other\":\"as it is\",\"p\":\"a\"}" }])
    const second = done(ledger, workOf(1, { rollouts: [rolloutOf(a, "one", "gate", 1), rolloutOf(seed, "one")] }))
    assert.deepStrictEqual(second.versions.map(({ n }) => n), [0])
  })

  it("calls a rollout by its candidate, its example and its sample, and trains on no other than training examples", () => {
    const ledger = ledgerOf()
    const rollouts = [
      rolloutOf(seed, "one", "train"),
      rolloutOf(seed, "two", "selection"),
      rolloutOf(seed, "two", "gate", 2)
    ]
    const { rollouts: rows } = done(ledger, workOf(0, { rollouts }))
    assert.deepStrictEqual(rows, [
      { id: "run-1-c0000-one", mode: "train", input: "{\"prompt\":\"1\"}", candidate: 0, example: "one", sample: 0 },
      { id: "run-1-c0000-two", mode: "val", input: "{\"prompt\":\"2\"}", candidate: 0, example: "two", sample: 0 },
      { id: "run-1-c0000-two-s2", mode: "val", input: "{\"prompt\":\"2\"}", candidate: 0, example: "two", sample: 2 }
    ])
    assert.deepStrictEqual(rollouts.map(({ key }) => ledger.idOf(key)), rows.map(({ id }) => id))
  })

  it("goes on with its numbers where a step was carried out, and not where it was refused", () => {
    const ledger = ledgerOf()
    const work = workOf(0, {
      asks: [noteOf({ type: "iteration", n: 1 }), noteOf({ type: "iteration", n: 2 })],
      rollouts: [rolloutOf(seed, "one")],
      reflections: [reflectOf("a"), reflectOf("b")]
    })
    const refused = ledger.plan(work, new SearchStopped("usd", "dear"))
    assert.deepStrictEqual(refused.row.stop, { reason: "usd", detail: "dear" })
    ledger.follow(refused)
    assert.deepStrictEqual(ledger.spent, { steps: 1, rollouts: 0, reflections: 0 })
    const first = done(ledger, { ...work, n: 1 })
    assert.deepStrictEqual([first.eventsFrom, first.reflections.map(({ n }) => n)], [0, [0, 1]])
    const second = done(ledger, { ...work, n: 2, rollouts: [] })
    assert.deepStrictEqual([second.eventsFrom, second.reflections.map(({ n }) => n)], [2, [2, 3]])
    assert.deepStrictEqual(ledger.spent, { steps: 3, rollouts: 1, reflections: 4 })
    assert.deepInclude(second, { author: "rgepa", attemptsMax: 3, stop: null, candidates: [] })
  })

  it("chains its steps: another search, question or step before makes another chain, and nothing else does", () => {
    const chains = (asks: ReadonlyArray<Ask>, before: ReadonlyArray<Ask> = [], optimizer = "rgepa@4") => {
      const ledger = ledgerOf({ optimizer })
      done(ledger, workOf(0, { asks: before }))
      return done(ledger, workOf(1, { asks })).chain
    }
    const evaluate = (texts: Texts, ids: ReadonlyArray<string>, sample = 0): Ask => ({
      _tag: "Evaluate",
      texts,
      split: "train",
      examples: ids.map((id) => ({ id, input: id, expected: null })),
      sample,
      withTraces: false
    })
    const one = chains([reflectOf("a")])
    assert.strictEqual(chains([reflectOf("a", "Why?", true)]), one)
    const others = [
      chains([reflectOf("b")]),
      chains([reflectOf("a", "How?")]),
      chains([reflectOf("a")], [reflectOf("0")]),
      chains([reflectOf("a")], [], "rgepa@5"),
      chains([evaluate(seed, ["one"])]),
      chains([evaluate({ p: "a" }, ["one"])]),
      chains([evaluate(seed, ["two"])]),
      chains([evaluate(seed, ["one"], 1)]),
      chains([noteOf({ type: "iteration", n: 1 })])
    ]
    assert.lengthOf(new Set([one, ...others]), 10)
  })
})
