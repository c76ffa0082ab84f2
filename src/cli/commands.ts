/** Every sub-command, in the order of the help. Loads no Effect. */
import type { Command } from "./Command.js"
import { benchmark } from "./commands/benchmark.js"
import { simulate } from "./commands/simulate.js"
import { validate } from "./commands/validate.js"

export const commands: ReadonlyArray<Command> = [simulate, benchmark, validate]

export const commandNamed = (name: string | undefined): Command | undefined =>
  commands.find((command) => command.name === name)
