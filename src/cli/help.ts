/** The help texts, made from the table of flags. 80 columns, plain text. */
import type { Command } from "./Command.js"
import { commands } from "./commands.js"
import type { Flag, ModeName } from "./flags.js"
import { aliases, rootFlags, variableOf } from "./flags.js"

const width = 80

const introduction = `tau records every call an agent makes to an OpenAI-compatible API, scores the
agent on your examples, and keeps what it learns in one SQLite file.
`

const usage: ReadonlyArray<readonly [title: string, example: string]> = [
  [
    "Capture: point your agent's base URL at the proxy, every call is recorded",
    `tau --prompt-optimization-proxy-server \\
  --prompt-optimization-proxy-upstream-url https://api.openai.com`
  ],
  [
    "Optimize: run your examples through the agent and score the answers",
    `tau --model openai/gpt-4o-mini \\
  --prompt-optimization-config .tau/prompt-optimization.json \\
  --prompt-optimization-json`
  ],
  [
    "Control: look at, pause, resume, cancel or roll back a run",
    "tau --prompt-optimization-control-status"
  ]
]

const sections: ReadonlyArray<readonly [title: string, modes: ReadonlyArray<ModeName>]> = [
  ["Optimize", ["optimize"]],
  ["Capture", ["proxy"]],
  ["The proxy, of a capture or of an optimization", ["proxy", "optimize"]],
  ["Control, one verb per call", ["control"]],
  ["Every mode", ["optimize", "proxy", "control"]]
]

const notes: ReadonlyArray<string> = [
  `Every flag is also --flag=value, and also a variable, ${variableOf(rootFlags[1]!)} for instance; a flag beats `
  + "its variable. A variable of a mode that is not in use is not looked at.",
  `Old names such as --${[...aliases.keys()][0]} still work, with a warning.`,
  "Exit codes: 0 success, 1 failure, 2 a mistake in the command line or the config.",
  "More: docs/cli.md and docs/configuration.md"
]

/** Writes titles in bold where the reader can see it. */
export type Bold = (text: string) => string

const wrap = (text: string, indent: number): string => {
  const lines: Array<string> = []
  let line = ""
  for (const word of text.split(" ")) {
    if (line !== "" && indent + line.length + 1 + word.length > width) {
      lines.push(line)
      line = word
    } else line = line === "" ? word : `${line} ${word}`
  }
  return [...lines, line].map((text) => " ".repeat(indent) + text + "\n").join("")
}

const flagHelp = (flag: Flag): string => {
  const value = flag.placeholder === undefined ? "" : ` ${flag.placeholder}`
  const preset = flag.default === undefined ? "" : ` (default ${flag.default})`
  const head = `  --${flag.name}${value}`
  // A long choice continues on a line of its own.
  const cut = head.length <= width ? -1 : head.lastIndexOf("|", width)
  const heading = cut === -1 ? head : `${head.slice(0, cut + 1)}\n${" ".repeat(10)}${head.slice(cut + 1)}`
  return `${heading}\n` + wrap(flag.description + preset, 6)
}

const alwaysThere = `  --help, -h
      Print this help
  --version, -V
      Print the version
`

const commandLine = ({ summary, usage }: Command) => `  ${usage}\n` + wrap(summary, 6)

const indented = (text: string) => text.replaceAll(/^/gm, "    ") + "\n"

const rootHelp = (bold: Bold): string => {
  const examples = usage.map(([title, example]) => `  ${title}\n${indented(example)}`).join("\n")
  const flags = sections.map(([title, modes]) =>
    bold(title) + "\n" + rootFlags.filter((flag) => flag.modes.join() === modes.join()).map(flagHelp).join("")
  )
  return [
    introduction,
    bold("Three ways to use it by flags") + "\n" + examples,
    bold("Commands, each with a --help of its own") + "\n" + commands.map(commandLine).join(""),
    ...flags.slice(0, -1),
    flags.at(-1) + alwaysThere,
    notes.map((note) => wrap(note, 0)).join("")
  ].join("\n")
}

const commandHelp = ({ description, examples, flags, operands, usage }: Command, bold: Bold): string =>
  [
    wrap(description, 0),
    ...(operands.length === 0 ? [] : [bold("Usage") + "\n" + indented(usage)]),
    bold(examples.length === 1 ? "Example" : "Examples") + "\n" + examples.map(indented).join(""),
    bold("Flags") + "\n" + flags.map(flagHelp).join("") + alwaysThere,
    ...(flags[0] === undefined
      ? []
      : [wrap(`Every flag is also a variable, ${variableOf(flags[0])} for instance; a flag beats its variable.`, 0)])
  ].join("\n")

/** The help of a command, or of `tau` itself. */
export const helpText = (command: Command | undefined, bold: Bold): string =>
  command === undefined ? rootHelp(bold) : commandHelp(command, bold)
