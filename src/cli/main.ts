#!/usr/bin/env node
/** Answers what needs no Effect by itself (help, version, mistakes) and loads the rest only for real work. */
import { rewriteAliases } from "./Aliases.js"
import { commandNamed } from "./commands.js"
import { ExitCode } from "./ExitCode.js"
import { helpText } from "./help.js"
import { parseArguments } from "./ParseArguments.js"
import { version } from "./version.js"

// A reader that leaves early (`tau … | head -1`) is no failure, and a log on a full disk must not end the work: what is
// printed after that goes nowhere. An answer that is cut short must not pass for a whole one: `dispatch` keeps the exit code.
process.stderr.on("error", () => {})
process.stdout.on("error", (error: NodeJS.ErrnoException) => {
  if (error.code === "EPIPE" || process.exitCode === ExitCode.failure) return
  process.exitCode = ExitCode.failure
  process.stderr.write(`tau: stdout could not be written: ${error.message}\n`)
})

const { args: given, warnings } = rewriteAliases(process.argv.slice(2))
for (const warning of warnings) process.stderr.write(`${warning}\n`)

// As git and npm have them: `tau help [command]` and `tau version`.
const [word, ...rest] = given
const args = word === "help"
  ? [...rest.filter((each) => each !== word), "--help"]
  : word === "version"
  ? ["--version", ...rest]
  : given
const end = args.indexOf("--")
const asked = (...names: ReadonlyArray<string>) =>
  (end < 0 ? args : args.slice(0, end)).some((arg) => names.includes(arg))

const showHelp = (stream: NodeJS.WriteStream) => {
  const colours = stream.isTTY && (process.env["NO_COLOR"] ?? "") === ""
  const bold = (text: string) => colours ? `\u001B[1m${text}\u001B[22m` : text
  stream.write(helpText(commandNamed(args[0]), bold))
}

// Help about something that there is not would be an answer to another question.
const [first] = args
const isUnknown = first !== undefined && !first.startsWith("-") && commandNamed(first) === undefined

if (!isUnknown && asked("--help", "-h")) showHelp(process.stdout)
else if (!isUnknown && asked("--version", "-V")) process.stdout.write(`tau ${version()}\n`)
else {
  const parsed = parseArguments(args, process.env)
  switch (parsed._tag) {
    case "nothing":
      showHelp(process.stderr)
      process.exitCode = ExitCode.usage
      break
    case "mistake":
      // Of a command it says the name itself.
      process.stderr.write(`${parsed.message.startsWith("tau ") ? "" : "tau: "}${parsed.message}\n`)
      process.exitCode = ExitCode.usage
      break
    case "mode":
      void import("./Start.js").then(({ start }) => start(args))
  }
}
