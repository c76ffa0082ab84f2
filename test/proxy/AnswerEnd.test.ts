import { assert, describe, it } from "@effect/vitest"
import { AnswerEnd } from "../../src/proxy/AnswerEnd.js"

/** How much of each piece may pass, one after the other. */
const passing = (ending: AnswerEnd, ...pieces: ReadonlyArray<string>) => {
  let bytes = 0
  return pieces.map((piece) => {
    bytes += piece.length
    return piece.slice(0, ending.holdFrom(Buffer.from(piece), bytes))
  })
}

describe("What of an answer waits for its commit", () => {
  it("is nothing of one whose end cannot be told", () => {
    assert.deepStrictEqual(passing(new AnswerEnd(), "{}", "data: [DONE]\n\n"), ["{}", "data: [DONE]\n\n"])
  })

  it("is the last piece of a sized one, and all behind it", () => {
    const ending = new AnswerEnd()
    ending.sizedTo = 5
    assert.deepStrictEqual(passing(ending, "ab", "cd", "e", "f"), ["ab", "cd", "", ""])
    assert.isFalse(ending.isWhole || ending.isClosed || ending.isStream)
  })

  it("is the terminal event of a stream, whose blank line may come later", () => {
    const ending = new AnswerEnd()
    ending.scanEvents()
    assert.isTrue(ending.isStream)
    assert.deepStrictEqual(passing(ending, "data: 1\n\n"), ["data: 1\n\n"])
    assert.isFalse(ending.isWhole || ending.isClosed)
    assert.notInclude(passing(ending, "data: [DONE]\n")[0], "[DONE]")
    assert.deepStrictEqual([ending.isWhole, ending.isClosed], [true, false])
    assert.isFalse(ending.goesOn(Buffer.from("\n")))
    assert.isTrue(ending.isClosed)
  })

  it("is the last piece of a sized stream that has no terminal event", () => {
    const ending = new AnswerEnd()
    ending.sizedTo = 18
    ending.scanEvents()
    assert.deepStrictEqual(passing(ending, "data: 1\n\n", "data: 2\n\n"), ["data: 1\n\n", ""])
  })

  it("is the last bracket of JSON, until more than blanks come behind it", () => {
    const ending = new AnswerEnd()
    ending.scanJson()
    assert.deepStrictEqual(passing(ending, "{\"a\":[1", "]}"), ["{\"a\":[1", "]"])
    assert.isFalse(ending.goesOn(Buffer.from("\n")))
    assert.isTrue(ending.goesOn(Buffer.from("{}")))
  })

  it("is no bracket of what turns out to be a stream", () => {
    const ending = new AnswerEnd()
    ending.scanJson()
    ending.scanEvents()
    const events = "data: {}\n\ndata: {}\n\n"
    assert.deepStrictEqual(passing(ending, events), [events])
    assert.isFalse(ending.goesOn(Buffer.from("data: {}\n\n")))
  })
})
