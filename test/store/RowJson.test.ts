import { assert, it } from "@effect/vitest"
import { RunId } from "../../src/domain/Ids.js"
import { totalsOf } from "../../src/store/RowJson.js"
import { RunResult } from "../../src/store/RunReader.js"

const result = (status: RunResult["status"], rollouts: number, scored = 0, scoreSum = 0) =>
  new RunResult({
    runId: RunId.make("run-0001-a1b2c3"),
    resourcesVersion: 1,
    mode: "train",
    status,
    rollouts,
    scored,
    scoreSum
  })

it("counts failed rollouts as 0 in the mean score, also where there are no others", () => {
  const meanOf = (...results: ReadonlyArray<RunResult>) => totalsOf(results).meanScore
  assert.strictEqual(meanOf(result("succeeded", 3, 3, 3), result("failed", 3)), 0.5)
  assert.strictEqual(meanOf(result("failed", 6)), 0)
  assert.isNull(meanOf(), "nothing has ended")
  assert.isNull(meanOf(result("running", 2), result("cancelled", 1)))
  assert.isNull(meanOf(result("succeeded", 2), result("failed", 2)), "no scorer applies")
})
