import { assert, describe, it } from "@effect/vitest"
import { operations } from "../../src/store/writer/operations.js"
import { checkQueueModel } from "../suites/queueModel.js"
import { openFile, openMemory, storeIn } from "../support/operations.js"
import { testSeed } from "../support/seed.js"

/** More by hand: `TAU_TEST_RUNS=20000 TAU_TEST_SEED=random`. */
const runs = Number(process.env["TAU_TEST_RUNS"] ?? 500)

describe("The queue, whatever is asked of it in whatever order", () => {
  it.each(
    [
      ["in memory", openMemory, "rolled-back", runs],
      ["in a file", openFile, "committed", Math.ceil(runs / 50)]
    ] as const
  )(
    "does what the model says and breaks no invariant, %s",
    (_, open, ending, count) => {
      const histories = checkQueueModel({ runs: count, seed: testSeed, fresh: storeIn(operations, open, ending) })
      assert.isAtLeast(histories, count)
    },
    120_000
  )
})
