import { assert, describe, it } from "@effect/vitest"
import { widthOf, wrapped } from "../../src/domain/TerminalText.js"

describe("TerminalText", () => {
  it("wraps a line of megabytes in one go over it, and loses nothing", () => {
    const line = "x".repeat(2_000_000)
    const begunAt = performance.now()
    const lines = wrapped(line, 78)
    assert.isBelow(performance.now() - begunAt, 4_000)
    assert.isTrue(lines.every(({ length }) => length <= 78))
    assert.isTrue(lines.join("") === line)
  })

  it.each<readonly [line: string, columns: number, lines: ReadonlyArray<string>]>([
    ["", 10, [""]],
    ["short", 10, ["short"]],
    ["one two three", 8, ["one two", "three"]],
    // A space that would leave the line more than half empty is no place to break it.
    ["a bcdefghijklmnop", 8, ["a bcdefg", "hijklmno", "p"]],
    ["abcdefgh ij", 8, ["abcdefgh", "ij"]],
    ["  indented text", 10, ["  indented", "text"]],
    ["漢字漢字漢字", 5, ["漢字", "漢字", "漢字"]],
    ["e\u0301e\u0301e\u0301", 2, ["e\u0301e\u0301", "e\u0301"]]
  ])("wraps %j to %i columns", (line, columns, lines) => {
    assert.deepStrictEqual(wrapped(line, columns), lines)
    assert.isTrue(lines.every((one) => widthOf(one) <= columns))
  })
})
