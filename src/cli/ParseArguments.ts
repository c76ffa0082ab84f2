/** From arguments and environment to a mode, or to the one line that says what is wrong. Loads no Effect. */
import { shown } from "../domain/shown.js"
import { commandNamed, commands } from "./commands.js"
import { Mistake } from "./FlagValue.js"
import type { Mode } from "./Mode.js"
import type { Environment } from "./Providers.js"
import { rootMode } from "./RootMode.js"
import { nearest } from "./Suggestion.js"

export type Parsed =
  | { readonly _tag: "mode"; readonly mode: Mode }
  | { readonly _tag: "mistake"; readonly message: string }
  /** Nothing was asked for. */
  | { readonly _tag: "nothing" }

/** Reads arguments whose aliases are rewritten already. */
export const parseArguments = (args: ReadonlyArray<string>, environment: Environment): Parsed => {
  try {
    const command = commandOf(args)
    const mode = command === undefined
      ? rootMode(args, environment, misplaced)
      : command.parse(args.slice(1), environment)
    return mode === undefined ? { _tag: "nothing" } : { _tag: "mode", mode }
  } catch (mistake) {
    if (mistake instanceof Mistake) return { _tag: "mistake", message: mistake.message }
    throw mistake
  }
}

/** A first argument that is no flag names a command. */
const commandOf = ([first]: ReadonlyArray<string>) => {
  if (first === undefined || first.startsWith("-")) return undefined
  const command = commandNamed(first)
  if (command !== undefined) return command
  const meant = nearest(first, commands.map(({ name }) => name))
  const hint = meant === undefined ? "see tau --help" : `did you mean tau ${meant}?`
  throw new Mistake(`unknown command ${shown(first)}; ${hint}`)
}

const misplaced = (argument: string) =>
  commandNamed(argument) === undefined ? undefined : `${argument} must be the first argument`
