import { assert, describe, it } from "@effect/vitest"
import { readFileSync } from "node:fs"
import { join } from "node:path"
import { refusals } from "../../src/proxy/ProxyError.js"

const page = readFileSync(join(import.meta.dirname, "../../docs/proxy.md"), "utf8")

describe("docs/proxy.md", () => {
  it("has each error that the proxy itself answers, with its status", () => {
    const rows = Array.from(page.matchAll(/^\| (\d{3}) +\| `(\w+)` /gm), ([, status, code]) => `${status} ${code}`)
    assert.sameMembers(rows, Object.values(refusals).map(({ code, status }) => `${status} ${code}`))
  })
})
