import { describe, expect, it } from "@effect/vitest"
import * as FastCheck from "effect/FastCheck"
import { diff } from "../../src/domain/Diff.js"

const texts = FastCheck.array(FastCheck.constantFrom("a", "b", "c", "d"), { maxLength: 40 })

const kept = (edits: ReturnType<typeof diff>, without: "added" | "removed") =>
  edits.filter(({ op }) => op !== without).map(({ text }) => text)

/** Length of the longest common subsequence, by the textbook's table. */
const commonLength = (a: ReadonlyArray<string>, b: ReadonlyArray<string>): number => {
  let row = Array.from({ length: b.length + 1 }, () => 0)
  for (const x of a) {
    const next = [0]
    for (const [j, y] of b.entries()) next.push(x === y ? row[j]! + 1 : Math.max(next[j]!, row[j + 1]!))
    row = next
  }
  return row.at(-1)!
}

describe("a diff", () => {
  it.prop("applied to one text gives the other, and undone the first", [texts, texts], ([before, after]) => {
    const edits = diff(before, after)
    expect(kept(edits, "added")).toEqual(before)
    expect(kept(edits, "removed")).toEqual(after)
  })

  it.prop("keeps as much as can be kept", [texts, texts], ([before, after]) => {
    expect(diff(before, after).filter(({ op }) => op === "same").length).toBe(commonLength(before, after))
  })

  it.prop(
    "tells all that is gone between two common texts before what is new there",
    [texts, texts],
    ([before, after]) => {
      expect(diff(before, after).map(({ op }) => op).join(" ")).not.toContain("added removed")
    }
  )

  it("finds what two long texts have in common between many differences", () => {
    const lines = (word: string) => Array.from({ length: 1_800 }, (_, n) => n % 2 === 0 ? `${n}` : `${word} ${n}`)
    expect(diff(lines("old"), lines("new")).filter(({ op }) => op === "same").length).toBe(900)
  })

  it("looks for no more than 2,000 differences", () => {
    const changed = (word: string, count: number) =>
      Array.from({ length: 2 * count }, (_, n) => n % 2 === 0 ? `${word} ${n}` : `${n}`)
    const common = (count: number) =>
      diff(changed("old", count), changed("new", count)).filter(({ op }) => op === "same").length
    expect(common(1_000)).toBe(1_000)
    expect(common(1_001)).toBe(1)
  })

  it("tells removals before additions", () => {
    expect(diff(["a", "old", "z"], ["a", "new", "z"]).map(({ op, text }) => `${op} ${text}`)).toEqual([
      "same a",
      "removed old",
      "added new",
      "same z"
    ])
  })

  it("replaces what has little in common as a whole, and takes no long time over it", () => {
    const lines = (word: string) => ["first", ...Array.from({ length: 20_000 }, (_, n) => `${word} ${n}`), "last"]
    const edits = diff(lines("old"), lines("new"))
    expect(kept(edits, "added")).toEqual(lines("old"))
    expect(kept(edits, "removed")).toEqual(lines("new"))
    expect(edits.filter(({ op }) => op === "same").length).toBe(2)
  })
})
