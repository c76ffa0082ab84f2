import { assert, describe, it } from "@effect/vitest"
import { operations } from "../../src/store/writer/operations.js"
import { simulate } from "../suites/simulation.js"
import { openMemory, storeIn } from "../support/operations.js"

/** `TAU_TEST_SEEDS=1000` simulates the seeds below it, `TAU_TEST_SEEDS=17..18` only that one. */
const seedsOf = (text: string): ReadonlyArray<number> => {
  const [first, last] = text.includes("..") ? text.split("..").map(Number) : [0, Number(text)]
  return Array.from({ length: last! - first! }, (_, n) => first! + n)
}

const seeds = seedsOf(process.env["TAU_TEST_SEEDS"] ?? "8")
const fresh = storeIn(operations, openMemory, "rolled-back")

const simulated = (seed: number) => {
  const { close, store } = fresh()
  try {
    return simulate({ seed, store })
  } finally {
    close()
  }
}

describe("Runners, leases, rescuer and control, simulated with faults", () => {
  it("keep every invariant at each step and bring every rollout to an end", () => {
    const faults: Record<string, number> = {}
    for (const seed of seeds) {
      const result = simulated(seed)
      assert.deepStrictEqual(result.problems, [], `seed ${seed}, after ${result.operations} operations`)
      for (const [name, count] of Object.entries(result.faults)) faults[name] = (faults[name] ?? 0) + count
    }
    if (seeds.length >= 8) {
      assert.includeMembers(Object.keys(faults), ["crash", "freeze", "slow", "cut", "drain", "jump", "pause", "cancel"])
    }
  }, 600_000)

  it("go the same way for the same seed, and another way for another", () => {
    const [first, second, other] = [simulated(1), simulated(1), simulated(3)]
    assert.strictEqual(first.hash, second.hash)
    assert.notStrictEqual(first.hash, other.hash)
  })
})
