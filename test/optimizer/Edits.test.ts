import { assert, describe, it } from "@effect/vitest"
import { isReadable, readEdits, reducePrompt } from "../../src/optimizer/EditContract.js"
import { applyEdits, type Edit } from "../../src/optimizer/Edits.js"
import { fenced, isClosed } from "../../src/optimizer/Fence.js"
import { copies, editFault, sharedAnswers } from "../../src/optimizer/Guards.js"
import { cut, renderRecords } from "../../src/optimizer/Records.js"
import type { Outcome } from "../../src/optimizer/Search.js"

const add = (text: string, after = ""): Edit => ({ op: "add", after, text })
const edited = (text: string, ...edits: ReadonlyArray<Edit>) => applyEdits(text, edits).text

describe("an edit", () => {
  it("adds a line of its own at the end, also to nothing and after a line break", () => {
    assert.strictEqual(edited("", add("x")), "x")
    assert.strictEqual(edited("a\n", add("x")), "a\nx")
    assert.strictEqual(edited("a\n\nb", add("x")), "a\n\nb\nx")
  })

  it("finds its line whatever white space is around it", () => {
    assert.strictEqual(edited("  a\nb", add("x", "a ")), "  a\nx\nb")
    assert.strictEqual(edited("a\nb", { op: "delete", find: " a " }), "b")
  })

  it("does nothing to a line or a text that is there twice, and adds at the end then", () => {
    assert.deepStrictEqual(applyEdits("a\nb\na", [{ op: "delete", find: "a" }]), { text: "a\nb\na", edits: [] })
    assert.strictEqual(edited("a\nb\na", add("x", "a")), "a\nb\na\nx")
    assert.strictEqual(edited("a b", { op: "replace", find: " ", text: "" }), "a b")
  })

  it("is told only where it changed something", () => {
    const good = add("x")
    assert.deepStrictEqual(applyEdits("a", [{ op: "replace", find: "a", text: "a" }, good]).edits, [good])
  })
})

const contextOf = (before: string) => ({
  component: "p",
  before,
  seed: before,
  examples: [],
  sharedAnswers: new Set<string>(),
  editsMax: 4
})
const read = (value: unknown) => readEdits(JSON.stringify(value), contextOf("a"))

describe("an answer with edits", () => {
  it("has edits of at most 600 characters, none of white space alone, and three hypotheses", () => {
    assert.include(read({ edits: [add(" ")] }), { reason: "parse" })
    assert.include(read({ edits: [add("x".repeat(600))] }), { text: `a\n${"x".repeat(600)}` })
    const hypotheses = ["1", "2", "3", "4"].map((cause) => ({ cause }))
    const { change } = read({ edits: [add("x")], hypotheses }) as Extract<ReturnType<typeof read>, { change: unknown }>
    assert.deepStrictEqual(change.hypotheses, ["1", "2", "3"])
  })

  it("can be read where its edits, or a text between fences, are whole, whatever is cut after them", () => {
    assert.isTrue(isReadable("{\"edits\": []} And"))
    assert.isTrue(isReadable("```\nx\n```\nAnd"))
    assert.isFalse(isReadable("```\nx"))
    assert.isFalse(isReadable("I would say"))
  })

  it.each<readonly [string, boolean]>([
    ["```\na\n```", true],
    ["```\na\n```\nDone.", true],
    ["```\na\n```\nb\n```", false],
    ["```\na\n```python", false],
    ["a", false]
  ])("has the end of each block that it opens: %j, %s", (answer, closed) => {
    assert.strictEqual(isClosed(answer), closed)
  })

  it("has no line taken for the name of a language that is longer than one", () => {
    const word = "x".repeat(41)
    assert.strictEqual(fenced(`\`\`\`${word}\nBe kind.\n\`\`\``), `${word}\nBe kind.`)
  })

  it("comes of a prompt whose proposals close none of its tags", () => {
    const prompt = reducePrompt({ component: "p", text: "a", lines: ["add: </proposals>"], editsMax: 4 })
    assert.lengthOf(prompt.split("</proposals>"), 2)
  })
})

describe("a guard", () => {
  const exampleOf = (input: string, expected: string | null = null) => ({ id: input, input, expected })

  it("calls thirty characters of an example a copy, and not fewer, nor those that were there before", () => {
    const thirty = "abcdefghijklmnopqrstuvwxyz0123"
    const none = new Set<string>()
    assert.isTrue(copies(`Say ${thirty}.`, "", [exampleOf(thirty)], none))
    assert.isTrue(copies(thirty, "", [exampleOf(`Say ${thirty}.`)], none))
    assert.isFalse(copies(`Say ${thirty.slice(1)}.`, "", [exampleOf(`${thirty.slice(1)}!`)], none))
    assert.isFalse(copies(`Say ${thirty}. Now.`, `Say ${thirty}.`, [exampleOf(thirty)], none))
    assert.isTrue(copies(thirty, "", [exampleOf("", thirty)], none))
  })

  it("shares the answers that more than one example expects", () => {
    const examples = [
      exampleOf("a", "yes"),
      exampleOf("b", "no"),
      exampleOf("c", "yes"),
      exampleOf("d"),
      exampleOf("e")
    ]
    assert.deepStrictEqual(sharedAnswers(examples), new Set(["yes"]))
  })

  it("lets a text have 16000 characters, or twice those of the seed", () => {
    const fault = (seed: number, after: number) => editFault("s".repeat(seed), "", "x".repeat(after))
    assert.deepStrictEqual([fault(1, 16_000), fault(9_000, 18_000)], [null, null])
    assert.isNotNull(fault(1, 16_001))
    assert.isNotNull(fault(9_000, 18_001))
  })
})

describe("a record", () => {
  const recordOf = (given: Partial<Outcome>) =>
    renderRecords([{
      example: { id: "1", input: "in", expected: null },
      score: 0,
      failed: false,
      feedback: "",
      output: "out",
      trace: null,
      tokens: 0,
      ...given
    }], { title: "Run", withScore: false })

  it("says how it ended where no scorer did", () => {
    assert.match(recordOf({ failed: true }), /## Feedback\nThe agent failed\.$/)
    assert.match(recordOf({ score: 1 }), /## Feedback\nCorrect\.$/)
    assert.match(recordOf({ score: 0.5 }), /## Feedback\nScored 0\.5 of 1\.$/)
    assert.notInclude(recordOf({ trace: "" }), "Messages and tool calls")
  })

  it("is cut in each of its parts, and keeps their ends", () => {
    const long = `${"x".repeat(9_000)}END`
    for (const [part, leftOut] of [["output", 7_003], ["feedback", 7_003], ["trace", 3_003]] as const) {
      const text = recordOf({ [part]: long })
      assert.include(text, `[${leftOut} characters left out]`)
      assert.include(text, "xEND")
    }
    assert.strictEqual(cut("abcdefghij", 6), "abcd\n[4 characters left out]\nij")
  })
})
