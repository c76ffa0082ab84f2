import { assert, describe, it } from "@effect/vitest"
import * as FastCheck from "effect/FastCheck"
import { unifiedDiff } from "../../src/domain/UnifiedDiff.js"

/** What `patch` makes of a text and its hunks. */
const patched = (before: string, hunks: ReadonlyArray<string>): string => {
  const lines = before.split("\n")
  const result: Array<string> = []
  let at = 0
  for (const line of hunks) {
    const head = /^@@ -(\d+),(\d+) \+(\d+),(\d+) @@$/.exec(line)
    if (head !== null) {
      const first = Number(head[1]) - 1
      result.push(...lines.slice(at, first))
      at = first
      assert.strictEqual(result.length, Number(head[3]) - 1)
    } else if (line.startsWith("+")) result.push(line.slice(1))
    else {
      assert.strictEqual(lines[at], line.slice(1))
      if (line.startsWith(" ")) result.push(line.slice(1))
      at += 1
    }
  }
  return [...result, ...lines.slice(at)].join("\n")
}

describe("unifiedDiff", () => {
  it("shows three lines around each change, and joins hunks that touch", () => {
    const before = Array.from({ length: 20 }, (_, n) => `line ${n + 1}`)
    const after = before.with(1, "new").toSpliced(16, 1)
    assert.deepStrictEqual(unifiedDiff(before.join("\n"), after.join("\n")), [
      "@@ -1,5 +1,5 @@",
      " line 1",
      "-line 2",
      "+new",
      " line 3",
      " line 4",
      " line 5",
      "@@ -14,7 +14,6 @@",
      " line 14",
      " line 15",
      " line 16",
      "-line 17",
      " line 18",
      " line 19",
      " line 20"
    ])
    assert.strictEqual(
      unifiedDiff("a\n1\n2\n3\n4\n5\n6\nb", "A\n1\n2\n3\n4\n5\n6\nB").filter((line) => line.startsWith("@@")).length,
      1
    )
    assert.deepStrictEqual(unifiedDiff("same", "same"), [])
  })

  const lines = FastCheck.array(FastCheck.constantFrom("a", "b", "c", "", "+x", "-y", "@@ -1 +1 @@"), { maxLength: 30 })
  it.prop("is what patch needs to make one text of the other", [lines, lines], ([one, other]) => {
    const [before, after] = [one.join("\n"), other.join("\n")]
    assert.strictEqual(patched(before, unifiedDiff(before, after)), after)
  })
})
