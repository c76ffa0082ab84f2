/** How a command ends: one place that turns errors into an exit code and lines on stderr. */
import * as Cause from "effect/Cause"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Option from "effect/Option"
import * as Schema from "effect/Schema"
import { visible, wrapped } from "../domain/TerminalText.js"
import { ExitCode } from "./ExitCode.js"

/** A mistake in the command line that only shows when the command runs. Exit code 2. */
export class UsageError extends Schema.TaggedError<UsageError>()("UsageError", { detail: Schema.String }) {
  override get message() {
    return this.detail
  }
}

/** Fails unless the id that an artifact is to have is of the form that its readers ask for. */
export const checkRunId = (runId: string, pattern: RegExp): Effect.Effect<void, UsageError> =>
  pattern.test(runId)
    ? Effect.void
    : new UsageError({ detail: `--run-id: expected a text that matches ${pattern.source}, found ${runId}` })

/** The config cannot be used; each problem is one line that says where, what was expected and what was found. */
export class ConfigError extends Schema.TaggedError<ConfigError>()("ConfigError", {
  file: Schema.String,
  problems: Schema.NonEmptyArray(Schema.String)
}) {
  override get message() {
    return this.problems.map((problem) => `${this.file}: ${problem}`).join("\n")
  }
}

/** The command was understood and could not be carried out. Exit code 1, as for any error that is not named here. */
export class CommandFailed extends Schema.TaggedError<CommandFailed>()("CommandFailed", {
  detail: Schema.String,
  cause: Schema.optional(Schema.Defect)
}) {
  override get message() {
    return this.detail
  }
}

/** What a command may fail with: any tagged error whose message is written for the person at the terminal. */
export interface CommandError {
  readonly _tag: string
  readonly message: string
}

export interface Ending {
  readonly code: number
  readonly lines: ReadonlyArray<string>
}

/** `untilStopped`: it runs until it is told to stop, so that being told is success. */
export const endingOf = (exit: Exit.Exit<number, CommandError>, untilStopped: boolean): Ending => {
  if (Exit.isSuccess(exit)) return { code: exit.value, lines: [] }
  const failure = Option.getOrUndefined(Cause.failureOption(exit.cause))
  if (failure !== undefined) return endingOfError(failure)
  if (Cause.isInterruptedOnly(exit.cause)) {
    return untilStopped
      ? { code: ExitCode.success, lines: [] }
      : { code: ExitCode.failure, lines: ["tau: interrupted"] }
  }
  return { code: ExitCode.failure, lines: ["tau: this is a bug in tau:", Cause.pretty(exit.cause)] }
}

const endingOfError = (error: CommandError): Ending => {
  switch (error._tag) {
    case "ConfigError":
      return { code: ExitCode.usage, lines: error.message.split("\n").map((line) => `tau: ${visible(line)}`) }
    case "UsageError":
      return { code: ExitCode.usage, lines: [onOneLine(error)] }
    case "SearchFailed":
      return { code: ExitCode.failure, lines: wrapped(onOneLine(error), 80) }
    default:
      return { code: ExitCode.failure, lines: [onOneLine(error)] }
  }
}

const onOneLine = (error: CommandError) =>
  `tau: ${visible((error.message || error._tag).replaceAll(/\s*[\r\n]+\s*/g, " "))}`
