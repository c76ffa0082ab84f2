import { assert, describe, it } from "@effect/vitest"
import { existsSync, readdirSync, readFileSync } from "node:fs"
import { join } from "node:path"

const root = join(import.meta.dirname, "../..")

/** The pages that the program's own texts name. */
const named = (): ReadonlyArray<string> => {
  const files = readdirSync(join(root, "src"), { recursive: true, encoding: "utf8" }).filter((file) =>
    file.endsWith(".ts")
  )
  return [
    ...new Set(files.flatMap((file) => readFileSync(join(root, "src", file), "utf8").match(/docs\/[\w-]+\.md/g) ?? []))
  ]
}

describe("the pages that tau names", () => {
  it("are there, and come with the package", () => {
    assert.include(named(), "docs/executors.md")
    assert.deepStrictEqual(named().filter((page) => !existsSync(join(root, page))), [])
    const { files } = JSON.parse(readFileSync(join(root, "package.json"), "utf8")) as {
      readonly files: ReadonlyArray<string>
    }
    assert.include(files, "docs")
  })
})
