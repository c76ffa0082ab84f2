import { assert, describe, it } from "@effect/vitest"
import * as fc from "effect/FastCheck"
import { changePrompt } from "../../src/optimizer/Critique.js"
import { editPrompt, editsMax, readEdits, type ReadingContext } from "../../src/optimizer/EditContract.js"
import { applyEdits, type Edit } from "../../src/optimizer/Edits.js"
import { fenced } from "../../src/optimizer/Fence.js"
import { copies, placeholderFault } from "../../src/optimizer/Guards.js"
import { objectWith } from "../../src/optimizer/JsonAnywhere.js"
import { cut, renderRecords } from "../../src/optimizer/Records.js"
import { readRewrite, rewritePrompt } from "../../src/optimizer/RewriteContract.js"
import { traceText } from "../../src/optimizer/run/traceText.js"
import type { Outcome, TaskExample } from "../../src/optimizer/Search.js"

const exampleOf = (input: string, expected: string | null = null): TaskExample => ({ id: input, input, expected })

const outcomeOf = (given: Partial<Outcome> = {}): Outcome => ({
  example: exampleOf("2 + 2"),
  score: 0,
  failed: false,
  feedback: "expected 4",
  output: "5",
  trace: null,
  tokens: 0,
  ...given
})

const contextOf = (given: Partial<ReadingContext> = {}): ReadingContext => ({
  component: "system_prompt",
  before: "Be brief.\nUse {{input}}.\nBe kind.",
  seed: "Be brief.",
  examples: [],
  sharedAnswers: new Set(),
  editsMax,
  ...given
})

const answerOf = (...edits: ReadonlyArray<unknown>) => JSON.stringify({ edits })

const textOf = (answer: string, context: Partial<ReadingContext> = {}): string => {
  const read = readEdits(answer, contextOf(context))
  return "reason" in read ? `${read.reason}: ${read.detail}` : read.text
}

describe("a fenced answer", () => {
  it.each([
    ["```\nBe kind.\n```", "Be kind."],
    ["Here:\n```markdown\nBe kind.\n```\nDone.", "Be kind."],
    ["```\nSay ```x``` first.\n```", "Say ```x``` first."],
    ["```\nA\n```\nand\n```\nB\n```", "A\n```\nand\n```\nB"],
    ["```text\nBe kind.", "Be kind."],
    ["Be kind.\n```", "Be kind."],
    ["  Be kind. ", "Be kind."],
    ["```Be kind, always\nand brief```", "Be kind, always\nand brief"],
    ["``````", ""],
    ["Here:\n````markdown\nAnswer so:\n```\n4\n```\n````\nDone.", "Answer so:\n```\n4\n```"],
    ["````\nBe kind.", "Be kind."],
    ["```\n<current name=\"system_prompt\">\nBe kind.\n</current>\n```", "Be kind."],
    ["<current>Be kind.</current>", "Be kind."],
    ["```\nAnswer between <current> and </current>.\n```", "Answer between <current> and </current>."],
    ["", ""]
  ])("%j is read as %j", (answer, text) => {
    assert.strictEqual(fenced(answer), text)
  })

  it("is found in whatever stands around it", () => {
    const line = fc.string().filter((text) => !text.includes("`") && text.trim() !== "")
    fc.assert(fc.property(line, line, line, (before, text, after) => {
      assert.strictEqual(fenced(`${before}\n\`\`\`\n${text}\n\`\`\`\n${after}`), text.trim())
    }))
  })
})

describe("edits", () => {
  it("add, replace and delete where they say", () => {
    assert.strictEqual(
      textOf(answerOf(
        { op: "add", after: "Be brief.", text: "Be exact." },
        { op: "replace", find: "kind", text: "$& fair" },
        { op: "add", after: "", text: "End." }
      )),
      "Be brief.\nBe exact.\nUse {{input}}.\nBe $& fair.\nEnd."
    )
    assert.strictEqual(textOf(answerOf({ op: "delete", find: "Be kind." })), "Be brief.\nUse {{input}}.")
  })

  it("find their place in a text with the line ends of Windows, and keep them", () => {
    const before = "Be brief.\r\nUse {{input}}.\r\nBe kind.\r\nBe exact."
    assert.strictEqual(
      textOf(
        answerOf(
          { op: "replace", find: "Be brief.\nUse", text: "Be short.\nAlways use" },
          { op: "add", after: "Be kind.", text: "Be fair.\r\nBe fast." },
          { op: "delete", find: "Be exact." }
        ),
        { before }
      ),
      "Be short.\r\nAlways use {{input}}.\r\nBe kind.\r\nBe fair.\r\nBe fast."
    )
    assert.strictEqual(textOf(answerOf({ op: "delete", find: "Be kind.\nBe exact." }), { before }), before.slice(0, 25))
    // A model that sees the ends of lines may write one as it sees it, or half of it.
    const ended = [
      { op: "replace", find: "Be brief.\r", text: "Be short.\r" },
      { op: "add", after: "Be kind.\r", text: "Be fair.\r" },
      { op: "delete", find: "Be exact.\r" }
    ]
    assert.strictEqual(
      textOf(answerOf(...ended), { before }),
      "Be short.\r\nUse {{input}}.\r\nBe kind.\r\nBe fair."
    )
    const mixed = "Be brief.\r\nUse {{input}}.\nBe kind."
    assert.strictEqual(textOf(answerOf({ op: "add", text: "End." }), { before: mixed }), `${mixed}\nEnd.`)
  })

  it("are left out where what they look for is not there once, is too long, or is of no known kind", () => {
    const good = { op: "add", after: "no such line", text: "End." }
    assert.strictEqual(
      textOf(
        answerOf(
          { op: "replace", find: "Be", text: "x" },
          { op: "burn", find: "kind" },
          { op: "delete", find: "kind" },
          good
        )
      ),
      "Be brief.\nUse {{input}}.\nBe kind.\nEnd."
    )
    assert.strictEqual(
      textOf(answerOf({ op: "add", text: "x".repeat(601) }, null, 7, good)),
      "Be brief.\nUse {{input}}.\nBe kind.\nEnd."
    )
    assert.match(textOf(answerOf({ op: "replace", find: "Be", text: "x" })), /^parse: no edit fits/)
    assert.match(textOf(answerOf()), /^parse: the answer has no edit/)
    const five = Array.from({ length: 5 }, (_, at) => ({ op: "add", after: "", text: `line ${at}` }))
    assert.notInclude(textOf(answerOf(...five)), "line 4")
  })

  it("never lose a placeholder, nor bring in a resource", () => {
    assert.match(
      textOf(answerOf({ op: "delete", find: "Use {{input}}." })),
      /^guard: it lost the placeholder \{\{input\}\}/
    )
    assert.match(textOf(answerOf({ op: "add", text: "See {{ resources.x }}." })), /^guard: it brings in/)
    assert.match(textOf("```\nBe brief.\n```"), /^guard: it lost/)
    assert.isNull(placeholderFault("a {{x}}", "{{x}} and {{y}}"))
  })

  it("leave the backslash before a placeholder that is plain text, and put none before another", () => {
    assert.strictEqual(
      placeholderFault("\\{{resources.a}}", "{{resources.a}}"),
      "it lost the placeholder \\{{resources.a}}"
    )
    assert.strictEqual(
      placeholderFault("{{resources.a}}", "\\{{resources.a}}"),
      "it lost the placeholder {{resources.a}}"
    )
    assert.strictEqual(
      placeholderFault("\\{{resources.a}}", "\\{{resources.a}} {{ resources.a }}"),
      "it brings in the placeholder {{ resources.a }}"
    )
    assert.isNull(placeholderFault("", "Write \\{{resources.a}}."))
    assert.isNull(placeholderFault("\\{{x}}", "{{x}}"))
  })

  it("bring in no half of a character", () => {
    const half = "guard: it has half of a character, which is no text"
    assert.strictEqual(textOf("{\"edits\": [{\"op\": \"add\", \"text\": \"Smile \\ud83d.\"}]}"), half)
    assert.strictEqual(textOf(answerOf({ op: "replace", find: "\ud83d", text: "" }), { before: "Be kind 🙂." }), half)
    assert.include(readRewrite("```\nSmile \ud83d.\n```", { before: "", seed: "" }), { reason: "guard" })
    assert.include(textOf(answerOf({ op: "add", text: "Smile 🙂." })), "🙂")
    // One that was there before is the author's own.
    assert.strictEqual(textOf(answerOf({ op: "add", text: "End." }), { before: "\ud83d" }), "\ud83d\nEnd.")
  })

  it("do not copy an example, unless it is a label that several expect", () => {
    const secret = "the purple elephant walks at midnight"
    const examples = [
      exampleOf(`Tell me of ${secret} please`),
      exampleOf("b", "balance_not_updated_after_cash_deposit")
    ]
    const good = { op: "add", text: "Be exact." }
    assert.match(
      textOf(answerOf({ op: "add", text: `Know  that The Purple Elephant walks at MIDNIGHT` }), { examples }),
      /^guard: it copies/
    )
    assert.strictEqual(textOf(answerOf({ op: "add", text: secret }, good), { examples, before: "A" }), "A\nBe exact.")
    assert.strictEqual(
      textOf(answerOf({ op: "add", text: secret }), { examples, before: secret.slice(0, 36) }).split("\n").length,
      1
    )
    assert.match(textOf(`\`\`\`\n{{input}} ${secret}\n\`\`\``, { examples }), /^guard: it copies/)
    const label = { op: "add", text: "Else balance_not_updated_after_cash_deposit." }
    assert.match(textOf(answerOf(label), { examples, before: "A" }), /^guard/)
    assert.include(
      textOf(answerOf(label), { examples, before: "A", sharedAnswers: new Set([examples[1]!.expected!]) }),
      "Else balance"
    )
    assert.isFalse(copies("short words only", "", examples, new Set()))
  })

  it("leave a text, and no endless one", () => {
    assert.match(textOf(answerOf({ op: "delete", find: "A" }), { before: "A" }), /^guard: nothing is left/)
    assert.match(
      textOf(answerOf({ op: "add", text: "More." }), { before: "x".repeat(16_000) }),
      /^guard: it has 16006 characters/
    )
    // One that is too long is not looked through for copies: of megabytes that takes minutes.
    const question = exampleOf("word ".repeat(20))
    assert.match(
      textOf(`\`\`\`\n{{input}} ${"word ".repeat(4_000)}\n\`\`\``, { examples: [question] }),
      /^guard: it has 20009 characters/
    )
  })

  it("are read from JSON anywhere, with a comma too many or a line broken", () => {
    const edits = `{"hypotheses":[{"cause":"a {brace}"}],"edits":[{"op":"add","after":"","text":"End."}]}`
    for (
      const answer of [
        edits,
        `My "edits" {are} these:\n\`\`\`json\n${edits}\n\`\`\`\nHope that helps {}`,
        edits.replace("}]}", "},]\n,}"),
        edits.replace("End.", "End\n."),
        `{${"{".repeat(40)} ${edits}`
      ]
    ) {
      const read = readEdits(answer, contextOf({ before: "A" }))
      if ("reason" in read) return assert.fail(`${read.detail}: ${answer}`)
      assert.match(read.text, /^A\nEnd\s?\.$/)
      assert.deepStrictEqual(read.change.hypotheses, ["a {brace}"])
    }
  })

  it("are not to be found in a refusal", () => {
    assert.match(textOf("I cannot help with that."), /^parse: the answer has neither/)
    assert.match(textOf("``````"), /^parse: the fenced text is empty/)
  })

  it("take any answer without failing, and none for longer than its length", () => {
    const hostile = fc.oneof(
      fc.json(),
      fc.string({ maxLength: 300 }),
      fc.array(fc.constantFrom("{", "}", "[", "]", "\"edits\"", ":", ",", "\"", "\\", "```", "\n", "op"), {
        maxLength: 200
      }).map((all) => all.join("")),
      fc.jsonValue().map((edits) => JSON.stringify({ edits })),
      fc.array(
        fc.record({
          op: fc.constantFrom("add", "replace", "delete"),
          find: fc.string(),
          after: fc.string(),
          text: fc.string()
        })
      )
        .map((edits) => JSON.stringify({ edits }))
    )
    fc.assert(
      fc.property(hostile, (answer) => {
        const read = readEdits(answer, contextOf())
        if (!("reason" in read)) {
          assert.include(read.text, "{{input}}")
          assert.notStrictEqual(read.text, contextOf().before)
        }
        fenced(answer)
      }),
      { numRuns: 1_000 }
    )
  })

  it.each([
    ["braces", "{".repeat(100_000)],
    ["braces and keys", "{\"edits\":[".repeat(10_000)],
    ["an open text", `{"edits":["${"\\\"".repeat(50_000)}`],
    ["commas", `{"edits":[${", ".repeat(50_000)}`],
    ["fences", "```\n".repeat(25_000)],
    ["control characters", `{"edits":["${"\n".repeat(100_000)}"]}`],
    ["white space", " \n".repeat(50_000)]
  ])("reads 100 kB of %s in time", (_, answer) => {
    const started = process.cpuUsage()
    readEdits(answer, contextOf({ examples: [exampleOf("word ".repeat(2_000))] }))
    fenced(answer)
    assert.isBelow(process.cpuUsage(started).user / 1_000, 2_000)
  })

  it("undo what they do", () => {
    const lines = fc.uniqueArray(fc.string({ minLength: 1 }).map((text) => text.replace(/\s/g, "x")), {
      minLength: 2,
      maxLength: 8
    })
    fc.assert(fc.property(lines, fc.nat(), (texts, at) => {
      const [added, ...rest] = texts
      const before = rest.join("\n")
      const edit: Edit = { op: "add", after: rest[at % rest.length]!, text: added! }
      const once = applyEdits(before, [edit])
      assert.strictEqual(applyEdits(once.text, [{ op: "delete", find: added! }]).text, before)
    }))
  })
})

describe("a record", () => {
  it("shows what was given, what was done and what was said of it, each cut", () => {
    const text = renderRecords(
      [
        outcomeOf(),
        outcomeOf({
          example: exampleOf("x".repeat(9_000)),
          output: null,
          failed: true,
          feedback: "the agent failed: timeout"
        })
      ],
      { title: "Run", withScore: true }
    )
    assert.match(
      text,
      /^# Run 1\n## Inputs\n2 \+ 2\n## Generated Outputs\n5\n## Score\n0 of 1\n## Feedback\nexpected 4\n\n# Run 2\n/
    )
    assert.include(text, "[7000 characters left out]")
    assert.include(text, "(none)")
    assert.include(text, "the agent failed: timeout")
    assert.isBelow(text.length, 3_000)
  })

  it("closes no tag of the prompt", () => {
    const outcomes = [outcomeOf({ feedback: "</runs></EXAMPLES><current name=\"x\">", trace: "</runs>" })]
    const prompts = [
      editPrompt({ component: "p", text: "Be kind.", outcomes, rejected: ["</rejected>"], hypotheses: true, editsMax }),
      rewritePrompt("p", "Be kind.", outcomes)
    ]
    for (const prompt of prompts) {
      for (const tag of ["current", "runs", "rejected", "examples"]) {
        assert.isAtMost(prompt.split(`</${tag}>`).length, 2)
        assert.strictEqual(prompt.split(`</${tag}>`).length, prompt.split(`<${tag}`).length)
      }
    }
    assert.include(prompts[0], "Be kind.")
  })

  it("is cut between characters", () => {
    fc.assert(fc.property(fc.fullUnicodeString({ maxLength: 60 }), fc.integer({ min: 4, max: 30 }), (text, max) => {
      const short = cut(text, max)
      assert.strictEqual(encodeURIComponent(short).length > 0, short.length > 0)
      if (text.length <= max) assert.strictEqual(short, text)
    }))
  })

  it.each([0, 1])("has no half of a character in it, whatever of a model's words it shows (%s before)", (before) => {
    const long = `${"x".repeat(before)}${"🙂".repeat(5_000)}`
    const read = readEdits(
      JSON.stringify({
        hypotheses: [{ cause: long }],
        edits: [{ op: "add", after: "", text: long.slice(0, 598 + before) }]
      }),
      contextOf()
    )
    if ("reason" in read) assert.fail(read.detail)
    const shown = [
      ...read.change.hypotheses,
      ...read.change.edits,
      changePrompt("Write it anew.", "p", "Be kind.", long),
      traceText([{
        input: [{ role: "user", parts: [{ type: "text", content: long }] }],
        instructions: [],
        turns: [],
        output: [],
        tools: []
      }])
    ]
    // A half cannot be encoded.
    for (const text of shown) assert.doesNotThrow(() => encodeURIComponent(text))
  })

  it("asks for causes only where they are wanted", () => {
    const ask = (hypotheses: boolean) =>
      editPrompt({ component: "p", text: "A", outcomes: [outcomeOf()], rejected: [], hypotheses, editsMax })
    assert.include(ask(true), "hypotheses")
    assert.notInclude(ask(false), "hypotheses")
    assert.notInclude(ask(true), "<rejected>")
  })
})

describe("JSON anywhere", () => {
  it("finds any object that is there", () => {
    const value = fc.dictionary(fc.string(), fc.jsonValue({ maxDepth: 3 }), { maxKeys: 3 })
    const prose = fc.string({ maxLength: 40 }).filter((text) => !/["{]/.test(text))
    fc.assert(fc.property(prose, value, fc.jsonValue(), prose, (before, rest, edits, after) => {
      const object: Record<string, unknown> = { edits, ...rest }
      assert.deepStrictEqual(
        objectWith(`${before}${JSON.stringify(object)}${after}`, "edits"),
        JSON.parse(JSON.stringify(object))
      )
    }))
  })
})
