import { assert, describe, it } from "@effect/vitest"
import { existsSync, readFileSync } from "node:fs"
import { join } from "node:path"
import { rootFlags } from "../../src/cli/flags.js"

const root = join(import.meta.dirname, "../..")
const read = (path: string) => readFileSync(join(root, path), "utf8")
const page = read("docs/agents.md")

/** Cells of the page's table, row by row. */
const rows = page.split("\n").filter((line) => line.startsWith("| [")).map((line) =>
  line.split("|").slice(1, -1).map((cell) => cell.trim())
)

/** What `npm run clients` drives: the package, and its version. */
const driven = (): ReadonlyArray<readonly [string, string]> => {
  const { dependencies } = JSON.parse(read("test/clients/package.json")) as { dependencies: Record<string, string> }
  const agents = [...read("test/clients/agents.mjs").matchAll(/package: "([^"]+)",\s+version: "([^"]+)"/g)]
  return [...Object.entries(dependencies), ...agents.map(([, name, version]) => [name!, version!] as const)]
}

describe("docs/agents.md", () => {
  it("has a section for each client of its table", () => {
    assert.isAtLeast(rows.length, 16)
    const anchors = [...page.matchAll(/^### (.+)$/gm)].map(([, title]) => title!.toLowerCase().replaceAll(" ", "-"))
    for (const [client] of rows) {
      assert.include(anchors, /\(#([\w-]+)\)/.exec(client!)?.[1] ?? "", client)
    }
    assert.strictEqual(anchors.length, rows.length)
  })

  it("says tried of what is driven, at that very version, and of nothing else but Python's standard library", () => {
    const names = driven()
    assert.isAtLeast(names.length, 13)
    for (const [name, version] of names) {
      // One row holds both of the AI SDK's packages; its third is told of in the section.
      const named = name === "@ai-sdk/openai-compatible" ? "@ai-sdk/openai" : name
      const row = rows.find(([client]) => client!.slice(1).split(/[\],]/).some((part) => part.trim() === named))
      assert.isDefined(row, name)
      if (named === name) assert.include(row![1], version, name)
      assert.match(row!.at(-1)!, /^November/, name)
    }
    const tried = rows.filter((row) => row.at(-1)!.startsWith("November")).map(([client]) => client!)
    const ofProgram = (client: string) => client.startsWith("[curl]") || names.some(([name]) => client.includes(name))
    assert.deepStrictEqual(tried.filter((client) => !ofProgram(client)), [])
  })

  it("names only flags, scripts and files that exist", () => {
    const flags = new Set(rootFlags.map(({ name }) => name))
    for (const [, flag] of page.matchAll(/--(prompt-optimization-[a-z-]+)/g)) assert.isTrue(flags.has(flag!), flag)
    const { scripts } = JSON.parse(read("package.json")) as { scripts: Record<string, string> }
    for (const [, script] of page.matchAll(/npm run ([a-z:]+)/g)) assert.property(scripts, script!)
    for (const [, link] of page.matchAll(/\]\(([^)#]+)\)/g)) assert.isTrue(existsSync(join(root, "docs", link!)), link)
  })
})
