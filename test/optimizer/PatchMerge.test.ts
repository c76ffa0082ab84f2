import { assert, describe, it } from "@effect/vitest"
import type { Patch } from "../../src/optimizer/Admission.js"
import type { Edit } from "../../src/optimizer/Edits.js"
import { mergedPatches } from "../../src/optimizer/PatchMerge.js"
import { Pool } from "../../src/optimizer/Pool.js"
import { rgepa } from "../../src/optimizer/Rgepa.js"
import { ruleWorld } from "../support/ruleWorld.js"
import { examplesOf, search, taskOf } from "../support/search.js"

interface Member {
  readonly text: string
  readonly parents: ReadonlyArray<number>
  readonly scores: ReadonlyArray<number>
  /** Of its first parent; none where the text was written anew. */
  readonly edits?: ReadonlyArray<Edit>
}

const add = (text: string, after = ""): Edit => ({ op: "add", after, text })

/** What is brought together of a pool that has these members after its seed, the text `seed`, which scores 0 on each of three. */
const mergedOf = (members: ReadonlyArray<Member>, seedScores = [0, 0, 0]) => {
  const task = taskOf({ seed: { p: "seed" }, selection: examplesOf("selection", 3) })
  const pool = new Pool(task)
  pool.join({ texts: task.seed, parents: [] }, seedScores, [])
  for (const { parents, scores, text } of members) pool.join({ texts: { p: text }, parents }, scores, [])
  const patchesOf = ({ index }: { readonly index: number }): ReadonlyArray<Patch> => {
    const edits = members[index - 1]?.edits
    return edits === undefined ? [] : [{ component: "p", edits }]
  }
  return mergedPatches(task, pool, pool.candidates, { patchesOf } as never, "x")
}

describe("patches of two lines of descent", () => {
  const good: Member = { text: "seed\na", parents: [0], scores: [1, 1, 0], edits: [add("a")] }
  const other = (parent: number): ReadonlyArray<Member> => [
    { text: "seed\nb", parents: [0], scores: [0, 0, 0.5], edits: [add("b")] },
    { text: "seed\nb\nc", parents: [parent], scores: [0, 0, 1], edits: [add("c", "b")] }
  ]

  it("are those of the worse one, from the oldest, on the text of the better one, whichever joined first", () => {
    for (const members of [[good, ...other(2)], [...other(1), good]]) {
      const merged = mergedOf(members)!
      assert.strictEqual(merged.texts["p"], "seed\na\nb\nc")
      assert.deepStrictEqual(merged.parents.map(({ texts }) => texts["p"]), ["seed\na", "seed\nb\nc"])
      assert.deepStrictEqual(merged.patches.map(({ edits }) => edits), [[add("b")], [add("c", "b")]])
    }
  })

  it("begin where the two parted, and follow the parent that was edited", () => {
    const merged = mergedOf([
      { text: "seed\n0", parents: [0], scores: [0, 0, 0], edits: [add("0")] },
      { text: "seed\n0\na", parents: [1], scores: [1, 1, 0], edits: [add("a")] },
      { text: "seed\n0\nb", parents: [1], scores: [0, 0, 0.5], edits: [add("b")] },
      { text: "seed\nz", parents: [0], scores: [0, 0, 0.4], edits: [add("z")] },
      { text: "seed\n0\nb\nc", parents: [3, 4], scores: [0, 0, 1], edits: [add("c")] }
    ])
    assert.strictEqual(merged!.texts["p"], "seed\n0\na\nb\nc")
  })

  it("are none where a text on the way was written anew, or where one of the two comes from the other", () => {
    const [first, second] = other(2)
    const { edits: _, ...anew } = first!
    assert.isNull(mergedOf([good, anew, second!]))
    assert.isNull(mergedOf([{ text: "seed\na", parents: [0], scores: [0, 1, 1], edits: [add("a")] }], [1, 0, 0]))
  })

  it("are told as far as they had an effect", () => {
    const vain: Edit = { op: "replace", find: "nowhere", text: "x" }
    const merged = mergedOf([good, { text: "seed\nb", parents: [0], scores: [0, 0, 1], edits: [vain, add("b")] }])!
    assert.deepStrictEqual(merged.patches, [{ component: "p", edits: [add("b")] }])
    assert.deepStrictEqual(merged.change.edits, ["add at the end: b"])
  })
})

describe("a search that brings patches together", () => {
  const settings = { pBest: 0, pPrune: 0, patchMerge: true }

  it("does so once for each candidate that joined, and five times at most", () => {
    let most = 0
    for (let chanceSeed = 0; chanceSeed < 4; chanceSeed += 1) {
      const task = taskOf({ seed: { p: "seed" }, chanceSeed })
      const world = ruleWorld({ insight: 0.9, rules: 10, skill: 0.8 })
      const { events } = search(rgepa(task, settings), world, { rolloutsMax: 3_000 })
      let joined = 0
      let tried = 0
      for (const [n, event] of events.entries()) {
        if (event.type === "accepted") joined += 1
        if (event.type !== "proposed" || event.change.kind !== "merge") continue
        assert.isAbove(joined, 0)
        joined = 0
        const next = events[n + 1]
        if (next?.type !== "rejected" || next.reason !== "seen") tried += 1
      }
      assert.isAtMost(tried, 5)
      most = Math.max(most, tried)
    }
    assert.strictEqual(most, 5)
  })

  it("brings no edits along of a text that was written anew", () => {
    const scores: Readonly<Record<string, readonly [often: number, seldom: number]>> = {
      "seed\nA": [0.8, 0.2],
      "B": [0.1, 0.6],
      "B\nb": [0.15, 0.7]
    }
    let seeds = 0
    const task = taskOf({ seed: { p: "seed" }, selection: examplesOf("selection", 30) })
    const searched = search(
      rgepa(task, { ...settings, lag: 1 }),
      {
        rollout: ({ p }, { id }) => {
          const [often, seldom] = scores[p!] ?? [0, 0]
          return {
            score: id.startsWith("train") || Number(id.split("-")[1]) % 3 > 0 ? often : seldom,
            feedback: "miss"
          }
        },
        reflect: (prompt) => {
          const text = /<current name="p">\n([^]*?)\n<\/current>/.exec(prompt)![1]
          if (text === "seed" && seeds++ > 0) return { text: "```\nB\n```" }
          const line = text === "seed" ? "A" : text === "B" ? "b" : "x"
          return { text: JSON.stringify({ edits: [{ op: "add", after: "", text: line }] }) }
        }
      },
      { rolloutsMax: 600 }
    )
    assert.include(searched.events.flatMap((event) => event.type === "accepted" ? [event.candidate["p"]] : []), "B\nb")
    assert.deepStrictEqual(
      searched.events.filter((event) => event.type === "proposed" && event.change.kind === "merge"),
      []
    )
  })

  it("leaves out of them what a line of descent was better without, which is told as a deletion from the best", () => {
    const scoreOf = (text: string, isEven: boolean) => {
      const [hasA, hasB, isHarmed] = ["A", "B", "harm"].map((line) => text.split("\n").includes(line))
      if (text.includes("x") || (isHarmed && !hasA)) return 0
      if (hasB) return isEven ? 1 : hasA ? 0.9 : 0.75
      return hasA ? (isHarmed ? 0.7 : 0.8) : isEven ? 0.9 : 0.2
    }
    const merged = new Set<string>()
    const deleted = new Set<string>()
    for (let chanceSeed = 0; chanceSeed < 12; chanceSeed += 1) {
      let seeds = 0
      const task = taskOf({ seed: { p: "seed" }, chanceSeed, selection: examplesOf("selection", 30) })
      const { events } = search(rgepa(task, { ...settings, pPrune: 1 }), {
        rollout: ({ p }, { id }) => ({
          score: id.startsWith("train") ? (p === "seed" ? 0 : 0.5) : scoreOf(p!, Number(id.split("-")[1]) % 2 === 0),
          feedback: "miss"
        }),
        reflect: (prompt) => {
          const text = !prompt.includes(">\nseed\n</current>") ? "x" : seeds++ === 0 ? "A\n\n\nharm" : "B"
          return { text: JSON.stringify({ edits: [{ op: "add", after: "", text }] }) }
        }
      }, { rolloutsMax: 800 })
      let best = "seed"
      for (const event of events) {
        if (event.type === "incumbent") best = event.candidate["p"]!
        if (event.type !== "proposed") continue
        if (event.change.kind === "ablation") {
          assert.deepStrictEqual(event.parents, [{ p: best }])
          for (const edit of event.change.edits) deleted.add(edit)
        } else if (event.change.kind === "merge" && event.parents[1]!["p"] === "seed\nA\n\n") {
          merged.add(event.candidate["p"]!.trimEnd())
        }
      }
    }
    assert.deepStrictEqual([...merged], ["seed\nB\nA"])
    assert.deepStrictEqual(deleted, new Set(["delete \"A\"", "delete \"harm\"", "delete \"B\""]))
  })
})
