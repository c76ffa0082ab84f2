import { assert, describe, it } from "@effect/vitest"
import { ReadOn } from "../../src/proxy/ReadOn.js"

describe("An answer that is read on without its client", () => {
  it("is read as far as the limit from where the client left it", () => {
    const readOn = new ReadOn({ ms: 60_000, bytesMax: 10 }, 5, 0, assert.fail)
    assert.deepStrictEqual([5, 6].map((bytes) => readOn.hasRead(bytes)), [false, true])
    assert.deepStrictEqual([15, 16].map((bytes) => readOn.isTooFar(bytes)), [false, true])
    readOn.end()
  })
})
