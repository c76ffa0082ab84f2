import { assert, describe, it } from "@effect/vitest"
import * as fc from "effect/FastCheck"
import { defaultGateSettings } from "../../src/optimizer/GateSettings.js"
import { slicesOf } from "../../src/optimizer/Slices.js"
import { splitValidate } from "../../src/optimizer/Split.js"
import { examplesOf } from "./gateDriver.js"

const ids = (examples: ReadonlyArray<{ readonly id: string }>) => examples.map(({ id }) => id)

describe("the split of validate", () => {
  it.prop("gives the gate its share to the example, whatever the seed", [
    fc.integer({ min: 50, max: 300 }),
    fc.double({ min: 0.1, max: 0.9, noNaN: true }),
    fc.integer({ min: 0 })
  ], ([n, fraction, seed]) => {
    const validate = examplesOf(n)
    const { gate, selection, untestable } = splitValidate(validate, seed, { ...defaultGateSettings, fraction })
    assert.strictEqual(untestable, null)
    assert.strictEqual(gate.length, Math.round(fraction * n))
    assert.deepStrictEqual(ids([...gate, ...selection]).toSorted(), ids(validate).toSorted())
  })

  it("does not depend on the order of the examples, and few change sides when others are added", () => {
    const validate = examplesOf(150)
    fc.assert(
      fc.property(
        fc.integer({ min: 0, max: 2 ** 31 }),
        fc.shuffledSubarray([...validate], { minLength: 50 }),
        (seed, some) => {
          const { gate } = splitValidate(some, seed, defaultGateSettings)
          assert.deepStrictEqual(splitValidate(some.toReversed(), seed, defaultGateSettings).gate, gate)
          const before = new Set(ids(gate))
          const after = new Set(ids(splitValidate(validate, seed, defaultGateSettings).gate))
          const moved = some.filter(({ id }) => before.has(id) !== after.has(id))
          // All of them one way, and each makes room for one that came.
          assert.isAtMost(moved.length, validate.length - some.length)
          assert.isAtMost(new Set(moved.map(({ id }) => after.has(id))).size, 1)
        }
      ),
      { numRuns: 60 }
    )
  })

  it("has as its first examples those of a smaller share", () => {
    const validate = examplesOf(100)
    const gateOf = (fraction: number) => splitValidate(validate, 1, { ...defaultGateSettings, fraction }).gate
    assert.deepStrictEqual(gateOf(0.4).slice(0, 20), gateOf(0.2))
  })

  it("keeps out of the gate what the search trains on", () => {
    const validate = examplesOf(100)
    const train = validate.slice(0, 50).map((example) => ({ ...example, id: `train ${example.id}` }))
    const { gate, selection } = splitValidate(validate, 1, defaultGateSettings, train)
    assert.deepStrictEqual([gate.length, selection.length], [40, 60])
    const trained = new Set(train.map(({ input }) => input))
    assert.isFalse(gate.some(({ input }) => trained.has(input)))
    assert.strictEqual(
      splitValidate(validate, 1, defaultGateSettings, validate).untestable,
      "not testable: all 100 examples stand in optimize, too; at least 168 others needed to find a gain of 20 points"
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
    assert.strictEqual(gate.length, 64)
    assert.isFalse(gate.some(({ input }) => seen.has(input)))
  })

  it("says of one example many times that it takes different ones, and not more", () => {
    const [one] = examplesOf(1)
    const validate = Array.from({ length: 200 }, (_, n) => ({ ...one!, id: `same ${n}` }))
    assert.strictEqual(
      splitValidate(validate, 1, defaultGateSettings).untestable,
      "not testable: 200 examples, too many of them alike to be divided; at least 168 different ones needed to find a gain of 20 points"
    )
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
