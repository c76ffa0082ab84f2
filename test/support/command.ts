import * as Effect from "effect/Effect"
import { type ChildProcess, spawn } from "node:child_process"
import { join } from "node:path"
import { eventually } from "./upstream.js"

const main = join(import.meta.dirname, "../../dist/cli/main.js")

/** A `tau` command running as a real process, killed with the scope. */
export interface RunningCommand {
  readonly process: ChildProcess
  readonly stdout: () => string
  readonly stderr: () => string
  /** Exit code, or the signal's name. */
  readonly exit: Effect.Effect<number | NodeJS.Signals>
}

/** Starts `tau` with these arguments and only these variables beside PATH. */
export const startTau = (cwd: string, args: ReadonlyArray<string>, env: Readonly<Record<string, string>> = {}) =>
  startProcess(cwd, process.execPath, [main, ...args], env)

export const startProcess = (
  cwd: string,
  file: string,
  args: ReadonlyArray<string>,
  env: Readonly<Record<string, string>> = {},
  input = ""
) =>
  Effect.acquireRelease(
    Effect.sync((): RunningCommand => {
      const child = spawn(file, args, {
        cwd,
        env: { PATH: process.env["PATH"], ...env },
        stdio: ["pipe", "pipe", "pipe"]
      })
      let out = ""
      let err = ""
      child.stdin.on("error", () => {}).end(input)
      child.stdout.on("data", (chunk: Buffer) => out += chunk.toString())
      child.stderr.on("data", (chunk: Buffer) => err += chunk.toString())
      const ended = new Promise<number | NodeJS.Signals>((resolve) =>
        child.on("close", (code, signal) => resolve(code ?? signal ?? -1))
      )
      return { process: child, stdout: () => out, stderr: () => err, exit: Effect.promise(() => ended) }
    }),
    ({ process: child }) => Effect.sync(() => void child.kill("SIGKILL"))
  )

/** Runs `tau` to its end. */
export const tau = (cwd: string, args: ReadonlyArray<string>, env: Readonly<Record<string, string>> = {}) =>
  Effect.scoped(Effect.gen(function*() {
    const command = yield* startTau(cwd, args, env)
    const code = yield* command.exit
    return { code, stdout: command.stdout(), stderr: command.stderr() }
  }))

/** The first match of the pattern's group in what the command prints. */
export const printed = (command: RunningCommand, pattern: RegExp) =>
  eventually(
    () => `${pattern} on stdout; stderr: ${command.stderr()}`,
    Effect.sync(() => pattern.exec(command.stdout())?.[1])
  )
