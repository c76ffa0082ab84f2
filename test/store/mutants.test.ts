import { afterAll, assert, describe, it } from "@effect/vitest"
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, symlinkSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { pathToFileURL } from "node:url"
import { type Mutant, mutants } from "../suites/mutants.js"
import { checkQueueModel } from "../suites/queueModel.js"
import { simulate } from "../suites/simulation.js"
import { openMemory, type Operations, storeIn } from "../support/operations.js"

/**
 * `TAU_TEST_MUTANTS=all` lets the model and the simulation look for every mutant, equivalent ones too, and prints which finds
 * what. Without it each is looked for by the one that is named to find it.
 */
const isThorough = process.env["TAU_TEST_MUTANTS"] === "all"
const [histories, seeds] = isThorough ? [2_000, 12] : [300, 1]

const root = join(import.meta.dirname, "../..")
const folder = mkdtempSync(join(tmpdir(), "tau-mutants-"))
afterAll(() => rmSync(folder, { recursive: true, force: true }))
symlinkSync(join(root, "node_modules"), join(folder, "node_modules"))
writeFileSync(join(folder, "package.json"), `{ "type": "module" }`)

let loaded = 0

/** The built operations with one text in them changed. */
const load = async ({ find, module, replace }: Mutant): Promise<Operations> => {
  const home = join(folder, `mutant-${++loaded}`)
  mkdirSync(join(home, "store/writer"), { recursive: true })
  for (const unchanged of ["domain", "openai"]) symlinkSync(join(root, "dist", unchanged), join(home, unchanged))
  const built = join(root, "dist/store/writer")
  for (const file of readdirSync(built).filter((name) => name.endsWith(".js"))) {
    const text = readFileSync(join(built, file), "utf8").replace(/^\/\/# sourceMappingURL.*$/m, "")
    if (file === `${module}.js`) {
      assert.strictEqual(text.split(find).length, 2, `${JSON.stringify(find)} occurs once in ${file}`)
    }
    writeFileSync(join(home, "store/writer", file), file === `${module}.js` ? text.replace(find, () => replace) : text)
  }
  const changed = (await import(pathToFileURL(join(home, "store/writer/operations.js")).href)) as {
    readonly operations: Operations
  }
  return changed.operations
}

/** What was found, in one line, or null. */
const foundByModel = (operations: Operations): string | null => {
  try {
    checkQueueModel({
      runs: histories,
      seed: 1,
      endOnFailure: true,
      fresh: storeIn(operations, openMemory, "rolled-back")
    })
    return null
  } catch (error) {
    const [, after, what] = /after (\d+) tests?[^]*Got (?:\w+: )?(.*)/.exec(String(error)) ?? []
    return `${what ?? String(error)} [history ${after}]`
  }
}

const foundBySimulation = (operations: Operations): string | null => {
  const fresh = storeIn(operations, openMemory, "rolled-back")
  for (let seed = 0; seed < seeds; seed++) {
    const { close, store } = fresh()
    try {
      const [problem] = simulate({ seed, store }).problems
      if (problem !== undefined) return `${problem} [seed ${seed}]`
    } catch (error) {
      return `${String(error)} [seed ${seed}]`
    } finally {
      close()
    }
  }
  return null
}

const lookFor = async (mutant: Mutant, ...by: ReadonlyArray<"model" | "simulation">) => {
  const operations = await load(mutant)
  const model = by.includes("model") ? foundByModel(operations) : null
  const simulation = by.includes("simulation") ? foundBySimulation(operations) : null
  if (isThorough) console.log(`${mutant.name}\n  model: ${model}\n  simulation: ${simulation}`)
  return { model, simulation }
}

const both = ["model", "simulation"] as const

const harmful = mutants.flatMap((mutant) =>
  typeof mutant.killedBy === "string" ? [[mutant.name, mutant, mutant.killedBy] as const] : []
)
const harmless = mutants.flatMap((mutant) =>
  typeof mutant.killedBy === "string" ? [] : [[mutant.name, mutant, mutant.killedBy.equivalent] as const]
)

describe("A bug seeded into the store", () => {
  it.each(harmful)("is found: %s", async (_, mutant, killedBy) => {
    const found = await lookFor(mutant, ...(isThorough ? both : [killedBy]))
    assert.isNotNull(found[killedBy], `the ${killedBy} does not find it`)
  }, 600_000)

  it.each(harmless)("would harm nobody: %s", async (_, mutant, reason) => {
    assert.deepStrictEqual(await lookFor(mutant, ...both), { model: null, simulation: null }, reason)
  }, 600_000)
})
