import { assert, describe, it } from "@effect/vitest"
import { cut, pad, safeJson, visible, visibleLines, widthOf, wrapped } from "../../src/domain/TerminalText.js"

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
    ["abcde fg hi", 8, ["abcde fg", "hi"]],
    ["  indented text", 10, ["  indented", "text"]],
    ["漢字漢字漢字", 5, ["漢字", "漢字", "漢字"]],
    ["e\u0301e\u0301e\u0301", 2, ["e\u0301e\u0301", "e\u0301"]]
  ])("wraps %j to %i columns", (line, columns, lines) => {
    assert.deepStrictEqual(wrapped(line, columns), lines)
    assert.isTrue(lines.every((one) => widthOf(one) <= columns))
  })

  it("wraps to lines of one character where a line has not even the columns for that", () => {
    assert.deepStrictEqual(wrapped("漢字", 1), ["漢", "字"])
  })

  it("shows by its number what would move the cursor, turn the direction, break the line or hide, and keeps joiners", () => {
    assert.strictEqual(
      visible("a\u001B[2J\u202E\u2028\u2029\uD800 \u{E0041}b\t\n"),
      "a\\u{1b}[2J\\u{202e}\\u{2028}\\u{2029}\\u{d800} \\u{e0041}b\\u{9}\\u{a}"
    )
    assert.strictEqual(visible("👩\u200D💻 می\u200Cخواهم"), "👩\u200D💻 می\u200Cخواهم")
    assert.deepStrictEqual(visibleLines("a\tb\r\nc\rd\n"), ["a  b", "c\\u{d}d", ""])
  })

  it("writes JSON that is as harmless and still the same", () => {
    const value = { "a\u202E": ["\u001B", "\u{E0041}\u2028", "\u009B"], b: 1 }
    for (const indent of [undefined, 2]) {
      const text = safeJson(value, indent)
      assert.match(text, /^[\n -~]+$/)
      assert.deepStrictEqual(JSON.parse(text), value)
    }
    assert.strictEqual(safeJson(value, 2).split("\n").length, 8)
    assert.strictEqual(safeJson(undefined), "null")
  })

  it.each<readonly [text: string, columns: number, shown: string]>([
    ["plain", 5, "plain"],
    ["plainer", 5, "plai…"],
    ["漢字漢", 5, "漢字…"],
    ["漢字漢", 4, "漢…"],
    ["漢字", 1, "…"],
    ["한글이", 5, "한글…"],
    ["e\u0301e\u0301", 2, "e\u0301e\u0301"],
    ["👍👍👍", 5, "👍👍…"],
    ["👍👍👍", 4, "👍…"]
  ])("cuts %j to %i columns", (text, columns, shown) => {
    assert.strictEqual(cut(text, columns), shown)
    assert.isAtMost(widthOf(shown), columns)
  })

  it("pads by columns, on either side, and leaves what is wider", () => {
    assert.strictEqual(pad("漢", 4, "left"), "漢  ")
    assert.strictEqual(pad("e\u0301", 3, "right"), "  e\u0301")
    assert.strictEqual(pad("wider", 3, "right"), "wider")
  })
})
