/** Loads the command of a mode and runs it as the main program. */
import * as NodeRuntime from "@effect/platform-node/NodeRuntime"
import * as Cause from "effect/Cause"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Logger from "effect/Logger"
import { sqliteTrouble } from "../process/SqliteBuild.js"
import type { CommandError } from "./CliError.js"
import { endingOf } from "./CliError.js"
import { ExitCode } from "./ExitCode.js"
import type { Mode } from "./Mode.js"

const command = (mode: Mode, conclude: (code: number) => void): Effect.Effect<number, CommandError> => {
  switch (mode._tag) {
    case "optimize":
      return Effect.flatMap(Effect.promise(() => import("./OptimizeCommand.js")), ({ run }) => run(mode, conclude))
    case "proxy":
      return Effect.flatMap(Effect.promise(() => import("./ProxyCommand.js")), ({ run }) => run(mode))
    case "control":
      return Effect.flatMap(Effect.promise(() => import("./ControlCommand.js")), ({ run }) => run(mode))
    case "command":
      return Effect.flatten(Effect.promise(mode.start))
  }
}

// stdout belongs to answers that programs read; what is logged goes to stderr.
const logs = Logger.replace(
  Logger.defaultLogger,
  process.stderr.isTTY && (process.env["NO_COLOR"] ?? "") === ""
    ? Logger.prettyLogger({ stderr: true })
    : Logger.withConsoleError(Logger.logfmtLogger)
)

/**
 * The first signal ends the work in order; a person who asks twice wants it over now. The store survives either. `timeout` signals its
 * child and then the group that the child is in, and npm passes on what the terminal has sent to all: that is one wish.
 */
const exitOnSecondSignal = () => {
  let firstMs: number | null = null
  const onSignal = (signal: NodeJS.Signals) => {
    const nowMs = performance.now()
    if (firstMs === null) firstMs = nowMs
    else if (nowMs - firstMs >= echoMs) process.exit(signal === "SIGINT" ? 130 : 143)
  }
  process.on("SIGINT", onSignal)
  process.on("SIGTERM", onSignal)
  // Of a terminal that was closed: nobody will ask again, and the work is to end in order all the same.
  process.on("SIGHUP", () => process.kill(process.pid, "SIGTERM"))
}

/** Within this of the first a signal is its echo: nobody has read by then what the first one led to. */
const echoMs = 250

const isUntilStopped = (mode: Mode) => mode._tag === "command" ? mode.untilStopped : mode._tag === "proxy"

/** Takes over signals and the exit code of the process. */
export const dispatch = (mode: Mode): void => {
  exitOnSecondSignal()
  const trouble = sqliteTrouble()
  if (trouble !== null) process.stderr.write(`tau: ${trouble}\n`)
  // A command that was told to stop and had its result told all the same has done its work.
  let concluded: number | null = null
  const conclude = (code: number) => {
    concluded = code
  }
  NodeRuntime.runMain(Effect.provide(command(mode, conclude), logs), {
    disableErrorReporting: true,
    disablePrettyLogger: true,
    teardown: (exit, onExit) => {
      // The exit of `command`: a number, or one of its errors.
      const wasStopped = Exit.isFailure(exit) && Cause.isInterruptedOnly(exit.cause)
      const ending = wasStopped && concluded !== null
        ? { code: concluded, lines: [] }
        : endingOf(exit as Exit.Exit<number, CommandError>, isUntilStopped(mode))
      for (const line of ending.lines) process.stderr.write(`${line}\n`)
      // What was printed may have failed already, as on a full disk; what fails after this sets the code by itself.
      const code = ending.code === ExitCode.success && process.exitCode === ExitCode.failure
        ? ExitCode.failure
        : ending.code
      process.exitCode = code
      onExit(code)
    }
  })
}
