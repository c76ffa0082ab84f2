import { assert, describe, it } from "@effect/vitest"
import {
  attemptStatuses,
  canMoveAttempt,
  canMoveRollout,
  isUnfinished,
  rolloutStatuses,
  runStates
} from "../../src/domain/Lifecycle.js"

const movesOf = <Status extends string>(
  statuses: ReadonlyArray<Status>,
  canMove: (from: Status, to: Status) => boolean
): Readonly<Record<string, string>> =>
  Object.fromEntries(
    statuses.map((from) => [from, statuses.filter((to) => to !== from && canMove(from, to)).join("|")])
  )

describe("The moves that are allowed", () => {
  it("are these of a rollout, and no others", () => {
    assert.deepStrictEqual(movesOf(rolloutStatuses, canMoveRollout), {
      queuing: "preparing|running|cancelled|requeuing",
      preparing: "running|failed|cancelled|requeuing",
      running: "failed|succeeded|cancelled|requeuing",
      failed: "cancelled|requeuing",
      succeeded: "",
      cancelled: "",
      requeuing: "preparing|running|cancelled"
    })
  })

  it("are these of an attempt, whose end is for good", () => {
    assert.deepStrictEqual(movesOf(attemptStatuses, canMoveAttempt), {
      preparing: "running|failed|succeeded|unresponsive|timeout",
      running: "failed|succeeded|unresponsive|timeout",
      failed: "",
      succeeded: "",
      unresponsive: "",
      timeout: ""
    })
  })

  it("are always that of staying as it is", () => {
    assert.isTrue(rolloutStatuses.every((status) => canMoveRollout(status, status)))
    assert.isTrue(attemptStatuses.every((status) => canMoveAttempt(status, status)))
  })
})

describe("A run", () => {
  it("may still go on while it is running or paused", () => {
    assert.deepStrictEqual(runStates.filter((state) => isUnfinished({ state })), ["running", "paused"])
  })
})
