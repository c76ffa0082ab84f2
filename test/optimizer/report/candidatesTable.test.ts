import { assert, describe, it } from "@effect/vitest"
import { candidatesTable } from "../../../src/optimizer/report/candidatesTable.js"
import { report } from "./reports.js"

describe("candidatesTable", () => {
  it("cuts long names of components inside: those of one agent begin alike", () => {
    const [first] = report.candidates.slice(1)
    const named = (component: string) => ({ ...first!, change: { ...first!.change!, component } })
    const [, orders, returns] = candidatesTable({
      candidates: ["orders", "returns"].map((what) => named(`tool_description_of_search_in_all_${what}`))
    }).split("\n")
    assert.match(orders!, / edits t\w+…\w+_orders$/)
    assert.match(returns!, / edits t\w+…\w+_returns$/)
    assert.isAtMost(orders!.length, 80)
  })
})
