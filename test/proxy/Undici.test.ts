import { assert, describe, it } from "@effect/vitest"
import * as index from "undici"
import * as parts from "../../src/proxy/Undici.js"

describe("The parts of undici", () => {
  for (const [name, part] of Object.entries(parts)) {
    it(`${name} is the index's`, () => {
      assert.strictEqual<unknown>(part, index[name as keyof typeof parts])
    })
  }
})
