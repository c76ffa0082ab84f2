import { assert, describe, it } from "@effect/vitest"
import * as index from "undici"
import * as parts from "../../src/http/Undici.js"

describe("The parts of undici", () => {
  const { request: _, ...taken } = parts
  for (const [name, part] of Object.entries(taken)) {
    it(`${name} is the index's`, () => {
      assert.strictEqual<unknown>(part, index[name as keyof typeof taken])
    })
  }
})
