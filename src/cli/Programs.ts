/** Whether the programs that a config names are there: found before anything is written, not at the end of every attempt. */
import * as Effect from "effect/Effect"
import { accessSync, constants, statSync } from "node:fs"
import { delimiter, resolve } from "node:path"
import type { RunConfig } from "../domain/RunConfig.js"
import { inheritedEnvironment, workingDirectory } from "../process/Environment.js"
import type { ConfigError } from "./CliError.js"
import { problemsIn } from "./ConfigFile.js"
import type { Problem } from "./ConfigShape.js"

interface Program {
  /** Of the object that names it. */
  readonly path: string
  readonly command: readonly [string, ...ReadonlyArray<string>]
  readonly cwd?: string | undefined
  readonly env?: Readonly<Record<string, string>> | undefined
}

/** `folder` is the config's own. */
export const checkPrograms = (
  file: string,
  { executor, scoring }: Pick<RunConfig, "executor" | "scoring">,
  folder: string
): Effect.Effect<void, ConfigError> => {
  const programs: ReadonlyArray<Program> = [
    ...(executor.kind === "command" ? [{ path: "$.executor", ...executor }] : []),
    ...(scoring ?? []).flatMap((scorer, n) => scorer.kind === "command" ? [{ path: `$.scoring[${n}]`, ...scorer }] : [])
  ]
  const problems = programs.flatMap((program) => problemOf(program, folder) ?? [])
  return problems.length === 0 ? Effect.void : Effect.fail(problemsIn(file, problems))
}

const problemOf = ({ command: [name], cwd, env, path }: Program, folder: string): Problem | null => {
  const from = workingDirectory(folder, cwd)
  const place = statSync(from, { throwIfNoEntry: false })
  if (place?.isDirectory() !== true) {
    return {
      path: `${path}.cwd`,
      text: `expected a folder, found ${place === undefined ? "none" : "a file"} at ${from}`
    }
  }
  const found = candidates(name, from, { ...inheritedEnvironment(), ...env }["PATH"])
  if (found.some(isProgram)) return null
  const why = name.includes("/")
    ? `${statSync(found[0]!, { throwIfNoEntry: false }) === undefined ? "nothing" : "no executable file"} at ${
      found[0]
    }`
    : `${JSON.stringify(name)}, which is in no directory of PATH`
  return { path: `${path}.command[0]`, text: `expected a program, found ${why}` }
}

/** Where the system looks for a program, by its own PATH where there is none. */
const candidates = (name: string, from: string, path = "/usr/local/bin:/bin:/usr/bin"): ReadonlyArray<string> =>
  name.includes("/") ? [resolve(from, name)] : path.split(delimiter).map((directory) => resolve(from, directory, name))

const isProgram = (file: string): boolean => {
  try {
    accessSync(file, constants.X_OK)
    return statSync(file).isFile()
  } catch {
    return false
  }
}
