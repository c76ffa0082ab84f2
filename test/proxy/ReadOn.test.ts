import { assert, describe, it } from "@effect/vitest"
import { ReadOn } from "../../src/proxy/ReadOn.js"

describe("An answer that is read on without its client", () => {
  it("is read as far as the limit from where the client left it", () => {
    const readOn = new ReadOn({ ms: 60_000, bytesMax: 10 }, 5, 0, assert.fail)
    assert.deepStrictEqual([5, 6].map((bytes) => readOn.hasRead(bytes)), [false, true])
    assert.deepStrictEqual([15, 16].map((bytes) => readOn.isTooFar(bytes)), [false, true])
    readOn.end()
  })

  it("is read no longer than it may, and tells nobody of that once it has ended", async () => {
    const told: Array<string> = []
    const readOn = (name: string) => new ReadOn({ ms: 1, bytesMax: 10 }, 0, 0, () => void told.push(name))
    readOn("late")
    readOn("ended").end()
    // A timer of more time fires after those two.
    await new Promise((resolve) => setTimeout(resolve, 2))
    assert.deepStrictEqual(told, ["late"])
  })
})
