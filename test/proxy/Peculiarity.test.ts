import { assert, describe, it } from "@effect/vitest"
import { peculiarityOf } from "../../src/proxy/Peculiarity.js"

type Given = Parameters<typeof peculiarityOf>
const rewrite = { components: [], matched: [], missed: [0] }

describe("What few calls have to say of themselves", () => {
  it.each<readonly [given: Given, said: ReturnType<typeof peculiarityOf>]>([
    [[null, false, null, false, false, 0], null],
    [[null, false, null, false, false, 99.9], null],
    [[null, false, null, false, false, 100], { silentMs: 100 }],
    [[null, false, null, false, false, 1234.5], { silentMs: 1235 }],
    [["s1", false, null, false, false, 0], { replayOf: "s1" }],
    [[null, true, null, false, false, 0], { hasDiverged: true }],
    [[null, false, rewrite, false, false, 0], { rewrite }],
    [[null, false, null, true, false, 0], { usageAsked: true }],
    [[null, false, null, false, true, 0], { wasReadOn: true }],
    [["s1", true, rewrite, true, true, 100], {
      replayOf: "s1",
      hasDiverged: true,
      rewrite,
      usageAsked: true,
      wasReadOn: true,
      silentMs: 100
    }]
  ])("of %j is %j", (given, said) => {
    assert.deepStrictEqual(peculiarityOf(...given), said)
  })
})
