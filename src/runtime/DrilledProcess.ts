/** The process that a drill kills: started by the same command each time, listened to, and ended without warning. */
import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import type * as Scope from "effect/Scope"
import { spawn } from "node:child_process"

export interface DrilledCommand {
  readonly file: string
  readonly args: ReadonlyArray<string>
  readonly cwd: string
  readonly env: Readonly<Record<string, string | undefined>>
}

export interface DrilledProcess {
  readonly pid: number
  /** Milliseconds from its start until it said that it has taken up the run; null when it ended before. */
  readonly begun: Effect.Effect<number | null>
  /** SIGKILL; resolves once the process is gone. */
  readonly kill: Effect.Effect<void>
  /** Its exit code, or the signal that ended it. */
  readonly exit: Effect.Effect<number | NodeJS.Signals>
  readonly hasEnded: () => boolean
  readonly stdout: () => string
  readonly stderr: () => string
}

/** Most of each stream that is kept. */
const outputCharactersMax = 1_000_000

const begunLine = /(?:new run|resuming run) run-/

/** Whatever happens, it does not outlive the scope. */
export const start = (
  { args, cwd, env, file }: DrilledCommand
): Effect.Effect<DrilledProcess, never, Scope.Scope> =>
  Effect.gen(function*() {
    const startedAt = yield* Clock.currentTimeNanos
    const clock = yield* Clock.clockWith(Effect.succeed)
    const child = yield* Effect.acquireRelease(
      Effect.sync(() => spawn(file, args, { cwd, env: { ...env }, stdio: ["ignore", "pipe", "pipe"] })),
      (child) => Effect.sync(() => void child.kill("SIGKILL"))
    )
    let stdout = ""
    let stderr = ""
    let ended = false
    const exit = new Promise<number | NodeJS.Signals>((resolve) => {
      child.once("error", (error) => {
        stderr += String(error)
        ended = true
        resolve(-1)
      })
      child.once("close", (code, signal) => {
        ended = true
        resolve(code ?? signal ?? -1)
      })
    })
    const begun = new Promise<number | null>((resolve) => {
      void exit.then(() => resolve(null))
      child.stderr.on("data", (chunk: Buffer) => {
        if (stderr.length < outputCharactersMax) stderr += chunk.toString()
        if (begunLine.test(stderr)) resolve(Number(clock.unsafeCurrentTimeNanos() - startedAt) / 1e6)
      })
    })
    child.stdout.on("data", (chunk: Buffer) => {
      if (stdout.length < outputCharactersMax) stdout += chunk.toString()
    })
    return {
      pid: child.pid ?? -1,
      begun: Effect.promise(() => begun),
      kill: Effect.promise(() => {
        child.kill("SIGKILL")
        return exit.then(() => undefined)
      }),
      exit: Effect.promise(() => exit),
      hasEnded: () => ended,
      stdout: () => stdout,
      stderr: () => stderr
    }
  })
