/** Every sub-command, in the order of the help. Loads no Effect. */
import type { Command } from "./Command.js"
import { audit } from "./commands/audit.js"
import { inspect } from "./commands/inspect.js"
import { simulate } from "./commands/simulate.js"

export const commands: ReadonlyArray<Command> = [audit, inspect, simulate]

export const commandNamed = (name: string | undefined): Command | undefined =>
  commands.find((command) => command.name === name)
