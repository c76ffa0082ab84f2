import { existsSync, statSync } from "node:fs"
import { resolve } from "node:path"

/** Shortages that pass: processes, open files, memory, a program that is being written. */
const shortages = new Set(["EAGAIN", "EMFILE", "ENFILE", "ENOMEM", "ETXTBSY"])

const isDirectory = (path: string): boolean => statSync(path, { throwIfNoEntry: false })?.isDirectory() ?? false

/** What is wrong with what the program was to be given: no other machine or moment would start it. */
const refusals = new Set(["E2BIG", "ERR_INVALID_ARG_VALUE"])

/** Says in words why there is no child. The system reports a missing folder and a missing program with the same code. */
export const spawnFailure = (
  { argv: [file], cwd }: { readonly argv: readonly [string, ...ReadonlyArray<string>]; readonly cwd: string },
  cause: unknown
): { readonly detail: string; readonly transient: boolean; readonly refused: boolean } => {
  const code = cause instanceof Error && "code" in cause ? String(cause.code) : "unknown"
  return { detail: describe(file, cwd, code), transient: shortages.has(code), refused: refusals.has(code) }
}

const describe = (file: string, cwd: string, code: string): string => {
  if (!existsSync(cwd)) return `the working directory ${cwd} does not exist`
  if (!isDirectory(cwd)) return `the working directory ${cwd} is not a directory`
  switch (code) {
    case "ENOENT":
      return file.includes("/") && existsSync(resolve(cwd, file))
        ? `${file} exists, but the interpreter named in its first line does not`
        : file.includes("/")
        ? `${file} does not exist (looked for in ${cwd})`
        : `command not found: ${file} is in no directory of PATH`
    case "EACCES":
      return `${file} cannot be executed: it is a directory, or lacks the permission to execute`
    case "E2BIG":
      return `${file} cannot be started: its arguments and environment are too long for the system`
    case "ERR_INVALID_ARG_VALUE":
      return `${file} cannot be started: an argument or a variable contains a NUL character`
    default:
      return `${file} cannot be started: ${code}`
  }
}
