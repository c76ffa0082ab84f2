import { assert, describe, it } from "@effect/vitest"
import { ablated } from "../../src/optimizer/Ablation.js"
import type { Edit } from "../../src/optimizer/Edits.js"
import { mergedPatches } from "../../src/optimizer/PatchMerge.js"
import { Pool } from "../../src/optimizer/Pool.js"
import { defaultRgepaSettings, rgepa, type RgepaSettings } from "../../src/optimizer/Rgepa.js"
import { keyOf, type SearchEvent, type Task } from "../../src/optimizer/Search.js"
import { ruleLine, ruleWorld } from "../support/ruleWorld.js"
import { examplesOf, search, type Searched, type SearchOptions, taskOf, type World } from "../support/search.js"

const eventsOf = <T extends SearchEvent["type"]>(searched: Searched, type: T) =>
  searched.events.filter((event): event is Extract<SearchEvent, { type: T }> => event.type === type)

const evaluationsOf = ({ works }: Searched) =>
  works.flatMap(({ asks }) => asks).filter((ask) => ask._tag === "Evaluate")

/** Every proposal adds the next line. */
const adding = (lines: ReadonlyArray<string>, score: (text: string, id: string) => number): World => {
  let next = 0
  return {
    rollout: ({ p }, { id }) => ({ score: score(p!, id), feedback: "miss" }),
    reflect: () => ({
      text: JSON.stringify({ edits: [{ op: "add", after: "", text: lines[Math.min(next++, lines.length - 1)] }] })
    })
  }
}

const quiet: Partial<RgepaSettings> = { pPrune: 0 }
const taskP = (given: Partial<Task> = {}) =>
  taskOf({ seed: { p: "seed" }, selection: examplesOf("selection", 30), ...given })
const run = (world: World, settings: Partial<RgepaSettings> = {}, options: SearchOptions = { rolloutsMax: 300 }) =>
  search(rgepa(taskP(), { ...quiet, ...settings }), world, options)

const isTrain = (id: string) => id.startsWith("train")
const at = (id: string) => Number(id.split("-")[1])

/** Nothing helps, and each reflection adds a line. It keeps what it was asked. */
const hopeless = (prompts: Array<string>): World => ({
  rollout: () => ({ score: 0, feedback: "miss" }),
  reflect: (prompt, path) => {
    prompts.push(prompt)
    return { text: JSON.stringify({ edits: [{ op: "add", text: path }] }) }
  }
})

describe("rgepa", () => {
  it("screens a child on the failures of its parent alone, then races it in blocks", () => {
    const passes = (id: string) => at(id) % 2 === 0
    const searched = run(adding(["good"], (text, id) => text.includes("good") || passes(id) ? 1 : 0), {})
    assert.strictEqual(searched.found!.reason, "perfect")
    const [seed, before, screen, ...blocks] = evaluationsOf(searched)
    assert.deepStrictEqual([seed!.split, before!.split, screen!.split], ["selection", "train", "train"])
    assert.lengthOf(before!.examples, 6)
    assert.deepStrictEqual(screen!.examples, before!.examples.filter(({ id }) => !passes(id)))
    assert.deepStrictEqual(blocks.map(({ examples }) => examples.length), [10, 10, 10])
    assert.lengthOf(new Set(blocks.flatMap(({ examples }) => examples.map(({ id }) => id))), 30)
  })

  it("gives up a race that is lost after one block, and tells the reflector", () => {
    const prompts: Array<string> = []
    const world = adding(
      ["bad", "worse", "worst"],
      (text, id) => isTrain(id) ? (text === "seed" ? 0 : 1) : text === "seed" ? 0.9 : 0
    )
    const searched = run(
      {
        ...world,
        reflect: (prompt, path, ask) => {
          prompts.push(prompt)
          return world.reflect(prompt, path, ask)
        }
      },
      {},
      { rolloutsMax: 80 }
    )
    const [first, second] = eventsOf(searched, "rejected")
    assert.deepStrictEqual([first!.reason, first!.detail], ["race", "-9 of 10 selection examples"])
    assert.strictEqual(second!.reason, "race")
    assert.notInclude(prompts[0], "<rejected>")
    assert.include(prompts[1], "- add at the end: bad (-9 of 10)")
    assert.include(prompts[2], "- add at the end: worse (-9 of 10)")
    assert.lengthOf(eventsOf(searched, "accepted"), 1)
  })

  it("forgets what was rejected where told to", () => {
    const prompts: Array<string> = []
    run(hopeless(prompts), { rejectedMemory: false, hypotheses: false })
    assert.isAbove(prompts.length, 3)
    for (const prompt of prompts) {
      assert.notInclude(prompt, "<rejected>")
      assert.notInclude(prompt, "hypotheses")
    }
  })

  it("tells the reflector also what mended nothing", () => {
    const prompts: Array<string> = []
    run(hopeless(prompts))
    assert.include(prompts[1], "- add at the end: iter/1/reflect/0 (+0 of 6)")
  })

  it("shows the reflector the failures first, then what went well, and no run twice", () => {
    const prompts: Array<string> = []
    const task = taskP({ train: examplesOf("train", 11) })
    const searched = search(rgepa(task, { ...quiet, minibatch: 6 }), {
      rollout: (_, { id }) => ({ score: at(id) % 2 === 0 ? 1 : 0 }),
      reflect: (prompt) => {
        prompts.push(prompt)
        return { failure: "enough" }
      }
    }, { rolloutsMax: 60, reflectionsMax: 10 })
    for (const prompt of prompts) {
      const scores = [...prompt.matchAll(/## Score\n([01]) of 1/g)].map(([, score]) => score)
      assert.includeMembers(scores, ["0", "1"])
      assert.deepStrictEqual(scores, scores.toSorted())
    }
    assert.isAbove(prompts.length, 3)
    for (const { examples } of evaluationsOf(searched)) assert.strictEqual(new Set(examples).size, examples.length)
  })

  it("lets no candidate into the pool that was not raced to the end", () => {
    for (let seed = 0; seed < 6; seed += 1) {
      const searched = search(rgepa(taskP({ seed: { p: "seed" } })), ruleWorld({ seed }), { rolloutsMax: 800 })
      const full = new Map<string, Set<string>>()
      for (const { examples, split, texts } of evaluationsOf(searched)) {
        if (split !== "selection") continue
        const key = keyOf(texts)
        full.set(key, new Set([...full.get(key) ?? [], ...examples.map(({ id }) => id)]))
      }
      for (const { candidate, n } of eventsOf(searched, "accepted")) {
        assert.strictEqual(n, 30)
        assert.strictEqual(full.get(keyOf(candidate))!.size, 30)
      }
    }
  })

  it("goes on with the proposal that mends most of several", () => {
    const lines = ["none", "all", "half", "all too"]
    const world = adding(
      lines,
      (text, id) => text.includes("all") ? 1 : text.includes("half") && at(id) % 2 === 0 ? 1 : 0
    )
    const searched = run(world, { proposals: 4 })
    assert.deepStrictEqual(searched.found, { best: { p: "seed\nall" }, mean: 1, reason: "perfect" })
    assert.sameMembers(eventsOf(searched, "rejected").map(({ reason }) => reason), ["screen", "beam", "beam"])
    assert.strictEqual(searched.spent.reflections, 4)
  })

  it("leaves out lines that the seed does not have, and only of a text that has some to spare", () => {
    const task = taskP({ seed: { p: "seed" } })
    assert.isNull(ablated(task, { p: "seed\na\nb" }, "x"))
    const left = new Set(Array.from({ length: 60 }, (_, n) => ablated(task, { p: "seed\na\n\nb" }, `${n}`)!.texts.p))
    assert.deepStrictEqual(left, new Set(["seed\n\nb", "seed\na\n"]))
    assert.isNull(ablated(taskP({ seed: { p: "1\n2\n3\n4" } }), { p: "1\n2\n3\n4" }, "x"))
  })

  it("leaves out neither the only line with a placeholder nor the last line", () => {
    const task = taskP({ seed: { p: "Use {{resources.form}}.\n1\n2\n3" } })
    const left = (p: string) =>
      new Set(Array.from({ length: 40 }, (_, n) => ablated(task, { p }, `${n}`)?.texts.p ?? null))
    assert.deepStrictEqual(
      left("Always use {{resources.form}}.\na\nb"),
      new Set([
        "Always use {{resources.form}}.\nb",
        "Always use {{resources.form}}.\na"
      ])
    )
    assert.deepStrictEqual(
      left("{{resources.form}}\n{{resources.form}}!"),
      new Set([
        "{{resources.form}}",
        "{{resources.form}}!"
      ])
    )
    assert.deepStrictEqual(left("\nall new\n"), new Set([null]))
  })

  it("drops a line that does harm", () => {
    // The first line that helps in training brings a burden that only shows when a candidate is without it.
    const world = adding(
      ["help\nburden\nx\ny"],
      (text) => (text.includes("help") ? 0.8 : 0.2) - (text.includes("burden") ? 0.3 : 0)
    )
    const searched = run(world, { pPrune: 1 }, { rolloutsMax: 2_000 })
    assert.notInclude(searched.found!.best.p, "burden")
    assert.include(searched.found!.best.p, "help")
    assert.isTrue(eventsOf(searched, "proposed").some(({ change }) => change.kind === "ablation"))
  })

  it("begins with one look at all failures of the seed where told to, in groups if they are many", () => {
    const world = ruleWorld({ insight: 1 })
    const first = (train: number) => {
      const task = taskP({ train: examplesOf("train", train) })
      return search(rgepa(task, { ...quiet, corpusPass: true }), world, { rolloutsMax: 400 })
    }
    const paths = (searched: Searched) =>
      searched.works.flatMap(({ reflections }) => reflections.map(({ path }) => path)).filter((path) =>
        path.startsWith("corpus")
      )
    assert.deepStrictEqual(paths(first(8)), ["corpus/p"])
    const many = paths(first(60))
    assert.strictEqual(many.at(-1), "corpus/p/reduce")
    assert.isAbove(many.length, 3)
    assert.strictEqual(eventsOf(first(8), "proposed")[0]!.change.kind, "corpus")
  })

  it("asks for nothing better where nothing failed in training", () => {
    const prompts: Array<string> = []
    const searched = run({ ...hopeless(prompts), rollout: (_, { id }) => ({ score: isTrain(id) ? 1 : 0 }) }, {}, {
      rolloutsMax: 60
    })
    assert.isAbove(eventsOf(searched, "iteration").length, 1)
    assert.deepStrictEqual(prompts, [])
  })

  it("begins so many iterations from the same pool as the lag says, and is the same search each time", () => {
    const lagging = (lag: number) => search(rgepa(taskP(), { lag }), ruleWorld(), { rolloutsMax: 600 })
    const searched = lagging(2)
    const together = searched.works.map(({ asks }) =>
      asks.filter((ask) => ask._tag === "Note" && ask.event.type === "iteration").length
    ).filter((count) => count > 0)
    assert.deepStrictEqual(new Set(together), new Set([3]))
    const numbers = eventsOf(searched, "iteration").map(({ n }) => n)
    assert.deepStrictEqual(numbers, numbers.map((_, index) => index + 1))
    assert.deepStrictEqual(lagging(2).events, searched.events)
    // Parents of a window come from the pool before it.
    const known = new Set<string>()
    let pool = new Set<string>()
    for (const { asks } of searched.works) {
      const events = asks.flatMap((ask) => ask._tag === "Note" ? [ask.event] : [])
      if (events.some(({ type }) => type === "iteration")) pool = new Set(known)
      for (const event of events) {
        if (event.type === "accepted") known.add(keyOf(event.candidate))
        if (event.type === "proposed") { for (const parent of event.parents) assert.isTrue(pool.has(keyOf(parent))) }
      }
    }
    assert.notDeepEqual(lagging(0).events, searched.events)
  })

  it("brings edits of two lines of descent together where told to", () => {
    const world = ruleWorld({ insight: 0.9, rules: 10, skill: 0.8 })
    let merges = 0
    for (let chanceSeed = 0; chanceSeed < 8; chanceSeed += 1) {
      const task = taskOf({ seed: { p: "seed" }, chanceSeed })
      const searched = search(rgepa(task, { ...quiet, pBest: 0, patchMerge: true }), world, { rolloutsMax: 1_500 })
      for (const { candidate, change, parents } of eventsOf(searched, "proposed")) {
        if (change.kind !== "merge") continue
        merges += 1
        assert.lengthOf(parents, 2)
        for (const line of parents[0]!.p!.split("\n")) assert.include(candidate.p!.split("\n"), line)
        assert.isNotEmpty(change.edits)
      }
    }
    assert.isAbove(merges, 0)
  })

  it("brings no edits along that lose a placeholder or leave nothing", () => {
    const task = taskP({ seed: { p: "Use {{resources.form}}." }, selection: examplesOf("selection", 2) })
    const pool = new Pool(task)
    pool.join({ texts: task.seed, parents: [] }, [0, 0], [])
    pool.join({ texts: { p: "Always use {{resources.form}}." }, parents: [0] }, [1, 0], [])
    pool.join({ texts: { p: "Use {{resources.form}}." }, parents: [0] }, [0, 1], [])
    const merged = (edits: ReadonlyArray<Edit>) =>
      mergedPatches(task, pool, pool.candidates, { patchesOf: () => [{ component: "p", edits }] } as never, "x")
    assert.isNull(merged([{ op: "replace", find: " {{resources.form}}", text: " the form" }]))
    assert.isNull(merged([{ op: "delete", find: "Always use {{resources.form}}." }]))
    assert.strictEqual(
      merged([{ op: "add", after: "", text: "Be brief." }])!.texts["p"],
      "Always use {{resources.form}}.\nBe brief."
    )
  })

  it("buys more samples of the two best when they are close, once each", () => {
    const world = ruleWorld({ insight: 0.8 })
    const settings = { ...quiet, tieBreakSamples: 2 }
    const searched = search(rgepa(taskP(), settings), world, { rolloutsMax: 1_500 })
    const bought = evaluationsOf(searched).filter(({ sample }) => sample > 0)
    assert.isNotEmpty(bought)
    const keys = bought.map(({ sample, texts }) => `${keyOf(texts)}/${sample}`)
    assert.strictEqual(new Set(keys).size, keys.length)
    for (const { examples, split } of bought) assert.deepStrictEqual([split, examples.length], ["selection", 30])
    assert.strictEqual(defaultRgepaSettings.tieBreakSamples, 0)
    assert.strictEqual(eventsOf(searched, "incumbent").at(-1)!.mean, searched.found!.mean)
  })

  /** Two texts whose best differ: `A` is better, the seed is the best at every other example. */
  const twoBest = (): World => {
    let seeds = 0
    return {
      rollout: ({ p }, { id }) => {
        if (isTrain(id)) return { score: p === "seed" || p!.includes("x") ? 0 : 0.5, feedback: "miss" }
        if (p!.includes("A")) return { score: 0.9 }
        return { score: at(id) % 2 === 0 ? 1 : p!.includes("C") ? 0.3 : 0.2 }
      },
      reflect: (prompt) => {
        const text = />\nseed\n<\/current>/.test(prompt) ? (seeds++ === 0 ? "A" : "C") : "x"
        return { text: JSON.stringify({ edits: [{ op: "add", after: "", text }] }) }
      }
    }
  }

  it("lets a child race against its parent, who need not be the best", () => {
    const searched = run(twoBest(), { pBest: 0 }, { rolloutsMax: 300 })
    assert.deepStrictEqual(eventsOf(searched, "accepted").slice(0, 3).map(({ candidate }) => candidate.p), [
      "seed",
      "seed\nA",
      "seed\nC"
    ])
    assert.deepStrictEqual(searched.found!.best, { p: "seed\nA" })
  })

  it("changes the best alone where told to", () => {
    const searched = run(twoBest(), { pBest: 1 }, { rolloutsMax: 300 })
    const [, ...later] = eventsOf(searched, "proposed")
    assert.isNotEmpty(later)
    for (const { parents } of later) assert.deepStrictEqual(parents, [{ p: "seed\nA" }])
  })

  it("lets the edits of two lines race against the better of the two", () => {
    const scores: Readonly<Record<string, readonly [often: number, seldom: number]>> = {
      "seed": [0, 0],
      "seed\nA": [0.8, 0.2],
      "seed\nB": [0.1, 0.6],
      "seed\nA\nB": [0.45, 0.45]
    }
    const lines = ["A", "B", "x"]
    const world = adding(lines, (text, id) => {
      const [often, seldom] = scores[text] ?? [0, 0]
      return isTrain(id) || at(id) % 3 > 0 ? often : seldom
    })
    const searched = run(world, { lag: 1, patchMerge: true }, { rolloutsMax: 400 })
    const merged = eventsOf(searched, "proposed").filter(({ change }) => change.kind === "merge")
    assert.deepStrictEqual(merged.map(({ candidate }) => candidate.p), ["seed\nA\nB"])
    assert.include(
      eventsOf(searched, "rejected").find(({ candidate }) => candidate?.p === "seed\nA\nB"),
      { reason: "race" }
    )
  })

  it("lets a text name an answer that several examples expect, and no other", () => {
    const label = "balance_not_updated_after_cash_deposit"
    const expecting = (several: boolean) =>
      examplesOf("train", 6).map((example, n) => ({ ...example, expected: several || n === 0 ? label : null }))
    for (const corpusPass of [false, true]) {
      for (const several of [false, true]) {
        const world = adding([`Else answer ${label}.`], () => 0)
        const task = taskP({ train: expecting(several) })
        const { events } = search(rgepa(task, { ...quiet, corpusPass }), world, { reflectionsMax: 1 })
        const [first] = events.filter(({ type }) => type === "proposed" || type === "rejected")
        assert.strictEqual(first!.type, several ? "proposed" : "rejected")
      }
    }
  })

  it("lets no text grow beyond what the seed allows, however long its parent is", () => {
    let asked = 0
    const searched = search(rgepa(taskP({ seed: { p: "s".repeat(10_000) } }), quiet), {
      rollout: ({ p }) => ({ score: p!.length / 30_000, feedback: "miss" }),
      reflect: () => ({ text: `\`\`\`\n${"x".repeat(asked++ === 0 ? 19_000 : 21_000)}\n\`\`\`` })
    }, { rolloutsMax: 120 })
    assert.deepStrictEqual(eventsOf(searched, "accepted").map(({ candidate }) => candidate.p!.length), [10_000, 19_000])
    assert.match(eventsOf(searched, "rejected")[0]!.detail, /^it has 21000 characters, more than 20000$/)
  })

  it("looks at no failure of a seed that is at the target", () => {
    const searched = run(adding(["x"], () => 0.5), { corpusPass: true, target: 0.5 })
    assert.deepStrictEqual([searched.found!.reason, searched.spent], ["target", { rollouts: 30, reflections: 0 }])
  })

  it("finds hidden rules", () => {
    const world = ruleWorld({ rules: 4, insight: 0.7 })
    const { found } = search(rgepa(taskP()), world, { rolloutsMax: 1_500 })
    assert.isAbove(world.truth(found!.best), 0.75)
    assert.include(found!.best.p, ruleLine(0))
  })
})
