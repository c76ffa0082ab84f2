import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import { existsSync, readFileSync, writeFileSync } from "node:fs"
import { join } from "node:path"
import { tau } from "../support/command.js"
import { scratchFolder } from "../support/store.js"
import { upstream } from "../support/upstream.js"

const suite = {
  suite_id: "sums-v1",
  family: "arithmetic",
  description: "Sums of two small numbers.",
  cases: [0, 1].map((n) => ({
    case_id: `sum-${n}`,
    seed: n + 1,
    prompt: `What is ${n} + 2?`,
    expected_outcome: String(n + 2),
    scoring_rubric: { exact_match: 1 }
  }))
}

const noResult = "the run has no result; the same command goes on with it\n"
const noSuccess = "none of the 2 episodes succeeded (the model call was answered with 400"

describe("tau benchmark without its model", { timeout: 120_000 }, () => {
  it.scopedLive("writes no report of a run without a result, and goes on with it once the model is back", () =>
    Effect.gen(function*() {
      const folder = yield* scratchFolder
      writeFileSync(join(folder, "suite.json"), JSON.stringify(suite))
      writeFileSync(join(folder, "plain.txt"), "Answer with the number only.")
      const model = { status: 401 }
      const url = yield* upstream((_, response) => {
        response.writeHead(model.status, { "content-type": "application/json" })
        response.end(JSON.stringify({ choices: [{ message: { role: "assistant", content: "2" } }] }))
      })
      const args = ["benchmark", "run", "--suite=suite.json", "--model=vllm/m", `--upstream-url=${url}`]
      const asked = tau(folder, [...args, "--resources=plain.txt", "--report-kind=baseline"])
      for (const [status, why] of [[401, noResult], [400, noSuccess]] as const) {
        model.status = status
        const refused = yield* asked
        assert.strictEqual(refused.code, 1)
        assert.include(refused.stderr, `\ntau: no report was written: ${why}`)
        assert.isFalse(existsSync(join(folder, "tasks")))
      }
      model.status = 200
      assert.strictEqual((yield* asked).code, 0)
      const report = JSON.parse(readFileSync(join(folder, "tasks/reports/m24-benchmark-baseline.json"), "utf8")) as {
        readonly cases: ReadonlyArray<object>
      }
      assert.lengthOf(report.cases, 2)
    }))
})
