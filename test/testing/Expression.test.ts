import { assert, describe, it } from "@effect/vitest"
import * as fc from "effect/FastCheck"
import { findCalculation } from "../../src/testing/Expression.js"
import { format, NoAnswer } from "../../src/testing/Rational.js"

const work = (question: string): string => {
  const result = findCalculation(question)?.result
  if (result === undefined) return "nothing"
  return result instanceof NoAnswer ? result.message : format(result).text
}

/** A calculation with its value, by the fraction arithmetic of plain integers. */
interface Sum {
  readonly text: string
  readonly top: bigint
  readonly bottom: bigint
}

const number = fc.integer({ min: 0, max: 999_999 }).map((value): Sum => ({
  text: value % 2 === 0 ? value.toLocaleString("en-US") : String(value),
  top: BigInt(value),
  bottom: 1n
}))

const { sum } = fc.letrec<{ sum: Sum }>((tie) => ({
  sum: fc.oneof(
    { maxDepth: 4, withCrossShrink: true },
    number,
    tie("sum").map(({ bottom, text, top }) => ({ text: `-(${text})`, top: -top, bottom })),
    fc.tuple(
      tie("sum"),
      fc.constantFrom("+", "-", "*", "×", "x", "/", "÷", "plus", "minus", "times", "divided by"),
      tie("sum")
    )
      .filter(([, operator, right]) => right.top !== 0n || !["/", "÷", "divided by"].includes(operator))
      .map(([a, operator, b]): Sum => {
        const text = `(${a.text}) ${operator} (${b.text})`
        if (operator === "+" || operator === "plus") {
          return { text, top: a.top * b.bottom + b.top * a.bottom, bottom: a.bottom * b.bottom }
        }
        if (operator === "-" || operator === "minus") {
          return { text, top: a.top * b.bottom - b.top * a.bottom, bottom: a.bottom * b.bottom }
        }
        if (operator === "/" || operator === "÷" || operator === "divided by") {
          return { text, top: a.top * b.bottom, bottom: a.bottom * b.top }
        }
        return { text, top: a.top * b.top, bottom: a.bottom * b.bottom }
      })
  )
}))

describe("findCalculation", () => {
  it.prop(
    "works out any calculation exactly",
    [sum, fc.constantFrom("What is", "Compute:", "Please tell me")],
    ([sum, ask]) => {
      fc.pre(/[-+*/×÷]|[a-z]/.test(sum.text.replaceAll("-(", "")))
      const result = findCalculation(`${ask} ${sum.text}?`)?.result
      if (result === undefined || result instanceof NoAnswer) return assert.fail(`no result for ${sum.text}`)
      assert.strictEqual(result.numerator * sum.bottom, sum.top * result.denominator)
    },
    { fastCheck: { numRuns: 300 } }
  )

  it.each([
    ["What is 2 + 2?", "4"],
    ["What is 2+3*4?", "14"],
    ["Compute (2 + 3) * 4 please.", "20"],
    ["What's 10 - 4 - 3?", "3"],
    ["What is 2 ^ 3 ^ 2?", "512"],
    ["-2^2 + 0", "-4"],
    ["2 ** 10", "1024"],
    ["2 - -3", "5"],
    ["17 % 5", "2"],
    ["What is 20% of 50?", "10"],
    ["12 x 12", "144"],
    ["3×4÷2", "6"],
    ["What is 1,234,567 + 1?", "1234568"],
    ["0.1 + 0.2", "0.3"],
    [".5 * 4", "2"],
    ["What is 7 times 6 minus 2?", "40"],
    ["5 squared plus 1", "26"],
    ["10 / 4", "2.5"],
    ["1 / 3", "0.3333333333"],
    ["2 ^ -2", "0.25"],
    ["99999999999999999999 + 1", "100000000000000000000"],
    ["I have 3 boxes. What is 6 * 7 - please?", "42"],
    ["1 / 0", "Division by zero is undefined."],
    ["5 mod 0", "Division by zero is undefined."],
    ["9 ^ 9 ^ 9", "That number is too large for me."],
    ["2 ^ 0.5", "I can only raise a number to a whole power."],
    ["What is the capital of France?", "nothing"],
    ["What is 7?", "nothing"],
    ["", "nothing"],
    ["((((", "nothing"]
  ])("works out %s as %s", (question, answer) => {
    assert.strictEqual(work(question), answer)
  })

  it("understands the calculation as it was written", () => {
    assert.strictEqual(findCalculation("What is 2 times (3 - -4)?")?.text, "2 * (3 - -4)")
  })

  it.prop("survives anything, however long or deep", [
    fc.oneof(
      fc.string({ unit: "grapheme" }),
      fc.array(fc.constantFrom("1", "2.5", "+", "-", "*", "/", "^", "%", "(", ")", " ", "x", "of"), { maxLength: 60 })
        .map((all) => all.join("")),
      fc.constantFrom("(", "1+", "-", "2^", "1(", "(1+").map((piece) => piece.repeat(5_000))
    )
  ], ([question]) => {
    findCalculation(question)
  })
})
