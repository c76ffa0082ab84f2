import { assert, describe, it } from "@effect/vitest"
import { readdirSync, readFileSync } from "node:fs"
import { join } from "node:path"

const folder = join(import.meta.dirname, "../../dist/bundle")

/** The bundled code that these files load before they do anything; what they load later is not among it. */
const loadedBy = (...entries: ReadonlyArray<string>): string => {
  const names = entries.map((entry) => readdirSync(folder).find((name) => name.replace(/(-\w+)?\.js$/, "") === entry)!)
  const texts = new Map<string, string>()
  for (const name of names) {
    if (texts.has(name)) continue
    const text = readFileSync(join(folder, name), "utf8")
    texts.set(name, text)
    for (const [, file] of text.matchAll(/^(?:import|\} from) .*?"\.\/(.+\.js)";$/gm)) names.push(file!)
  }
  return [...texts.values()].join("")
}

describe("The command's bundle", () => {
  for (const command of ["ProxyCommand", "OptimizeCommand"]) {
    it(`of ${command} loads neither the dashboard nor the whole of undici`, () => {
      const loaded = loadedBy("main", "Dispatch", command)
      // The bundle names the modules it is made of.
      assert.match(loaded, /^\/\/ src\/proxy\/Gateway\.ts$/m)
      assert.notMatch(loaded, /^\/\/ src\/dashboard\/(?!Access)/m)
      assert.notMatch(loaded, /^\/\/ node_modules\/(@effect\/platform\/.*HttpApi|ws\/|mime\/)/m)
      assert.notMatch(loaded, /\b(from|import|require\() ?"undici"/)
    })
  }
})
