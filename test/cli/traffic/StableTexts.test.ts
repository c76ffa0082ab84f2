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
})
