/**
 * A sub-command such as `tau simulate`: what it takes, as a table, and the work, which is loaded only when it is to be done.
 *
 * To add one: a file in `commands/` and a row in `commands.ts`. The parser, the help and `docs/cli.md` follow. Loads no Effect.
 */
import type * as Effect from "effect/Effect"
import { shown } from "../domain/shown.js"
import type { CommandError } from "./CliError.js"
import type { Flag } from "./flags.js"
import { Mistake } from "./FlagValue.js"
import { explicitOf, GivenFlags } from "./GivenFlags.js"
import type { Environment } from "./Providers.js"
import { nearest } from "./Suggestion.js"

/** An argument that is no flag: `<id>`, or one of a few words, as in `tau keys create`. */
export interface Operand {
  /** How help and mistakes call it, without the brackets. */
  readonly name: string
  /** The only words it may be; any text when there are none. */
  readonly words?: ReadonlyArray<string>
  /** It may be left out, and everything after it. */
  readonly optional?: true
  /** Takes all arguments that are left; only the last one may. */
  readonly many?: true
}

/** What a command is given: every flag by name, and the operands in their order. */
export interface CommandArguments {
  readonly flags: GivenFlags
  readonly operands: ReadonlyArray<string>
}

export interface CommandDefinition<Input> {
  /** The first argument that chooses it. */
  readonly name: string
  /** One line of `tau --help`, without a full stop. */
  readonly summary: string
  /** What its own help says first, in whole sentences. */
  readonly description: string
  readonly examples: readonly [string, ...ReadonlyArray<string>]
  readonly operands?: ReadonlyArray<Operand>
  readonly flags: ReadonlyArray<Flag>
  /** It runs until it is told to stop, so that being told is success. */
  readonly untilStopped?: true
  /** Checks the arguments; throws a `Mistake` for what cannot be meant. */
  readonly read: (given: CommandArguments) => Input
  /** The module that does the work: the only part that may load Effect. */
  readonly load: () => Promise<{ readonly run: (input: Input) => Effect.Effect<number, CommandError> }>
}

/** A command that was asked for, its arguments checked. */
export interface CommandMode {
  readonly _tag: "command"
  readonly command: string
  readonly untilStopped: boolean
  /** What was read from the arguments. */
  readonly input: unknown
  readonly start: () => Promise<Effect.Effect<number, CommandError>>
}

export interface Command extends Omit<CommandDefinition<never>, "read" | "load" | "operands"> {
  readonly operands: ReadonlyArray<Operand>
  /** `tau keys create|list|revoke [<id>]`. */
  readonly usage: string
  /** Reads what follows the command's name; throws a `Mistake`. */
  readonly parse: (args: ReadonlyArray<string>, environment: Environment) => CommandMode
}

export const defineCommand = <Input>(definition: CommandDefinition<Input>): Command => {
  const { load, name, operands = [], read, ...rest } = definition
  const flags = definition.flags.map((flag): Flag => ({ ...flag, command: name }))
  const parse = (args: ReadonlyArray<string>, environment: Environment): CommandMode => {
    const { explicit, operands: written } = explicitOf(args, flags, `tau ${name}`, {
      operands: operands.length > 0
    })
    const input = read({
      flags: new GivenFlags(flags, explicit, environment),
      operands: checked(name, operands, written)
    })
    return {
      _tag: "command",
      command: name,
      untilStopped: rest.untilStopped === true,
      input,
      start: () => load().then(({ run }) => run(input))
    }
  }
  return { ...rest, name, operands, flags, usage: ["tau", name, ...operands.map(writtenAs)].join(" "), parse }
}

const listedCharsMax = 40

const writtenAs = (operand: Operand): string => {
  const one = `${oneOf(operand)}${operand.many === true ? "..." : ""}`
  return operand.optional === true ? `[${one}]` : one
}

const oneOf = ({ name, words }: Operand): string => {
  const listed = words?.join("|") ?? ""
  // A list that fills the line is for the description to explain.
  return listed === "" || listed.length > listedCharsMax ? `<${name}>` : listed
}

/** The operands as they were written, when there are as many as there must be and each is one that is known. */
const checked = (
  command: string,
  operands: ReadonlyArray<Operand>,
  written: ReadonlyArray<string>
): ReadonlyArray<string> => {
  const seeHelp = `see tau ${command} --help`
  for (const [index, operand] of operands.entries()) {
    const text = written[index]
    if (text === undefined) {
      if (operand.optional === true) break
      throw new Mistake(
        `tau ${command} needs ${operand.words?.join("|") ?? `${writtenAs(operand)}; ${seeHelp}`}`
      )
    }
    if (text === "") throw new Mistake(`tau ${command}: expected ${writtenAs(operand)}, found an empty argument`)
    if (operand.words?.includes(text) === false) {
      const meant = nearest(text, operand.words)
      const expected = oneOf(operand)
      const hint = meant !== undefined ? `; did you mean ${meant}?` : expected.startsWith("<") ? `; ${seeHelp}` : ""
      throw new Mistake(`tau ${command}: expected ${expected}, found ${shown(text)}${hint}`)
    }
  }
  const stray = operands.at(-1)?.many === true ? undefined : written[operands.length]
  if (stray !== undefined) throw new Mistake(`unexpected argument ${shown(stray)}; ${seeHelp}`)
  return written
}
