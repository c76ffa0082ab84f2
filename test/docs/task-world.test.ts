import { assert, describe, it } from "@effect/vitest"
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { loadBehaviour, startSimulatedModel } from "../../src/testing/index.js"

const page = readFileSync(join(import.meta.dirname, "../../docs/task-world.md"), "utf8")

describe("docs/task-world.md", () => {
  it("shows a behaviour file that a simulated model is made of, with every key that one may have", async () => {
    const [, file] = /^```json\n([^`]*)```/m.exec(page)!
    const folder = mkdtempSync(join(tmpdir(), "tau-test-"))
    const path = join(folder, "capitals.json")
    writeFileSync(path, file!)
    try {
      const model = await startSimulatedModel({ behaviours: [await loadBehaviour(path)] })
      const ask = async (system: string) => {
        const response = await fetch(`${model.url}/chat/completions`, {
          method: "POST",
          headers: { "content-type": "application/json" },
          body: JSON.stringify({
            model: "sim/capitals",
            messages: [{ role: "system", content: system }, { role: "user", content: "What is the capital of Peru?" }]
          })
        })
        const { choices } = await response.json() as { readonly choices: ReadonlyArray<{ readonly message: object }> }
        return (choices[0]!.message as { readonly content: string }).content
      }
      assert.strictEqual(await ask("Go step by step. Reply with only the city."), "Lima")
      await model.close()
      writeFileSync(path, JSON.stringify({ nonsense: true }))
      const refused = await loadBehaviour(path).catch(String)
      const keys = /one of the keys (.*), found/.exec(String(refused))![1]!.split(", ")
      for (const key of keys) assert.include(page, `\`${key}`)
    } finally {
      rmSync(folder, { recursive: true })
    }
  })
})
