import { assert, describe, it } from "@effect/vitest"
import { rgepa, type RgepaSettings } from "../../src/optimizer/Rgepa.js"
import type { Reflection, Task } from "../../src/optimizer/Search.js"
import { examplesOf, search, taskOf } from "../support/search.js"

const adding = (...lines: ReadonlyArray<string>): Reflection => ({
  text: JSON.stringify({ edits: lines.map((text) => ({ op: "add", after: "", text })) })
})

/** What a look at the whole corpus asks, by its paths, and the texts that it proposes. Every rollout fails. */
const looking = (
  task: Partial<Task>,
  answer: (path: string) => Reflection,
  settings: Partial<RgepaSettings> = {}
) => {
  const asked = new Map<string, string>()
  const { events } = search(
    rgepa(taskOf({ seed: { p: "seed" }, ...task }), { pPrune: 0, corpusPass: true, ...settings }),
    {
      rollout: () => ({ score: 0, feedback: "miss" }),
      reflect: (prompt, path) => {
        if (!path.startsWith("corpus")) return { failure: "enough" }
        asked.set(path, prompt)
        return answer(path)
      }
    },
    { rolloutsMax: 500, reflectionsMax: 30 }
  )
  const proposed = events.flatMap((event) =>
    event.type === "proposed" && event.change.kind === "corpus" ? [event.candidate] : []
  )
  return { asked, paths: [...asked.keys()], proposed }
}
const failures = (n: number) => ({ train: examplesOf("train", n) })
const grouped = (n: number) => [...Array.from({ length: n }, (_, at) => `corpus/p/${at}`), "corpus/p/reduce"]

describe("a look at the whole corpus", () => {
  it("asks once about twelve failures, in groups of six about more, and about no more than sixty", () => {
    assert.deepStrictEqual(looking(failures(12), () => adding("x")).paths, ["corpus/p"])
    assert.deepStrictEqual(looking(failures(13), () => adding("x")).paths, grouped(3))
    const { asked, paths } = looking(failures(70), () => adding("x"))
    assert.deepStrictEqual(paths, grouped(10))
    for (const path of paths.slice(0, -1)) assert.lengthOf(asked.get(path)!.match(/# Run \d+/g)!, 6)
  })

  it("makes one set of edits of those of all groups, each told once, and takes up to twelve", () => {
    const lines = Array.from({ length: 13 }, (_, at) => `line ${at}`)
    const { asked, proposed } = looking(
      failures(13),
      (path) => path.endsWith("reduce") ? adding(...lines) : adding("the same")
    )
    assert.lengthOf(asked.get("corpus/p/reduce")!.split("add at the end: the same"), 2)
    assert.deepStrictEqual(proposed, [{ p: ["seed", ...lines.slice(0, 12)].join("\n") }])
  })

  it("asks for no such set where no group had an edit, or only one that copies", () => {
    assert.deepStrictEqual(looking(failures(13), () => ({ failure: "busy" })).paths, grouped(3).slice(0, 3))
    const secret = "the purple elephant walks at midnight"
    const copying = looking({ train: examplesOf("train", 13, () => secret) }, () => adding(secret))
    assert.deepStrictEqual(copying.paths, grouped(3).slice(0, 3))
  })

  it("changes the components of which edits came, without the others", () => {
    const { proposed } = looking(
      { seed: { a: "A", b: "B" }, ...failures(6) },
      (path) => path.endsWith("/a") ? { failure: "busy" } : adding("x")
    )
    assert.deepStrictEqual(proposed, [{ a: "A", b: "B\nx" }])
  })

  it("asks for causes only where they are wanted", () => {
    for (const hypotheses of [false, true]) {
      const { asked } = looking(failures(6), () => adding("x"), { hypotheses })
      assert.strictEqual(asked.get("corpus/p")!.includes("hypotheses"), hypotheses)
    }
  })
})
