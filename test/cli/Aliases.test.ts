import { describe, expect, it } from "@effect/vitest"
import * as FastCheck from "effect/FastCheck"
import { rewriteAliases } from "../../src/cli/Aliases.js"
import { aliases, rootFlags } from "../../src/cli/flags.js"

const words = FastCheck.array(
  FastCheck.oneof(
    FastCheck.constantFrom(...aliases.keys()).map((name) => `--${name}`),
    FastCheck.constantFrom(...aliases.keys()).map((name) => `--${name}=v=--train-json`),
    FastCheck.constantFrom(...rootFlags.map(({ name }) => `--${name}`)),
    FastCheck.constantFrom("--", "value", "-x", "--model=--train-json"),
    FastCheck.string()
  )
)
const isAlias = (arg: string) => arg.startsWith("--") && aliases.has(arg.slice(2).split("=")[0]!)

describe("old flag names", () => {
  it("all lead to flags that exist", () => {
    const names = rootFlags.map(({ name }) => name)
    for (const canonical of aliases.values()) expect(names).toContain(canonical)
  })

  it("warn in the order of the arguments, once per use, in both forms", () => {
    const { args, warnings } = rewriteAliases([
      "--train-json",
      "--train-config=a=b",
      "--train-json",
      "--",
      "--train-json"
    ])
    expect(args).toEqual([
      "--prompt-optimization-json",
      "--prompt-optimization-config=a=b",
      "--prompt-optimization-json",
      "--",
      "--train-json"
    ])
    expect(warnings).toEqual([
      "deprecated CLI alias '--train-json' detected; use '--prompt-optimization-json' instead.",
      "deprecated CLI alias '--train-config' detected; use '--prompt-optimization-config' instead.",
      "deprecated CLI alias '--train-json' detected; use '--prompt-optimization-json' instead."
    ])
  })

  it("keep a value of several lines whole", () => {
    expect(rewriteAliases(["--train-config=a\nb"]).args).toEqual(["--prompt-optimization-config=a\nb"])
  })

  it.prop("are rewritten before -- and nowhere else; everything else stays as it is", [words], ([args]) => {
    const rewritten = rewriteAliases(args)
    const end = args.includes("--") ? args.indexOf("--") : args.length
    expect(rewritten.warnings).toHaveLength(args.slice(0, end).filter(isAlias).length)
    expect(rewritten.args).toHaveLength(args.length)
    args.forEach((arg, index) => {
      const after = rewritten.args[index]!
      if (index < end && isAlias(arg)) {
        expect(isAlias(after)).toBe(false)
        expect(after.split("=").slice(1)).toEqual(arg.split("=").slice(1))
      } else expect(after).toBe(arg)
    })
    expect(rewriteAliases(rewritten.args)).toEqual({ args: rewritten.args, warnings: [] })
  })
})
