import { assert, describe, it } from "@effect/vitest"
import { readFileSync } from "node:fs"
import { join } from "node:path"
import { searchJson } from "../../src/optimizer/report/searchJson.js"
import { report } from "../optimizer/report/reports.js"

const page = readFileSync(join(import.meta.dirname, "../../docs/optimizers.md"), "utf8")
const [, section] = /^### The report as JSON\n([^]*?)^## /m.exec(page)!

describe("docs/optimizers.md", () => {
  it("has every field of a report as JSON, and no other", () => {
    const told = JSON.parse(searchJson(report, { failures: [] })) as Record<string, unknown>
    const fields = [...section!.matchAll(/^\| (`[^|]*) \|/gm)].flatMap(([, names]) => names!.match(/(?<=`)\w+/g)!)
    assert.sameMembers(fields, Object.keys(told))
    const nested = [told["gate"], told["budget"], (told["candidates"] as ReadonlyArray<unknown>)[0], told["winner"]]
    for (const name of nested.flatMap((object) => Object.keys(object as object))) {
      assert.include(section, `\`${name}\``, name)
    }
  })
})
