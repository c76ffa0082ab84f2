import { assert, describe, it } from "@effect/vitest"
import { searchJson } from "../../../src/optimizer/report/searchJson.js"
import { report } from "./reports.js"

describe("searchJson", () => {
  it("tells programs dollars without the noise of their sum", () => {
    const usd = { ...report.budget.usd, spent: 0.1 + 0.2 }
    assert.include(searchJson({ ...report, budget: { ...report.budget, usd } }), "\"spent\": 0.3,")
  })
})
