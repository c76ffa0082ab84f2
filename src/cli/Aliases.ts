import { aliases } from "./flags.js"

export interface Rewritten {
  readonly args: ReadonlyArray<string>
  /** One line per use of an old name, in the order of the arguments. */
  readonly warnings: ReadonlyArray<string>
}

/**
 * Puts the current name in the place of every old one, in `--a v` and `--a=v` form, up to `--`.
 *
 * The rewriting looks at whole arguments and does not need to know which of them are values: a value never starts with a
 * dash unless it is joined to its flag by `=`, and a joined value is left alone.
 */
export const rewriteAliases = (args: ReadonlyArray<string>): Rewritten => {
  const end = args.includes("--") ? args.indexOf("--") : args.length
  const warnings: Array<string> = []
  const rewritten = args.slice(0, end).map((arg) => {
    const [, name = "", rest = ""] = /^--([^=]*)(=.*)?$/s.exec(arg) ?? []
    const canonical = aliases.get(name)
    if (canonical === undefined) return arg
    warnings.push(`deprecated CLI alias '--${name}' detected; use '--${canonical}' instead.`)
    return `--${canonical}${rest}`
  })
  return { args: [...rewritten, ...args.slice(end)], warnings }
}
