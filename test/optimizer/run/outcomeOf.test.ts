import { assert, describe, it } from "@effect/vitest"
import { outcomeOf } from "../../../src/optimizer/run/outcomeOf.js"

const fresh = {
  key: "0",
  texts: {},
  split: "train" as const,
  example: { id: "train-1", input: "2 + 2", expected: "4" },
  sample: 0
}

const failedBy = (brokenBy: string | null) =>
  outcomeOf(fresh, {
    id: "run-1-c0000-train-1",
    status: "failed",
    output: null,
    score: null,
    error: "it answered nothing",
    feedback: [],
    usage: [],
    brokenBy,
    isUnjudged: true
  })

describe("what a search is told of a rollout", () => {
  it("calls what no text can mend by its name: it counts as 0, and is not the agent's failure", () => {
    const told = [null, "scorer", "agent", "503", "upstream_error", "401", "timeout"].map(failedBy)
    assert.isTrue(told.every(({ failed, score }) => failed && score === 0))
    assert.deepStrictEqual(told.map(({ isBroken }) => isBroken), [false, true, true, true, true, true, false])
    const away = "broken off, for the model was not there, which no text can mend: it answered nothing"
    assert.deepStrictEqual(told.map(({ feedback }) => feedback), [
      "the agent failed: it answered nothing",
      "not scored: it answered nothing",
      "not tried, for the agent was not there, which no text can mend: it answered nothing",
      away,
      away,
      away,
      "broken off, for the model did not answer in time: it answered nothing"
    ])
  })
})
