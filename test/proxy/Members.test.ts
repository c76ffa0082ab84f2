import { assert, describe, it } from "@effect/vitest"
import * as FastCheck from "effect/FastCheck"
import { type Member, Members } from "../../src/proxy/Members.js"

describe("Members", () => {
  it.prop("hold what a set would hold, and tell what they did not", [
    FastCheck.array(FastCheck.tuple(FastCheck.boolean(), FastCheck.integer({ min: 0, max: 9 })), { maxLength: 60 })
  ], ([steps]) => {
    const all: ReadonlyArray<Member> = Array.from({ length: 10 }, () => ({ place: -1 }))
    const members = new Members<Member>()
    const others = new Members<Member>()
    const other = { place: -1 }
    others.add(other)
    const model = new Set<Member>()
    for (const [isAdded, n] of steps) {
      const member = all[n]!
      if (isAdded && !model.has(member)) {
        members.add(member)
        model.add(member)
      } else if (!isAdded) {
        assert.strictEqual(members.delete(member), model.delete(member))
      }
      assert.isFalse(members.delete(other))
      assert.strictEqual(members.size, model.size)
      assert.isTrue([...members].every((member) => model.has(member)) && new Set(members).size === model.size)
      for (const each of all) assert.strictEqual(each.place === -1, !model.has(each))
    }
  })

  it("are gone through as they were, whatever leaves meanwhile", () => {
    const members = new Members<Member>()
    const all = Array.from({ length: 5 }, () => ({ place: -1 }))
    for (const member of all) members.add(member)
    const seen: Array<Member> = []
    for (const member of members) {
      seen.push(member)
      members.delete(member)
    }
    assert.isTrue(seen.length === 5 && all.every((member) => seen.includes(member)))
    assert.strictEqual(members.size, 0)
  })
})
