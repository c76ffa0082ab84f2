import { assert, describe, it } from "@effect/vitest"
import { StoreClock } from "../../src/store/writer/StoreClock.js"

const hour = 3_600_000

describe("StoreClock", () => {
  it("follows the wall clock forwards, also by leaps", () => {
    const clock = new StoreClock(() => 0)
    assert.deepStrictEqual([100, 101, 101 + hour].map((wallMs) => clock.at(wallMs)), [100, 101, 101 + hour])
  })

  it("never runs backwards and never stands still when the wall clock is set back, until that has caught up", () => {
    let monotonicMs = 5_000
    const clock = new StoreClock(() => monotonicMs)
    assert.strictEqual(clock.at(10 * hour), 10 * hour)
    for (const passedMs of [0.4, 0.4, 0.4, 1_000, 30_000]) {
      monotonicMs += passedMs
      assert.strictEqual(clock.at(9 * hour), Math.floor(10 * hour + monotonicMs - 5_000))
    }
    assert.strictEqual(clock.at(11 * hour), 11 * hour)
  })

  it("is not led astray by a time that is no number", () => {
    const clock = new StoreClock(() => 0)
    clock.at(100)
    assert.deepStrictEqual([Number.NaN, Number.POSITIVE_INFINITY, -1].map((wallMs) => clock.at(wallMs)), [
      100,
      100,
      100
    ])
  })
})
