import { assert, describe, it } from "@effect/vitest"
import type { SearchFailed } from "../../../src/domain/SearchFailed.js"
import { FailureWatch } from "../../../src/optimizer/run/FailureWatch.js"
import type { SearchOutcome } from "../../../src/store/SearchStore.js"

const outcome = (brokenBy: string | null): SearchOutcome => ({
  id: "r",
  status: brokenBy === null ? "succeeded" : "failed",
  score: brokenBy === null ? 1 : null,
  feedback: [],
  output: null,
  error: brokenBy === null ? null : "the model answered with 503",
  brokenBy,
  isUnjudged: brokenBy !== null,
  usage: []
})

/** What a search is told after each of these steps, of so many rollouts that went well and so many that were broken. */
const told = (steps: ReadonlyArray<readonly [well: number, broken: number]>): ReadonlyArray<SearchFailed | null> => {
  const watch = new FailureWatch()
  let rollouts = 0
  return steps.map(([well, broken]) => {
    rollouts += well + broken
    return watch.see(
      [...Array.from({ length: well }, () => outcome(null)), ...Array.from({ length: broken }, () => outcome("503"))],
      rollouts
    )
  })
}

const minibatches = Array.from({ length: 6 }, () => [0, 3] as const)

describe("The failures of a search", () => {
  it("stop it when its model is away, however much went well before", () => {
    const [last, ...before] = told([[200, 0], [30, 0], ...minibatches, [0, 3]]).toReversed()
    assert.deepStrictEqual(before.filter((failure) => failure !== null), [])
    assert.match(last?.detail ?? "", /^21 of the last 21 rollouts failed because .* \(the model answered with 503\)/)
  })

  it("do not stop it once its model is back", () => {
    const failed = told([[200, 0], [30, 0], ...minibatches, [3, 0], [3, 0]])
    assert.deepStrictEqual(failed.filter((failure) => failure !== null), [])
  })
})
