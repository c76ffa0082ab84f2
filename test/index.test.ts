import { assert, describe, it } from "@effect/vitest"
import { readFileSync } from "node:fs"
import { fileURLToPath } from "node:url"
import ts from "typescript"

const root = fileURLToPath(new URL("../", import.meta.url))

const documents = ["src/index.ts", "src/testing/index.ts", "docs/library.md", "docs/proxy.md", "docs/task-world.md"]

/** The programs that a page or a docstring shows to whoever embeds tau, by the names of files that do not exist. */
const examplesOf = (document: string): ReadonlyArray<readonly [string, string]> => {
  const text = readFileSync(`${root}${document}`, "utf8").replaceAll(/^ \* ?/gm, "")
  return [...text.matchAll(/^```ts\n([^]*?)^```$/gm)]
    .map(([, program]) => program!)
    .filter((program) => /from "tau(?:\/testing)?"/.test(program))
    .map((program, index) => [`${root}${document.replaceAll("/", "-")}.${index}.ts`, program])
}

const examples = new Map(documents.flatMap(examplesOf))

/** What the compiler has against the examples, with `tau` as it is in `src`. */
const complaints = (): ReadonlyArray<string> => {
  const options: ts.CompilerOptions = {
    target: ts.ScriptTarget.ES2022,
    module: ts.ModuleKind.NodeNext,
    types: ["node"],
    strict: true,
    skipLibCheck: true,
    noEmit: true,
    paths: { tau: [`${root}src/index.ts`], "tau/testing": [`${root}src/testing/index.ts`] }
  }
  const host = ts.createCompilerHost(options)
  const { fileExists, getSourceFile, readFile } = host
  host.fileExists = (name) => examples.has(name) || fileExists(name)
  host.readFile = (name) => examples.get(name) ?? readFile(name)
  host.getSourceFile = (name, version, ...rest) => {
    const text = examples.get(name)
    return text === undefined ? getSourceFile(name, version, ...rest) : ts.createSourceFile(name, text, version)
  }
  const program = ts.createProgram([...examples.keys()], options, host)
  return [...examples.keys()].flatMap((name) =>
    [
      ...program.getSyntacticDiagnostics(program.getSourceFile(name)),
      ...program.getSemanticDiagnostics(program.getSourceFile(name))
    ]
      .map(({ messageText }) => `${name.slice(root.length)}: ${ts.flattenDiagnosticMessageText(messageText, "\n")}`)
  )
}

describe("the public API", () => {
  it("is used by the examples of its docstrings and pages as the compiler has it", { timeout: 120_000 }, () => {
    assert.deepStrictEqual(documents.filter((document) => examplesOf(document).length === 0), [])
    assert.deepStrictEqual(complaints(), [])
  })

  it("is installed with the Effect that it has itself, and published by nobody by accident", () => {
    const { dependencies, private: isPrivate } = JSON.parse(readFileSync(`${root}package.json`, "utf8")) as {
      readonly dependencies: { readonly effect: string }
      readonly private: boolean
    }
    const [, effect] = /effect@(\S+)/.exec(readFileSync(`${root}docs/library.md`, "utf8")) ?? []
    assert.strictEqual(effect, dependencies.effect)
    assert.isTrue(isPrivate)
  })

  it("has every error that a scorer of one's own may fail with", async () => {
    const { RolloutRejected, ScoringFailed } = await import("../src/index.js")
    assert.strictEqual(new ScoringFailed({ scorer: "mine", detail: "no answer" })._tag, "ScoringFailed")
    assert.strictEqual(new RolloutRejected({ detail: "a key is in it", rewards: [] })._tag, "RolloutRejected")
  })
})
