import { assert, describe, it } from "@effect/vitest"
import { RunId } from "../../src/domain/Ids.js"
import { begunLines, stoppedLine } from "../../src/runtime/runLines.js"
import type { BegunRun } from "../../src/store/RunStore.js"

const begun = (given: Partial<BegunRun>) =>
  ({
    runId: RunId.make("run-1"),
    start: 2,
    total: 4,
    finishedBefore: 1,
    requeued: 2,
    retried: 0,
    unknownCalls: 0,
    otherUnfinished: [],
    ...given
  }) as unknown as BegunRun

describe("A run that begins", () => {
  it("is called new, or resumed with what was put back, and names the others that wait", () => {
    assert.deepStrictEqual(begunLines(begun({ start: 1 }), null), ["new run run-1: 4 rollouts"])
    assert.deepStrictEqual(begunLines(begun({ start: 1 }), "a search"), ["new run run-1: a search"])
    const other = { id: RunId.make("run-0"), configPath: "other.json" }
    assert.deepStrictEqual(begunLines(begun({ otherUnfinished: [other] as never }), "a search"), [
      "resuming run run-1: 1 of 4 rollouts already finished, 2 put back in the queue that a dead process held, 0 calls ended unknown",
      "also unfinished in this store: run-0 (other.json); its own command resumes it"
    ])
    assert.include(begunLines(begun({ retried: 3 }), null)[0], " 3 that failed put back in the queue, 2 put back")
  })
})

describe("A run that is stopped", () => {
  const fates = (finished: number, handedBack: number, underWay: number) =>
    stoppedLine({ finished: 3, total: 9 }, { finished, handedBack } as never, underWay).split("; ")[1]

  it("says what became of each attempt that was under way", () => {
    assert.strictEqual(fates(0, 0, 0), "nothing was under way")
    assert.strictEqual(fates(0, 2, 2), "2 under way handed back, uncharged")
    assert.strictEqual(fates(1, 2, 3), "1 under way finished, 2 handed back, uncharged")
    assert.strictEqual(
      fates(0, 1, 3),
      "1 under way handed back, uncharged, 2 given up, to be put back by the next start"
    )
    assert.strictEqual(fates(0, 0, 1), "1 under way given up, to be put back by the next start")
  })
})
