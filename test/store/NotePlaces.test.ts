import { assert, describe, it } from "@effect/vitest"
import * as FastCheck from "effect/FastCheck"
import { NotePlaces } from "../../src/store/NotePlaces.js"

describe("Places for notes", () => {
  it("lie side by side for calls that begin together, and are used again", () => {
    const places = new NotePlaces()
    const first = Array.from({ length: 4 }, () => places.take())
    assert.deepStrictEqual(first, [0, 1, 2, 3])
    first.forEach((place) => places.leave(place))
    assert.deepStrictEqual(Array.from({ length: 3 }, () => places.take()), [0, 1, 2])
  })

  const steps = FastCheck.array(
    FastCheck.record({ step: FastCheck.constantFrom("take", "leave", "clear"), pick: FastCheck.nat() }),
    { maxLength: 200, size: "max" }
  )

  it.prop("belong to one call at a time, are twice as many as calls at most, and are told once when they are old", [
    steps
  ], ([taken]) => {
    const places = new NotePlaces()
    const held: Array<number> = []
    const old = new Set<number>()
    let most = 0
    for (const { pick, step } of taken) {
      if (step === "take") {
        const place = places.take()
        assert.isFalse(held.includes(place))
        held.push(place)
        old.delete(place)
        most = Math.max(most, held.length)
        assert.isBelow(place, 2 * most)
      } else if (step === "clear") {
        assert.deepStrictEqual(places.clear(), [...old].toSorted((a, b) => a - b))
        old.clear()
      } else if (held.length > 0) {
        const [place = 0] = held.splice(pick % held.length, 1)
        places.leave(place)
        old.add(place)
      }
      assert.strictEqual(places.taken, held.length)
    }
  })
})
