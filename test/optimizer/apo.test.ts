import { assert, describe, it } from "@effect/vitest"
import type { Reflect } from "../../src/optimizer/Search.js"
import { apo, type ApoSettings } from "../../src/optimizer/TextualGradient.js"
import { examplesOf, search, taskOf } from "../support/search.js"

/** Every edit is a text that is called by its place; how good texts are says `score`. */
const run = (settings: Partial<ApoSettings>, score: (text: string) => number) => {
  const asked: Array<Reflect> = []
  const task = taskOf({ seed: { p: "seed" }, train: examplesOf("train", 16), selection: examplesOf("selection", 8) })
  const { events, found, works } = search(apo(task, settings), {
    rollout: ({ p }) => ({ score: score(p!), feedback: "miss" }),
    reflect: (_, path, ask) => {
      asked.push(ask)
      return { text: path.endsWith("/edit") ? `\`\`\`\n${path}\n\`\`\`` : "Be clearer." }
    }
  }, { rolloutsMax: 2_000 })
  /** By round, what was evaluated in it. */
  const rounds: Array<Array<ReadonlyArray<string>>> = []
  const [gradients, comparisons] = [rounds, [] as typeof rounds]
  for (const ask of works.flatMap(({ asks }) => asks)) {
    if (ask._tag === "Note" && ask.event.type === "iteration") {
      for (const  of of[gradients, comparisons]) of.push([])
    }
    if (ask._tag !== "Evaluate") continue
    const ids = ask.examples.map(({ id }) => id)
    if (ask.split === "train") gradients.at(-1)!.push(ids)
    else if (ids.length < 8) comparisons.at(-1)!.push(ids)
  }
  return { asked, comparisons, events, found: found!, gradients, iterations: gradients.length }
}

describe("apo", () => {
  it("ends after two rounds in a row whose leader was no better, and begins to count anew at one that was", () => {
    assert.strictEqual(run({ beamRounds: 6 }, (text) => text === "seed" ? 0.5 : 0).iterations, 2)
    const late = run(
      { beamRounds: 6, beamWidth: 2, branchFactor: 1 },
      (text) => text === "seed" ? 0.5 : text === "r/2/0/0/edit" ? 0.7 : 0.1
    )
    assert.strictEqual(late.iterations, 4)
    assert.deepStrictEqual(late.found, { best: { p: "r/2/0/0/edit" }, mean: 0.7, reason: "finished" })
  })

  it("shows each critique of a round a batch of its own, and compares all of a round on the next batch", () => {
    const { asked, comparisons, gradients } = run(
      { beamRounds: 2, beamWidth: 2, branchFactor: 2, gradientBatch: 4, valBatch: 4 },
      () => 0.5
    )
    for (const round of gradients) {
      assert.lengthOf(round, 4)
      assert.lengthOf(new Set(round.flat()), 16)
    }
    assert.strictEqual(asked.filter(({ path }) => path.endsWith("/critique")).length, 8)
    const [first, second] = comparisons.map((round) => new Set(round.map((ids) => ids.toSorted().join())))
    assert.deepStrictEqual([first!.size, second!.size], [1, 1])
    assert.notDeepEqual(first, second)
  })

  it("asks at the temperature that it was given", () => {
    const { asked } = run({ beamRounds: 1, temperature: 0.3 }, () => 0.5)
    assert.isNotEmpty(asked)
    for (const ask of asked) assert.strictEqual(ask.temperature, 0.3)
  })
})
