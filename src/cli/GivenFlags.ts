/** What the arguments and the variables give for each flag, before it is known what that means. Loads no Effect. */
import { parseArgs } from "node:util"
import { shown } from "../domain/shown.js"
import type { Flag } from "./flags.js"
import { switchWords, variableOf } from "./flags.js"
import type { Given } from "./FlagValue.js"
import { Mistake, readSwitch } from "./FlagValue.js"
import type { Environment } from "./Providers.js"
import { nearest } from "./Suggestion.js"

export interface Explicit {
  readonly explicit: ReadonlyMap<string, Given>
  /** Arguments that are no flags, in their order. */
  readonly operands: ReadonlyArray<string>
}

export interface Allowed {
  /** Arguments that are no flags mean something here. */
  readonly operands?: boolean
  /** What may have been meant by an argument that means nothing here. */
  readonly hint?: (value: string) => string | undefined
}

/** What was typed. Node's parser cuts the arguments up; what is allowed is decided here. */
export const explicitOf = (
  args: ReadonlyArray<string>,
  flags: ReadonlyArray<Flag>,
  command: string,
  allowed: Allowed
): Explicit => {
  const operands: Array<string> = []
  const byName = new Map(flags.map((flag) => [flag.name, flag]))
  const explicit = new Map<string, Given>()
  const { tokens } = parseArgs({
    args: [...args],
    options: Object.fromEntries(
      flags.map((flag) => [flag.name, { type: flag.value.kind === "switch" ? "boolean" as const : "string" as const }])
    ),
    strict: false,
    tokens: true
  })
  for (const token of tokens) {
    if (token.kind === "positional") {
      if (allowed.operands === true) {
        operands.push(token.value)
        continue
      }
      throw new Mistake(strayArgument(token.value, args[token.index - 1], byName, allowed.hint?.(token.value), command))
    }
    if (token.kind === "option-terminator") continue
    const flag = token.rawName.startsWith("--") ? byName.get(token.name) : undefined
    if (flag === undefined) throw new Mistake(unknownFlag(args[token.index]!, token.name, byName, command))
    const source = `--${flag.name}`
    if (explicit.has(flag.name)) throw new Mistake(`${source} is given twice`)
    explicit.set(flag.name, { flag, source, text: valueOf(flag, token.value, token.inlineValue === true) })
  }
  return { explicit, operands }
}

/** A separate value never starts with a dash, so that a forgotten value does not swallow the next flag. */
const valueOf = (flag: Flag, value: string | undefined, joined: boolean): string => {
  if (flag.value.kind === "switch") return value ?? "true"
  if (value === undefined) throw new Mistake(`--${flag.name} needs a value: ${flag.placeholder}`)
  if (!joined && value.startsWith("-") && value.length > 1) {
    throw new Mistake(
      `--${flag.name} needs a value, found ${
        shown(value)
      }; write --${flag.name}=VALUE for a value that starts with a dash`
    )
  }
  return value
}

const unknownFlag = (arg: string, name: string, known: ReadonlyMap<string, Flag>, command: string): string => {
  // Without a value they were answered before anything was read.
  if (arg.startsWith("--help=") || arg.startsWith("--version=")) return `--${name} takes no value`
  const written = arg.startsWith("--") ? `--${name}` : arg
  const near = nearest(name, known.keys())
  // Most names begin alike and are long: `--config` says what is meant as well.
  const meant = near === undefined ? [...known.keys()].filter((flag) => flag.endsWith(`-${name}`)) : [near]
  const hint = meant.length === 0
    ? `see ${command} --help`
    : `did you mean ${meant.map((flag) => `--${flag}`).join(" or ")}?`
  return `unknown flag ${shown(written)}; ${hint}`
}

const strayArgument = (
  value: string,
  before: string | undefined,
  known: ReadonlyMap<string, Flag>,
  hint: string | undefined,
  command: string
): string => {
  const flag = before?.startsWith("--") === true ? known.get(before.slice(2)) : undefined
  const meant = flag?.value.kind === "switch" && switchWords.has(value.toLowerCase())
    ? `a switch takes its value as --${flag.name}=${value}`
    : hint ?? `see ${command} --help`
  return `unexpected argument ${shown(value)}; ${meant}`
}

/** What flags and variables say, a flag before its variable. Variables are read only when asked for. */
export class GivenFlags {
  constructor(
    private readonly flags: ReadonlyArray<Flag>,
    readonly explicit: ReadonlyMap<string, Given>,
    private readonly environment: Environment
  ) {}

  /** An empty variable counts as not set. */
  private variable(flag: Flag): Given | undefined {
    const source = variableOf(flag)
    const text = this.environment[source]
    return text === undefined || text === "" ? undefined : { flag, source, text }
  }

  find(name: string): Given | undefined {
    return this.explicit.get(name) ?? this.variable(this.flag(name))
  }

  get(name: string): Given {
    const flag = this.flag(name)
    return this.find(name) ?? { flag, source: `--${name}`, text: flag.default! }
  }

  isOn(name: string): boolean {
    const given = this.find(name)
    return given !== undefined && readSwitch(given)
  }

  private flag(name: string): Flag {
    return this.flags.find((flag) => flag.name === name)!
  }
}
