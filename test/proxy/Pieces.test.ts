import { assert, describe, it } from "@effect/vitest"
import * as FastCheck from "effect/FastCheck"
import { Pieces } from "../../src/proxy/Pieces.js"

describe("Pieces", () => {
  const sizes = FastCheck.oneof(FastCheck.integer({ min: 0, max: 8 }), FastCheck.integer({ min: 0, max: 600 }))

  it.prop("are the body again, in order, whatever their sizes and however often it is asked for", [
    FastCheck.array(FastCheck.tuple(sizes, FastCheck.boolean()), { maxLength: 250, size: "max" })
  ], ([steps]) => {
    const pieces = new Pieces()
    const expected: Array<number> = []
    for (const [size, isAskedFor] of steps) {
      const piece = Uint8Array.from({ length: size }, (_, n) => (expected.length + n) % 251)
      expected.push(...piece)
      pieces.add(piece)
      if (isAskedFor) assert.isTrue(Buffer.from(expected).equals(pieces.content))
    }
    assert.isTrue(Buffer.from(expected).equals(pieces.content))
  })
})
