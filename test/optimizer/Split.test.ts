import { assert, describe, it } from "@effect/vitest"
import * as fc from "effect/FastCheck"
import { defaultGateSettings } from "../../src/optimizer/GateSettings.js"
import { slicesOf } from "../../src/optimizer/Slices.js"
import { splitValidate } from "../../src/optimizer/Split.js"
import { examplesOf } from "./gateDriver.js"

const ids = (examples: ReadonlyArray<{ readonly id: string }>) => examples.map(({ id }) => id)

describe("the split of validate", () => {
  it("puts every example on one side, about two fifths of them on the gate's", () => {
    const validate = examplesOf(1_000)
    const { gate, selection, untestable } = splitValidate(validate, 1, defaultGateSettings)
    assert.strictEqual(untestable, null)
    assert.deepStrictEqual(ids([...gate, ...selection]).toSorted(), ids(validate).toSorted())
    assert.closeTo(gate.length, 400, 45)
    const quarter = splitValidate(validate, 1, { ...defaultGateSettings, fraction: 0.25 })
    assert.closeTo(quarter.gate.length, 250, 45)
  })

  it("leaves every example on its side when they are reordered, and when others are added", () => {
    const validate = examplesOf(120)
    fc.assert(
      fc.property(
        fc.integer({ min: 0, max: 2 ** 31 }),
        fc.shuffledSubarray([...validate], { minLength: 50 }),
        (seed, some) => {
          const all = new Set(ids(splitValidate(validate, seed, defaultGateSettings).gate))
          const { gate, selection } = splitValidate(some, seed, defaultGateSettings)
          assert.isTrue(gate.every(({ id }) => all.has(id)))
          assert.isFalse(selection.some(({ id }) => all.has(id)))
        }
      ),
      { numRuns: 40 }
    )
  })

  it("divides anew with another seed", () => {
    const validate = examplesOf(100)
    assert.notDeepEqual(
      ids(splitValidate(validate, 1, defaultGateSettings).gate),
      ids(splitValidate(validate, 2, defaultGateSettings).gate)
    )
  })

  it("keeps an example that is there twice on one side", () => {
    const twice = examplesOf(80).flatMap((example) => [example, { ...example, id: `again ${example.id}` }])
    const { gate, selection } = splitValidate(twice, 3, defaultGateSettings)
    const seen = new Set(selection.map(({ input }) => input))
    assert.isAbove(gate.length, 20)
    assert.isFalse(gate.some(({ input }) => seen.has(input)))
  })

  it("leaves fewer than 50 examples to the selection and says how many a test needs", () => {
    const few = examplesOf(49)
    const { gate, selection, untestable } = splitValidate(few, 1, defaultGateSettings)
    assert.deepStrictEqual(selection, few)
    assert.deepStrictEqual(gate, [])
    assert.match(untestable!, /^not testable: 49 examples; at least 168 needed/)
    assert.strictEqual(splitValidate(examplesOf(50), 1, defaultGateSettings).untestable, null)
  })
})

describe("slices", () => {
  it("are the tags and the slice of an example", () => {
    assert.deepStrictEqual(slicesOf({ prompt: "?", tags: ["long", "german", "long"], slice: "hard" }), [
      "long",
      "german",
      "hard"
    ])
    assert.deepStrictEqual(slicesOf({ tags: "long" }), ["long"])
    assert.deepStrictEqual(slicesOf({ tags: [1, null], slice: 7 }), [])
    assert.deepStrictEqual(slicesOf({}), [])
  })
})
