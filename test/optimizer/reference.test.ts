import { assert, describe, it } from "@effect/vitest"
import { readFileSync } from "node:fs"
import { gepa } from "../../src/optimizer/Gepa.js"
import { examplesOf, search, taskOf, type World } from "../support/search.js"

interface Recorded {
  readonly seed: number
  readonly steps: ReadonlyArray<
    { readonly parent: string; readonly examples: ReadonlyArray<number>; readonly accepted: boolean }
  >
}

const recorded: ReadonlyArray<Recorded> = JSON.parse(
  readFileSync(new URL("reference.json", import.meta.url), "utf8")
)

/** The world of reference.py. */
const world = (): World => {
  let answers = 0
  return {
    rollout: ({ p }, { id }) => {
      const n = Number(p!.slice(1))
      const example = Number(id.split("-")[1]) + (id.startsWith("train") ? 0 : 100)
      return { score: (n * 7 + example * 13 + n * example % 11) % 8 / 8 }
    },
    reflect: () => {
      answers += 1
      return { text: `\`\`\`\nt${answers}\n\`\`\`` }
    }
  }
}

describe("gepa with CPython's random numbers", () => {
  it.each(recorded)("makes the choices that Python makes from seed $seed", ({ seed, steps }) => {
    const task = taskOf({
      seed: { p: "t0" },
      train: examplesOf("train", 10),
      selection: examplesOf("selection", 12)
    })
    const { works } = search(gepa(task, { rng: "python", rngSeed: seed }), world(), {
      rolloutsMax: 100_000,
      reflectionsMax: steps.length,
      stallMax: 1_000
    })
    const asks = works.flatMap(({ asks }) => asks)
    const evaluations = asks.filter((ask) => ask._tag === "Evaluate").filter(({ split }) => split === "train")
    const parents = evaluations.filter((_, at) => at % 2 === 0).slice(0, steps.length)
    assert.deepStrictEqual<unknown>(
      parents.map(({ examples, texts }) => ({
        parent: texts.p,
        examples: examples.map(({ id }) => Number(id.split("-")[1]))
      })),
      steps.map(({ examples, parent }) => ({ parent, examples }))
    )
    const joined = asks.flatMap((ask) =>
      ask._tag === "Note" && ask.event.type === "accepted" ? [ask.event.candidate.p] : []
    )
    assert.deepStrictEqual(joined, ["t0", ...steps.flatMap(({ accepted }, at) => accepted ? [`t${at + 1}`] : [])])
  })
})
