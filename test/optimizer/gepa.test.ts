import { assert, describe, it } from "@effect/vitest"
import * as fc from "effect/FastCheck"
import { gepa, type GepaSettings } from "../../src/optimizer/Gepa.js"
import { keyOf, type SearchEvent, type Texts } from "../../src/optimizer/Search.js"
import { ruleLine, ruleWorld } from "../support/ruleWorld.js"
import { examplesOf, search, type Searched, taskOf, type World } from "../support/search.js"

const limits = { rolloutsMax: 1_500, reflectionsMax: 200 }

const evaluations = ({ works }: Searched, split: string) =>
  works.flatMap(({ asks }) => asks).filter((ask) => ask._tag === "Evaluate").filter((ask) => ask.split === split)

const eventsOf = <T extends SearchEvent["type"]>(searched: Searched, type: T) =>
  searched.events.filter((event): event is Extract<SearchEvent, { type: T }> => event.type === type)

/** Scores by text alone; every reflection is answered with the next text. */
const scripted = (texts: ReadonlyArray<string>, score: (text: string, id: string) => number): World => {
  let next = 0
  return {
    rollout: (candidate, { id }) => ({ score: score(candidate.p!, id) }),
    reflect: () => ({ text: `\`\`\`\n${texts[Math.min(next++, texts.length - 1)]}\n\`\`\`` })
  }
}

const run = (world: World, settings: Partial<GepaSettings> = {}, rolloutsMax = 200) =>
  search(gepa(taskOf({ seed: { p: "seed" } }), settings), world, { rolloutsMax })

/** What joined the pool of a single text after the seed, in its order. */
const acceptedOf = (searched: Searched) => eventsOf(searched, "accepted").slice(1).map(({ candidate }) => candidate.p!)

const numberOf = (id: string) => Number(id.split("-")[1])

describe("gepa", () => {
  it("pays for the seed's validation, then 2 x 3 a proposal and a validation for each one that passes", () => {
    const better = run(scripted(["a"], (text) => text === "a" ? 0.5 : 0), { target: 0.5 })
    assert.strictEqual(better.spent.rollouts, 20 + 3 + 3 + 20)
    assert.deepStrictEqual(better.found, { best: { p: "a" }, mean: 0.5, reason: "target" })
    assert.deepStrictEqual(better.events.map(({ type }) => type), [
      "accepted",
      "incumbent",
      "iteration",
      "proposed",
      "accepted",
      "incumbent"
    ])
  })

  it("takes a child that is no better only where told to", () => {
    const equal = () => scripted(["a", "b", "c", "d"], () => 0.5)
    assert.lengthOf(eventsOf(run(equal()), "accepted"), 1)
    assert.isAbove(eventsOf(run(equal(), { acceptance: ">=" }), "accepted").length, 2)
    for (const event of eventsOf(run(equal()), "rejected")) assert.include(["screen", "seen"], event.reason)
  })

  it("makes no proposal from a perfect minibatch, unless told to", () => {
    const world = scripted(["a"], (_, id) => id.startsWith("train") ? 1 : 0.5)
    assert.strictEqual(run(world).spent.reflections, 0)
    assert.isAbove(run(world, { skipPerfectScore: false }).spent.reflections, 0)
  })

  it("keeps the earliest of equally good candidates", () => {
    const { found } = run(
      scripted(["a", "b", "c"], (text, id) => id.startsWith("train") ? text.charCodeAt(0) / 200 : 0.25)
    )
    assert.deepStrictEqual(found!.best, { p: "seed" })
  })

  it("evaluates only the best children of an iteration in full, or so many of them", () => {
    const grades = () =>
      scripted(
        Array.from({ length: 40 }, (_, at) => `t${at}`),
        (text) => text === "seed" ? 0 : (Number(text.slice(1)) % 4 + 1) / 10
      )
    const accepted = (selection: GepaSettings["selection"]) =>
      eventsOf(run(grades(), { selection, proposals: { parents: 1, perParent: 4 } }, 20 + 24 + 80), "accepted").length -
      1
    assert.isAtLeast(accepted("all"), 4)
    const best = run(grades(), { selection: "best", proposals: { parents: 1, perParent: 4 } }, 20 + 24 + 20)
    assert.deepStrictEqual(acceptedOf(best), ["t3"])
    assert.lengthOf(eventsOf(best, "rejected").filter(({ reason }) => reason === "beam"), 3)
    const two = run(grades(), { selection: { topK: 2 }, proposals: { parents: 2, perParent: 2 } }, 20 + 24 + 40)
    assert.deepStrictEqual(acceptedOf(two), ["t2", "t3"])
  })

  it("evaluates equal children of an iteration once, whichever of them gained enough", () => {
    const proposals = { parents: 1, perParent: 2 }
    const world = () =>
      scripted(["a"], (text, id) => text === "a" ? (id.startsWith("train") ? numberOf(id) / 50 : 0.5) : 0)
    const firsts = Array.from({ length: 8 }, (_, chanceSeed) => {
      const task = taskOf({ seed: { p: "seed" }, chanceSeed })
      for (const [selection, reason] of [["all", "seen"], ["best", "beam"]] as const) {
        const searched = search(gepa(task, { selection, proposals }), world(), { rolloutsMax: 20 + 12 + 20 })
        assert.deepStrictEqual(acceptedOf(searched), ["a"])
        assert.strictEqual(eventsOf(searched, "rejected")[0]!.reason, reason)
      }
      const gains = evaluations(search(gepa(task, { proposals }), world(), { rolloutsMax: 32 }), "train")
        .slice(0, 2).map(({ examples }) => examples.reduce((sum, { id }) => sum + numberOf(id), 0))
      return gains[0]! > gains[1]!
    })
    assert.includeMembers(firsts, [true, false])
  })

  it("takes in the same texts again where it draws as Python does, as its reference takes them, and else never", () => {
    const accepted = (rng: GepaSettings["rng"]) =>
      acceptedOf(run(scripted(["a", "a"], () => 0.5), { rng, acceptance: ">=" }))
    assert.isAbove(accepted("python").length, 1)
    assert.deepStrictEqual(accepted("path"), ["a"])
  })

  it("compares a child with its parent where the parent was not broken off, and asks for none where it always was", () => {
    const isBroken = (id: string) => id.startsWith("train") && numberOf(id) % 2 === 1
    const world: World = {
      ...scripted(["a"], () => 0),
      rollout: ({ p }, { id }) =>
        p === "seed" && isBroken(id) ? { score: 0, failed: true, isBroken: true } : { score: isBroken(id) ? 1 : 0 }
    }
    const searched = run(world)
    const children = evaluations(searched, "train").filter(({ texts }) => texts.p === "a")
    assert.isNotEmpty(children)
    for (const { examples } of children) assert.isFalse(examples.some(({ id }) => isBroken(id)))
    assert.deepStrictEqual(acceptedOf(searched), [])
    const away: World = { ...world, rollout: (_, { id }) => ({ score: 0, isBroken: id.startsWith("train") }) }
    assert.strictEqual(run(away, { skipPerfectScore: false }).spent.reflections, 0)
  })

  it("goes on with the component after the one that its parent was given", () => {
    let n = 0
    const world: World = {
      rollout: (texts) => ({ score: (texts.a!.length + texts.b!.length) / 100 }),
      reflect: () => ({ text: `\`\`\`\n${"x".repeat(5 + ++n)}\n\`\`\`` })
    }
    const searched = search(gepa(taskOf({ seed: { a: "a", b: "b" } }), { selector: "current_best" }), world, {
      rolloutsMax: 20 + 5 * 26
    })
    assert.deepStrictEqual(eventsOf(searched, "proposed").map(({ change }) => change.component), [
      "a",
      "b",
      "a",
      "b",
      "a"
    ])
  })

  it("shows each attempt of an iteration a minibatch and a parent of its own", () => {
    const half = (text: string, id: string) =>
      id.startsWith("train") ? (text === "seed" ? 0 : 0.5) : numberOf(id) % 2 === (text === "seed" ? 0 : 1) ? 1 : 0
    const searched = run(scripted(["a"], half), { proposals: { parents: 4, perParent: 2 } }, 400)
    const iterations = searched.works.map(({ asks }) =>
      asks.filter((ask) => ask._tag === "Evaluate" && ask.split === "train" && ask.withTraces)
    ).filter((asks) => asks.length === 8) as ReadonlyArray<ReturnType<typeof evaluations>>
    for (const asks of iterations) {
      assert.lengthOf(new Set(asks.flatMap(({ examples }) => examples.map(({ id }) => id))), 24)
      for (let at = 0; at < 8; at += 2) assert.strictEqual(keyOf(asks[at]!.texts), keyOf(asks[at + 1]!.texts))
    }
    assert.isTrue(iterations.some((asks) => new Set(asks.map(({ texts }) => keyOf(texts))).size === 2))
  })

  it("lets no text grow beyond what the seed allows, however long its parent is", () => {
    const lengths = scripted(["x".repeat(19_000), "x".repeat(21_000)], (text) => text.length / 30_000)
    const task = taskOf({ seed: { p: "s".repeat(10_000) } })
    const searched = search(gepa(task), lengths, { rolloutsMax: 100 })
    assert.deepStrictEqual(acceptedOf(searched).map((text) => text.length), [19_000])
    assert.match(eventsOf(searched, "rejected")[0]!.detail, /^it has 21000 characters, more than 20000$/)
  })

  it("rewrites all components at once where told to", () => {
    const task = taskOf({ seed: { a: "one", b: "two" } })
    const searched = search(gepa(task, { componentSelector: "all" }), ruleWorld({ insight: 1 }), limits)
    const first = eventsOf(searched, "proposed")[0]!
    assert.notStrictEqual(first.candidate.a, "one")
    assert.notStrictEqual(first.candidate.b, "two")
    assert.strictEqual(first.change.component, "a, b")
  })

  it("merges two descendants that changed different components", () => {
    const seed = { a: "A.", b: "B." }
    /** Each component may learn a rule, which half of the examples need, and which spoils the other half on its own. */
    const world: World = {
      rollout: (texts, { id }) => {
        const knows = ["a", "b"].map((name, rule) => texts[name]!.includes(ruleLine(rule)))
        const rule = Number(id.split("-")[1]) % 2
        return { score: knows[rule] === true ? 1 : knows[1 - rule] === true ? 0 : 0.1, feedback: "miss" }
      },
      reflect: (prompt) => {
        const rule = prompt.includes("<current name=\"a\">") ? 0 : 1
        return { text: `\`\`\`\n${ruleLine(rule)}\n\`\`\`` }
      }
    }
    let merged = 0
    for (let chanceSeed = 0; chanceSeed < 12; chanceSeed += 1) {
      const searched = search(gepa(taskOf({ seed, chanceSeed }), { merge: true }), world, limits)
      const merges = eventsOf(searched, "proposed").filter(({ change }) => change.kind === "merge")
      merged += merges.length
      const keys = merges.map(({ candidate }) => keyOf(candidate))
      assert.strictEqual(new Set(keys).size, keys.length)
      for (const { candidate, parents } of merges) {
        assert.lengthOf(parents, 2)
        for (const name of ["a", "b"]) assert.include(parents.map((parent) => parent[name]), candidate[name])
        assert.deepStrictEqual(candidate, { a: ruleLine(0), b: ruleLine(1) })
      }
      assert.strictEqual(searched.found!.reason, "perfect")
    }
    assert.isAbove(merged, 0)
  })

  it("merges at most so often, and tries each on five selection examples first", () => {
    const components = ["a", "b", "c", "d"]
    const seed = Object.fromEntries(components.map((name) => [name, `${name}.`]))
    fc.assert(
      fc.property(fc.nat(50), fc.integer({ min: 0, max: 3 }), (chanceSeed, mergesMax) => {
        const world = ruleWorld({ seed: chanceSeed, insight: 0.9, rules: 12 })
        const searched = search(gepa(taskOf({ seed, chanceSeed }), { merge: true, mergesMax }), world, {
          ...limits,
          rolloutsMax: 1_000
        })
        const merges = new Set(
          eventsOf(searched, "proposed").filter(({ change }) => change.kind === "merge").map(({ candidate }) =>
            keyOf(candidate)
          )
        )
        const accepted = eventsOf(searched, "accepted").filter(({ candidate }) => merges.has(keyOf(candidate)))
        assert.isAtMost(accepted.length, mergesMax)
        // One that failed may be tried again, from another pair of parents.
        const sizes = (texts: Texts) =>
          evaluations(searched, "selection").filter((ask) => keyOf(ask.texts) === keyOf(texts)).map(({ examples }) =>
            examples.length
          )
        const joined = new Set(accepted.map(({ candidate }) => keyOf(candidate)))
        for (const { candidate } of accepted) {
          const [full, ...trials] = sizes(candidate).toReversed()
          assert.strictEqual(full, 20)
          assert.deepStrictEqual([...new Set(trials)], [5])
        }
        for (const { candidate, reason } of eventsOf(searched, "rejected")) {
          if (reason !== "merge" || joined.has(keyOf(candidate!))) continue
          assert.deepStrictEqual([...new Set(sizes(candidate!))], [5])
        }
      }),
      { numRuns: 10 }
    )
  })

  it("draws minibatches of Python's order when told to", () => {
    const task = taskOf({ seed: { p: "seed" }, train: examplesOf("train", 10) })
    const searched = search(gepa(task, { rng: "python" }), scripted(["a"], () => 0.5), {
      rolloutsMax: 26,
      reflectionsMax: 3
    })
    // random.Random(0): a choice among twenty tickets, then a shuffle of ten.
    const [first] = evaluations(searched, "train")
    assert.deepStrictEqual(first!.examples.map(({ id }) => id), ["train-8", "train-9", "train-1"])
  })
})
