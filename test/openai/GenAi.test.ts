import { assert, describe, it } from "@effect/vitest"
import { mkdtempSync, readFileSync, rmSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { SpanState } from "../../src/domain/Span.js"
import { attributeMeanings, GenAi } from "../../src/openai/GenAi.js"
import { open } from "../../src/store/writer/Database.js"

const page = readFileSync(new URL("../../docs/spans.md", import.meta.url), "utf8")

/** The cells of a section's table, without its head. */
const rowsOf = (section: string) =>
  page.split(`\n## ${section}\n`)[1]!.split("\n## ")[0]!.split("\n").filter((line) => line.startsWith("| `"))
    .map((line) => line.split(" | ").map((cell) => cell.replace(/^\| | \|$/g, "").trim()))

/** Runs `use` with a new store. */
const withStore = <A>(use: (db: ReturnType<typeof open>) => A): A => {
  const folder = mkdtempSync(join(tmpdir(), "tau-spans-"))
  const db = open(join(folder, "store.sqlite"))
  try {
    return use(db)
  } finally {
    db.connection.close()
    rmSync(folder, { recursive: true, force: true })
  }
}

describe("docs/spans.md", () => {
  it("lists every attribute, in the words of the schema", () => {
    assert.deepStrictEqual(
      rowsOf("Attributes"),
      Object.entries(attributeMeanings).map(([name, meaning]) => [`\`${name}\``, meaning])
    )
    assert.sameMembers(Object.keys(attributeMeanings), Object.values(GenAi))
  })

  it("lists every column and every state", () => {
    const documented = rowsOf("Columns").flatMap(([cell]) => cell!.split(", ").map((name) => name.replaceAll("`", "")))
    const columns = withStore((db) => db.prepare("SELECT name FROM pragma_table_info('spans')").all()) as ReadonlyArray<
      { readonly name: string }
    >
    assert.sameMembers(documented, columns.map(({ name }) => name))
    for (const state of SpanState.literals) assert.include(page, `\`${state}\``)
  })

  it("shows queries that run", () => {
    const queries = [...page.matchAll(/```sql\n([^`]*)```/g)].map(([, query]) => query!)
    assert.isAbove(queries.length, 3)
    withStore((db) => {
      for (const query of queries) assert.deepStrictEqual(db.prepare(query).all(), [])
    })
  })
})
