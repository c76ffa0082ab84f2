import { assert, describe, it } from "@effect/vitest"
import { type SeenText, StableTexts } from "../../../src/cli/traffic/StableTexts.js"

const system = (text: string): SeenText => ({ place: "system", tool: null, text })
const tool = (name: string, text: string): SeenText => ({ place: "tool_description", tool: name, text })

const found = (calls: ReadonlyArray<ReadonlyArray<SeenText>>) => {
  const texts = new StableTexts()
  for (const call of calls) texts.add(call)
  return texts.found()
}

describe("an agent's stable texts", () => {
  it("are told with their share of the calls, the most frequent first, each once per call", () => {
    const one = system("You add.")
    const texts = found([
      [one, tool("find", "Finds.")],
      [one, one],
      [one, system("Be kind to all the others.")],
      []
    ])
    assert.deepStrictEqual(texts.map(({ calls, share, text }) => [text, calls, share]), [
      ["You add.", 3, 0.75],
      ["Be kind to all the others.", 1, 0.25],
      ["Finds.", 1, 0.25]
    ])
    assert.deepInclude(texts[0] as object, { forms: 1, stable: "You add.", varying: [], tool: null })
  })

  it("that differ in a place are forms of one, whose longest common part is what can be replaced", () => {
    const text = (date: string, folder: string) =>
      `Today is ${date}.\nYou are a careful assistant.\nAnswer in one line.\nThe folder is ${folder}`
    const [only, ...others] = found([
      [system(text("Monday", "/a"))],
      [system(text("Tuesday", "/b"))],
      [system(text("Monday", "/c"))]
    ])
    assert.deepStrictEqual(others, [])
    assert.deepInclude(only as object, {
      calls: 3,
      share: 1,
      forms: 3,
      stable: "You are a careful assistant.\nAnswer in one line."
    })
    assert.deepStrictEqual(only!.varying, ["Today is Monday.", "Today is Tuesday."])
  })

  it("that have nothing long in common stay apart, and a tool's descriptions go by its name", () => {
    const texts = found([
      [system("Write titles for chats, please, at once."), tool("f", "One."), tool("g", "Other.")],
      [system("You review code: be thorough."), tool("f", "Two.")]
    ])
    assert.deepStrictEqual(
      texts.map(({ calls, forms, place, tool: name }) => [place, name, calls, forms]),
      [
        ["tool_description", "f", 2, 2],
        ["system", null, 1, 1],
        ["system", null, 1, 1],
        ["tool_description", "g", 1, 1]
      ]
    )
  })

  it("are replaced without what was redacted, which is not what the agent sends, and a tool's not at all", () => {
    const texts = found([[
      system("Use the key [REDACTED] for the search. You are a careful assistant.\nAnswer in one line."),
      tool("f", "Finds with [REDACTED].")
    ], [
      { place: "instructions", tool: null, text: "The key is [REDACTED]." },
      tool("g", "Finds.")
    ]])
    assert.deepStrictEqual(texts.map(({ isRedacted, place, stable }) => [place, isRedacted, stable]), [
      ["system", true, "You are a careful assistant.\nAnswer in one line."],
      ["instructions", true, null],
      ["tool_description", true, null],
      ["tool_description", false, "Finds."]
    ])
  })

  it("that are empty are forms of no other", () => {
    const texts = found([[system("")], [system("")], [system("You add.")], [system("You book rooms.")]])
    assert.deepStrictEqual(texts.map(({ calls, text }) => [text, calls]), [
      ["", 2],
      ["You add.", 1],
      ["You book rooms.", 1]
    ])
    // Beside a tool that is told of as often the message comes first.
    const places = found([[tool("find", "Finds."), system("You add.")]]).map(({ place }) => place)
    assert.deepStrictEqual(places, ["system", "tool_description"])
  })

  it("are alike when half of the shorter one is, in pieces of lines and sentences", () => {
    const forms = (one: string, other: string) => found([[system(one)], [system(other)]])[0]!.forms
    // Of 40 characters 20 are alike, or 19.
    const half = "Alike in this half.\n"
    assert.strictEqual(forms(`${half}Differing on Monday.`, `${half}What is much longer than the other half of it.`), 2)
    assert.strictEqual(
      forms(`${half}Differing on Mondays.`, `${half}What is much longer than the other half of it.`),
      1
    )
    for (const mark of [".", "!", "?", ":", ";", ","]) {
      assert.strictEqual(forms(`Alike in this half${mark} Monday`, `Alike in this half${mark} Tuesday`), 2, mark)
    }
    assert.strictEqual(forms("Alike in this half Monday", "Alike in this half Tuesday"), 1)
  })

  it("have nothing that can be replaced where all have less than 20 characters in common", () => {
    const stable = (...texts: ReadonlyArray<string>) => found(texts.map((text) => [system(text)]))[0]!.stable
    assert.strictEqual(stable("12345678901234567890\nOne.", "Other: 12345678901234567890\n"), "12345678901234567890")
    assert.isNull(stable("1234567890123456789\nOne.", "Other: 1234567890123456789\n"))
    // A piece at a time, and the longest of several runs.
    const [a, b, c] = ["The first line of all.\n", "The second line.\n", "The third line is the longest of them.\n"]
    assert.strictEqual(stable(`${a}1,\n${b}${c}`, `${a}2,\n${b}3,\n${c}`), c.trim())
    // Of more than 24 forms the most frequent are looked at.
    const forms = Array.from({ length: 24 }, (_, n) => `${n},\n${a}${b}`)
    assert.strictEqual(stable(...forms, ...forms, `25,\n${b}`), `${a}${b}`.trim())
    assert.isNull(stable(...forms.slice(1), ...forms.slice(1), `25,\n${b}`))
    assert.strictEqual(stable(`${a}1,\n${b}${c}`, `2,\n${b}${c}${a}`), `${b}${c}`.trim())
  })

  it("show three examples of 80 characters of what differs, a form one each", () => {
    const long = "x".repeat(90)
    const same = "You are a careful assistant, now and ever."
    const forms = ["1", "2", long, "4", "  "].map((part) => [system(`${part}\n${same}\n${part} again`)])
    assert.deepStrictEqual(found(forms)[0]!.varying, ["1", "2", long.slice(0, 80)])
  })

  it("of a tool are replaced whole by the most frequent", () => {
    const [only] = found([[tool("f", "One."), tool("f", "One.")], [tool("f", "Two.")], [tool("f", "Two.")]])
    assert.deepInclude(only as object, { tool: "f", calls: 3, share: 1, text: "Two.", forms: 2, stable: "Two." })
  })

  it("are compared with the most frequent hundred, and kept up to 4,000 for a place", () => {
    const apart = Array.from({ length: 4_001 }, (_, n) => [tool("f", `${n}`)])
    assert.deepInclude(found(apart)[0] as object, { calls: 4_000, forms: 4_000 })
  })
})
