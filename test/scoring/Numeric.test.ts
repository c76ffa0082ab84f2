import { assert, describe, it } from "@effect/vitest"
import * as Either from "effect/Either"
import * as FastCheck from "effect/FastCheck"
import { lastNumber, numeric, type NumericOptions } from "../../src/scoring/Numeric.js"
import { cpuMs } from "../support/cpu.js"

const judged = (output: string, reference: unknown, more: Partial<NumericOptions> = {}) =>
  Either.getOrThrow(numeric(output, reference, { tolerance: 0, thousandsSeparator: ",", ...more }))

describe("numeric", () => {
  it.each([
    ["$1,234.50", 1234.5],
    ["The answer is -3.", -3],
    ["so \u22123 it is", -3],
    ["3.0e5", 300_000],
    ["1e\u22123", 0.001],
    ["1/2", 0.5],
    ["-$5", -5],
    ["$-5", -5],
    ["+.5", 0.5],
    ["50%", 50],
    ["42.", 42],
    ["5 - 3 = 2", 2],
    ["5-3", 3],
    ["(5)-3", 3],
    ["GPT-4", 4],
    ["7 is H2O", 7],
    ["答案是42。", 42],
    ["1,234,567.89 EUR", 1_234_567.89],
    ["1, 2, 3", 3],
    ["1,2345", 2345],
    ["on 1/2/2024", 2024],
    ["2024-01-05", 5],
    ["1/0, or 3", 3],
    ["1 in 1/1,000", 0.001],
    ["3/1,000,000.", 0.000003],
    ["1/2,500, or so", 0.0004],
    ["1/2, 3", 3],
    ["1/2,", 0.5],
    ["1/1,0000", 0],
    ["1/2.5", 2.5],
    ["1/1,000.5", 1000.5],
    ["#### 18", 18],
    ["1e999", undefined],
    ["none", undefined],
    ["", undefined]
  ])("reads the last number of %j as %j", (text, expected) => {
    assert.strictEqual(lastNumber(text, ","), expected)
  })

  it("reads the separators as configured", () => {
    assert.strictEqual(lastNumber("1.234.567,5", "."), 1_234_567.5)
    assert.strictEqual(lastNumber("1 234\u202F567,5", " "), 1_234_567.5)
    assert.strictEqual(lastNumber("1 234.5", " "), 1234.5)
    assert.strictEqual(lastNumber("1'234’567.5", "'"), 1_234_567.5)
    assert.strictEqual(lastNumber("1_234.5", "_"), 1234.5)
    assert.strictEqual(lastNumber("1,234", ""), 234)
    assert.strictEqual(lastNumber("1/1.000", "."), 0.001)
    assert.strictEqual(lastNumber("1/1 000", " "), 0.001)
    assert.strictEqual(lastNumber("1/2,5", "."), 2.5)
  })

  it("compares with a tolerance that binary fractions do not shift, and exactly without one", () => {
    assert.strictEqual(judged("1.1", 1, { tolerance: 0.1 }).value, 1)
    assert.strictEqual(judged("1.11", 1, { tolerance: 0.1 }).value, 0)
    assert.strictEqual(judged("0.3", 0.1 + 0.2).value, 0)
    assert.strictEqual(judged("1,000", "It is $1,000.00.").value, 1)
  })

  it("tells whole numbers apart that no double holds", () => {
    assert.strictEqual(judged("12,345,678,901,234,567,890", "12345678901234567890").value, 1)
    assert.strictEqual(
      judged("It is 12345678901234567891.", "12345678901234567890").feedback,
      "expected 12345678901234567890, got 12345678901234567891 (the last number of the answer): 1 too high"
    )
    assert.strictEqual(judged("-9007199254740993", -9007199254740992).value, 0)
    assert.strictEqual(judged("It is $12,345,678,901,234,567.00.", "12345678901234567").value, 1)
    assert.strictEqual(judged("12345678901234568.0", "12345678901234567").value, 0)
    assert.strictEqual(judged("12345678901234567e0", "12345678901234568").value, 0)
    assert.strictEqual(judged("-123456789012345670e-1", "-12345678901234567").value, 1)
    assert.strictEqual(judged("1e23", 1e23).value, 1)
    assert.strictEqual(judged("9007199254740993", 9007199254740992, { tolerance: 1 }).value, 1)
    assert.strictEqual(judged("12345678901234567892", "12345678901234567890", { tolerance: 1.5 }).value, 0)
  })

  it("says what was expected and what came", () => {
    assert.strictEqual(judged("41", 42).feedback, "expected 42, got 41 (the last number of the answer): 1 too low")
    assert.strictEqual(
      judged("It is 42, as 40 + 2 = 42.1", "42").feedback,
      "expected 42, got 42.1 (the last number of the answer): 0.1 too high; 42 stands earlier in the answer"
    )
    assert.strictEqual(
      judged("I do not know", "42").feedback,
      `expected 42, but the answer contains no number; got "I do not know"`
    )
  })

  it("shows a distance just beyond the tolerance as larger than it", () => {
    assert.match(
      judged("100.10000001", 100, { tolerance: 0.1 }).feedback ?? "",
      /: 0\.1000000\d* too high, 0\.1 is allowed$/
    )
  })

  it("refuses a reference without a number", () => {
    for (const reference of ["forty-two", null, true, [1], {}]) {
      assert.isTrue(Either.isLeft(numeric("42", reference, { tolerance: 0, thousandsSeparator: "," })))
    }
  })

  it.prop(
    "reads back every number JavaScript writes, whatever words surround it",
    [
      FastCheck.double({ noNaN: true, noDefaultInfinity: true }),
      FastCheck.constantFrom("", "x = ", "答案", "(", "5 + ", "\n")
    ],
    ([value, before]) => {
      assert.strictEqual(judged(`${before}${value}.`, value).value, 1)
      assert.strictEqual(judged(`${before}${value} km`, String(value)).value, 1)
    }
  )

  it.prop("reads back grouped whole numbers", [FastCheck.maxSafeInteger()], ([value]) => {
    assert.strictEqual(lastNumber(`= ${value.toLocaleString("en-US")}!`, ","), value)
    assert.strictEqual(lastNumber(`= ${value.toLocaleString("de-DE")}!`, "."), value)
  })

  it.prop("judges any text", [
    FastCheck.fullUnicodeString(),
    FastCheck.double({ noNaN: true, noDefaultInfinity: true })
  ], (
    [output, reference]
  ) => {
    const { feedback, value } = judged(output, reference)
    assert.isTrue(value === 1 ? feedback === null : feedback !== null)
  })

  it.each(["1", "1,", "1,234", "1/", "-", "1e", "."])("reads a million characters of %j quickly", (piece) => {
    assert.isBelow(cpuMs(() => lastNumber(piece.repeat(1_000_000 / piece.length), ",")), 3_000)
  })
})
