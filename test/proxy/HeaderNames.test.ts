import { assert, describe, it } from "@effect/vitest"
import * as FastCheck from "effect/FastCheck"
import { HeaderNames } from "../../src/proxy/HeaderNames.js"

const name = FastCheck.stringMatching(/^[a-z-]{0,3}$|^[a-z-]{64,66}$/)

describe("Names of headers", () => {
  it.prop("are found in whatever case, and no others", [FastCheck.array(name), name], ([names, asked]) => {
    const known = new HeaderNames(names)
    for (const one of [...names, asked]) {
      assert.strictEqual(known.has(one), names.includes(one))
      assert.strictEqual(known.has(one.toUpperCase()), names.includes(one))
    }
  })
})
