import { assert, describe, it } from "@effect/vitest"
import { Watched } from "../../../src/optimizer/run/Standing.js"
import { keyOf } from "../../../src/optimizer/Search.js"
import { apo } from "../../../src/optimizer/TextualGradient.js"
import { search, taskOf } from "../../support/search.js"

describe("where a search stands", () => {
  it("counts a text that is written again and again as one that was tried", () => {
    const task = taskOf()
    const watched = new Watched(task.seed)
    const rollout = ({ system_prompt }: Readonly<Record<string, string>>) => ({
      score: system_prompt === "Answer." ? 0 : 0.5
    })
    const { events } = search(apo(task), { rollout, reflect: () => ({ text: "```\nAnswer kindly.\n```" }) })
    for (const event of events) watched.see(event)
    const proposed = events.flatMap((event) => event.type === "proposed" ? [keyOf(event.candidate)] : [])
    assert.isAbove(proposed.length, 16)
    const { accepted, best, gate, tried } = watched.standing
    assert.deepStrictEqual([tried, accepted, best?.mean, gate], [1, 1, 0.5, null])
  })

  it("tells how the gate goes", () => {
    const seed = { system_prompt: "Answer." }
    const candidate = { system_prompt: "Answer kindly." }
    const watched = new Watched(seed)
    watched.see({ type: "accepted", candidate: seed, mean: 0.5, n: 10 })
    watched.see({ type: "gate_opened", candidate, pairs: 40, opening: 1, alpha: 0.03 })
    watched.see({ type: "gate_looked", n: 10, wins: 4, losses: 1, gain: 0.3, evidence: 2 })
    assert.deepStrictEqual(watched.standing.gate, { pairs: 40, n: 10, wins: 4, losses: 1 })
    assert.strictEqual(watched.standing.accepted, 0)
  })
})
