import { assert, describe, it } from "@effect/vitest"
import { build } from "esbuild"
import { basename, join } from "node:path"
import { bundleOptions } from "../../scripts/dev/bundle.mjs"

const root = join(import.meta.dirname, "../..")

/** The bundle as one file for each module that is imported late and one for what they share: what runs when one of them is imported. */
const files = build({
  ...bundleOptions(root, "cli/main"),
  format: "esm",
  banner: {},
  footer: {},
  splitting: true,
  outdir: "dist/bundle",
  write: false
}).then(({ outputFiles = [] }) => new Map(outputFiles.map(({ path, text }) => [basename(path), text])))

/** The code that runs when these modules are imported; what they import later is not among it. */
const ranBy = async (...modules: ReadonlyArray<string>): Promise<string> => {
  const texts = await files
  const names = modules.map((module) => [...texts.keys()].find((name) => name.replace(/(-\w+)?\.js$/, "") === module)!)
  const ran = new Map<string, string>()
  for (const name of names) {
    if (ran.has(name)) continue
    const text = texts.get(name)!
    ran.set(name, text)
    for (const [, file] of text.matchAll(/^(?:import|\} from) .*?"\.\/(.+\.js)";$/gm)) names.push(file!)
  }
  return [...ran.values()].join("")
}

describe("The command's bundle", () => {
  for (const command of ["ProxyCommand", "OptimizeCommand"]) {
    it(`of ${command} runs neither the dashboard nor the whole of undici`, async () => {
      const ran = await ranBy("main", "Start", "Dispatch", command)
      // The bundle names the modules it is made of.
      assert.match(ran, /^\/\/ src\/proxy\/Gateway\.ts$/m)
      assert.notMatch(ran, /^\/\/ src\/dashboard\/(?!Access)/m)
      assert.notMatch(ran, /^\/\/ node_modules\/(@effect\/platform\/.*HttpApi|ws\/|mime\/)/m)
      assert.notMatch(ran, /\b(from|import|require\() ?"undici"/)
    })
  }

  it("needs no package to help or to name a mistake", async () => {
    assert.notMatch(await ranBy("main"), /^\/\/ node_modules\//m)
  })
})
