import { assert, describe, it } from "@effect/vitest"
import { Chance } from "../../../src/optimizer/Chance.js"
import { gepa } from "../../../src/optimizer/Gepa.js"
import { rgepa } from "../../../src/optimizer/Rgepa.js"
import type { Found, Steps, Task } from "../../../src/optimizer/Search.js"
import { reflection, type ReflectorStrength, taskSpecs, TaskWorld } from "../../../src/testing/index.js"
import { search } from "../../support/search.js"

const optimize = (name: string, optimizer: (task: Task) => Steps<Found>, strength: ReflectorStrength, seed = "1") => {
  const world = new TaskWorld(taskSpecs.find((spec) => spec.name === name)!, { seed })
  const train = world.examples(0, 100)
  const selection = world.examples(100, 60)
  const byId = new Map([...train, ...selection].map((request) => [request.id, request]))
  const searched = search(
    optimizer({ seed: world.spec.seed, train, selection, chance: new Chance(Number(seed)) }),
    {
      rollout: (texts, { id }, sample) => world.run(texts, byId.get(id)!, sample),
      reflect: (prompt, path) => ({ text: reflection(strength, seed, prompt, path) })
    },
    { rolloutsMax: 1500, reflectionsMax: 300 }
  )
  return {
    ...searched,
    before: world.trueScore(world.spec.seed),
    after: world.trueScore(searched.found!.best)
  }
}

describe("a search in the task world", () => {
  it.each([["extract", gepa], ["extract", rgepa], ["triage", rgepa], ["agent", rgepa]] as const)(
    "finds rules with a strong reflector: %s",
    (name, optimizer) => {
      const { after, before, spent } = optimize(name, optimizer, "strong")
      assert.isAbove(after, before + 0.25)
      assert.isAtMost(spent.rollouts, 1500)
    }
  )

  it("claims a gain on the null task, where there is none", () => {
    const { after, before, found } = optimize("null", rgepa, "medium")
    assert.strictEqual(after, before)
    assert.isAbove(found!.mean!, before)
  })
})
