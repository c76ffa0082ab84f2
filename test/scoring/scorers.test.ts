import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Either from "effect/Either"
import * as Exit from "effect/Exit"
import * as FastCheck from "effect/FastCheck"
import { contains } from "../../src/scoring/Contains.js"
import { exactMatch } from "../../src/scoring/ExactMatch.js"
import { regex } from "../../src/scoring/Regex.js"
import { clip, feedbackCharsMax, type Verdict } from "../../src/scoring/Verdict.js"
import { cpuMs } from "../support/cpu.js"

const text = FastCheck.fullUnicodeString()
const bounded = ({ feedback, value }: Verdict) => {
  assert.isTrue(value === 0 || value === 1)
  assert.strictEqual(feedback === null, value === 1)
  assert.isAtMost(feedback?.length ?? 0, feedbackCharsMax)
}

const feedback = (output: string, reference: unknown) => exactMatch(output, reference).feedback
const judged = (output: string, reference: unknown, ignoreCase = false) =>
  Either.getOrThrow(contains(output, reference, { ignoreCase }))

describe("clip", () => {
  it.prop(
    "never exceeds its limit nor cuts a character",
    [text, FastCheck.integer({ min: 1, max: 20 })],
    ([whole, max]) => {
      const part = clip(whole, max)
      assert.isAtMost(part.length, max)
      assert.strictEqual(Buffer.from(part).toString(), part)
      assert.strictEqual(part === whole, whole.length <= max)
      assert.isTrue(part === whole || whole.startsWith(part.slice(0, -1)))
    }
  )
})

describe("exact_match", () => {
  it("trims both sides and compares other values by their text", () => {
    assert.strictEqual(exactMatch(" 4\n", "4 ").value, 1)
    assert.strictEqual(exactMatch("4", 4).value, 1)
    assert.strictEqual(exactMatch("true", true).value, 1)
    assert.strictEqual(exactMatch(`{"a":[1]}`, { a: [1] }).value, 1)
    assert.strictEqual(exactMatch("4.0", 4).value, 0)
  })

  it("looks at no more of a huge answer than it tells of", () => {
    const output = "😀".repeat(4_000_000)
    const tookMs = cpuMs(() => assert.match(String(feedback(output, "😀 yes")), /: they differ from character 2 on$/))
    assert.isBelow(tookMs, 1_000)
  })

  it("says what was expected, what came and where they part", () => {
    assert.strictEqual(feedback("5", "4"), `expected "4", got "5": they differ from character 1 on`)
    assert.strictEqual(feedback(" ", "4"), `expected "4", got "": the answer is empty`)
    assert.strictEqual(feedback("4", ""), `expected "", got "4": the answer should be empty`)
    assert.match(feedback("It is 4.", "4") ?? "", /other text around/)
    assert.match(feedback("paris", "Paris") ?? "", /only in upper and lower case/)
    assert.match(feedback("Pari", "Paris") ?? "", /ends too early/)
    assert.match(
      feedback(`${"x".repeat(500)}left`, `${"x".repeat(500)}right`) ?? "",
      /from character 501 on, there "x{10}right" became "x{10}left"$/
    )
  })

  it("names what nobody sees in texts that look alike", () => {
    const told = (output: string, reference: string) => feedback(output, reference)?.replace(/.*": /, "")
    const alike = "they look alike, but character"
    assert.strictEqual(told("caf\u0065\u0301", "caf\u00e9"), `${alike} 4 is U+0065 in place of U+00E9`)
    assert.strictEqual(told("New\u00a0York", "New York"), `${alike} 4 is U+00A0 in place of U+0020`)
    assert.strictEqual(told("4\u200b", "4"), `${alike} 2 is U+200B in place of the end`)
    assert.strictEqual(told("4", "4\u00ad"), `${alike} 2 is the end in place of U+00AD`)
    assert.strictEqual(told("\u{1f600}\u200d", "\u{1f600}\u200b"), `${alike} 2 is U+200D in place of U+200B`)
  })

  it.prop("is 1 for the same text and gives bounded words for any other", [text, text], ([output, reference]) => {
    assert.strictEqual(exactMatch(`\n${reference} `, reference).value, 1)
    bounded(exactMatch(output, reference))
    bounded(exactMatch(output.repeat(500), reference.repeat(300)))
  })

  it.prop("judges any JSON reference", [text, FastCheck.jsonValue()], ([output, reference]) => {
    bounded(exactMatch(output, reference))
    if (typeof reference !== "string") assert.strictEqual(exactMatch(JSON.stringify(reference), reference).value, 1)
  })
})

describe("contains", () => {
  it("wants every item of a list", () => {
    assert.strictEqual(judged("Paris, France", ["Paris", "France"]).value, 1)
    const missed = judged("Paris", ["Paris", "France", 7])
    assert.strictEqual(missed.value, 0)
    assert.strictEqual(missed.feedback, `the answer lacks "France", "7"; got "Paris"`)
  })

  it("points at what comes nearest", () => {
    const missed = (output: string, reference: string) => judged(output, reference).feedback
    assert.strictEqual(
      missed("The capital is paris.", "Paris"),
      `the answer lacks "Paris" (it has "paris", in other case); got "The capital is paris."`
    )
    assert.include(missed("caf\u0065\u0301 X", "caf\u00e9"), "it is there with its accents in another form of Unicode")
    assert.include(missed("42 - 7", "42-7"), "it is there but for white space, punctuation or case")
    assert.include(
      missed(`${"So. ".repeat(20)}I would book room 7, not 8.`, "book room 8"),
      `(nearest: "…So. So. So. I would book room 7, not 8.")`
    )
    assert.strictEqual(missed("no idea", "Paris"), `the answer lacks "Paris"; got "no idea"`)
    assert.strictEqual(missed("!", "?"), `the answer lacks "?"; got "!"`)
  })

  it("ignores case only when told to", () => {
    assert.strictEqual(judged("PARIS", "Paris").value, 0)
    assert.strictEqual(judged("PARIS", "Paris", true).value, 1)
  })

  it("refuses references that every answer contains", () => {
    assert.isTrue(Either.isLeft(contains("x", [], { ignoreCase: false })))
    assert.isTrue(Either.isLeft(contains("x", "", { ignoreCase: false })))
    assert.isTrue(Either.isLeft(contains("x", ["x", ""], { ignoreCase: false })))
  })

  it.prop(
    "finds whatever is there, and bounds its words",
    [text, FastCheck.array(FastCheck.fullUnicodeString({ minLength: 1 }), { minLength: 1 }), FastCheck.boolean()],
    ([around, parts, ignoreCase]) => {
      assert.strictEqual(judged(around + parts.join(around), parts, ignoreCase).value, 1)
      bounded(judged(around.repeat(200), parts.map((part) => part.repeat(100)), ignoreCase))
    }
  )
})

describe("regex", () => {
  const judgedBy = (pattern: string, output: string, flags = "") => Effect.runSync(regex(output, pattern, flags))
  const missed = (pattern: string, output: string, flags = "") => judgedBy(pattern, output, flags).feedback

  it("says what of the pattern is there", () => {
    assert.strictEqual(judgedBy("a", "abc").feedback, null)
    assert.strictEqual(
      missed("Answer: \\d", "the ANSWER: 4"),
      `the answer does not match /Answer: \\d/; in other case it would, at "the ANSWER: 4"; got "the ANSWER: 4"`
    )
    assert.include(missed("^\\d{4}$", "in 1990"), `; without its anchors it would, at "in 1990";`)
    assert.include(missed("Answer: \\d+", "Answer: four", "i"), `; its beginning /Answer: / is at "Answer: four";`)
    assert.strictEqual(missed("^$", "x"), `the answer does not match /^$/; got "x"`)
    // A dollar sign that is meant as one is no anchor.
    assert.strictEqual(missed("5\\$", "4"), `the answer does not match /5\\$/; got "4"`)
  })

  it("gives no hint that takes long to find", () => {
    const tookMs = cpuMs(() =>
      assert.match(missed("x(a+)+$", `${"a".repeat(60)}!`) ?? "", /^the answer does not match/)
    )
    assert.isBelow(tookMs, 2_000)
  })

  it.prop("never throws, and bounds its words", [text, FastCheck.string(), text], ([output, pattern, more]) => {
    const exit = Effect.runSyncExit(regex(output.repeat(50) + more, pattern, "u"))
    if (Exit.isSuccess(exit)) bounded(exit.value)
    bounded(judgedBy(`(?:${"q".repeat(3_000)})`, output))
  })
})
