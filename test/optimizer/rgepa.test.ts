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
    run({
      rollout: () => ({ score: 0, feedback: "miss" }),
      reflect: (prompt, path) => {
        prompts.push(prompt)
        return { text: JSON.stringify({ edits: [{ op: "add", text: path }] }) }
      }
    }, { rejectedMemory: false, hypotheses: false })
    assert.isAbove(prompts.length, 3)
    for (const prompt of prompts) {
      assert.notInclude(prompt, "<rejected>")
      assert.notInclude(prompt, "hypotheses")
    }
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
    const lines = ["none", "half", "all", "some"]
    const world = adding(
      lines,
      (text, id) => text.includes("all") ? 1 : text.includes("half") && at(id) % 2 === 0 ? 1 : 0
    )
    const searched = run(world, { proposals: 4 })
    assert.deepStrictEqual(searched.found, { best: { p: "seed\nall" }, mean: 1, reason: "perfect" })
    assert.sameMembers(eventsOf(searched, "rejected").map(({ reason }) => reason), ["screen", "screen", "beam"])
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

  it("begins so many iterations from the same pool as the lag says, and is the same search each time", () => {
    const lagging = (lag: number) => search(rgepa(taskP(), { lag }), ruleWorld(), { rolloutsMax: 600 })
    const searched = lagging(2)
    const together = searched.works.map(({ asks }) =>
      asks.filter((ask) => ask._tag === "Note" && ask.event.type === "iteration").length
    ).filter((count) => count > 0)
    assert.deepStrictEqual(new Set(together), new Set([3]))
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

  it("finds hidden rules", () => {
    const world = ruleWorld({ rules: 4, insight: 0.7 })
    const { found } = search(rgepa(taskP()), world, { rolloutsMax: 1_500 })
    assert.isAbove(world.truth(found!.best), 0.75)
    assert.include(found!.best.p, ruleLine(0))
  })
})
