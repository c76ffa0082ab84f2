/**
 * Runs an agent as a child process: any program that reads `OPENAI_BASE_URL` and `OPENAI_API_KEY`.
 *
 * `docs/executors.md` is the agent's view of this file: its input, variables, files, and what counts as an answer.
 */
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Option from "effect/Option"
import { existsSync } from "node:fs"
import type { CommandExecutorConfig } from "../domain/RunConfig.js"
import { ByteTail } from "../process/ByteTail.js"
import * as ChildProcess from "../process/ChildProcess.js"
import { inheritedEnvironment, workingDirectory } from "../process/Environment.js"
import { type AgentFiles, agentFiles, readOutput, resourceVariables } from "./AgentFiles.js"
import { type Assignment, AttemptFailed, Executor } from "./Executor.js"
import { readEventLines } from "./SafetyEvents.js"

/** `baseDir` is the folder of the config file, where a relative `cwd` starts. */
export const layer = (config: typeof CommandExecutorConfig.Type, baseDir: string): Layer.Layer<Executor> =>
  Layer.succeed(Executor, {
    execute: (assignment) => Effect.scoped(execute(config, workingDirectory(baseDir, config.cwd), assignment))
  })

const execute = (config: typeof CommandExecutorConfig.Type, cwd: string, assignment: Assignment) =>
  Effect.gen(function*() {
    const files = yield* agentFiles(assignment)
    const toFile = config.output === "file"
    const stderr = new ByteTail(ChildProcess.stderrBytesMax)
    assignment.onSpeech?.(() => withoutKey(stderr.text(), assignment))
    const finished = yield* ChildProcess.run({
      argv: config.command,
      cwd,
      env: environment(config, assignment, files),
      stdin: JSON.stringify(assignment.example),
      stderr,
      stdoutBytesMax: toFile ? "discard" : config.output_bytes_max
    }).pipe(Effect.mapError((error) => notFinished(error, assignment)))
    const stderrTail = withoutKey(finished.stderrTail, assignment)
    if (finished.signal !== null) {
      const detail = `the agent was ended by ${finished.signal}`
      return yield* new AttemptFailed({ reason: "signal", detail, permanent: false, stderrTail })
    }
    if (finished.exitCode !== 0) {
      const detail = `the agent exited with code ${finished.exitCode}`
      return yield* new AttemptFailed({ reason: "exit-code", detail, permanent: false, stderrTail })
    }
    const withTail = Effect.mapError(({ detail, permanent, reason }: AttemptFailed) =>
      new AttemptFailed({ reason, detail, permanent, stderrTail })
    )
    const safetyEvents = yield* withTail(reportedEvents(files.safetyEventsPath))
    const answer = toFile ? yield* withTail(readOutput(files.outputPath, config.output_bytes_max)) : finished.stdout
    return { output: textOf(answer), ...(safetyEvents.length > 0 && { safetyEvents }) }
  })

const eventBytesMax = 1_048_576

/** What the agent wrote to its file of events; most write none. */
const reportedEvents = (path: string) =>
  Effect.gen(function*() {
    if (!existsSync(path)) return []
    const text = textOf(yield* readOutput(path, eventBytesMax, "TAU_SAFETY_EVENTS_FILE"))
    const events = readEventLines(text)
    if (Option.isSome(events)) return events.value
    return yield* new AttemptFailed({
      reason: "output",
      detail: "the agent wrote something to TAU_SAFETY_EVENTS_FILE that is no line of {\"reason_codes\", \"blocked\"}",
      permanent: false,
      stderrTail: null
    })
  })

/** Bytes that are no UTF-8 become U+FFFD. `echo` ends its line; the answer does not. */
const textOf = (bytes: Buffer): string => bytes.toString("utf8").replace(/\r?\n$/, "")

const environment = (
  config: typeof CommandExecutorConfig.Type,
  assignment: Assignment,
  files: AgentFiles
): Record<string, string> => {
  const inherited = { ...inheritedEnvironment(), ...config.env }
  return {
    ...inherited,
    ...directTo(assignment.baseUrl, inherited),
    ...resourceVariables(assignment.resources),
    OPENAI_BASE_URL: assignment.baseUrl,
    OPENAI_API_BASE: assignment.baseUrl,
    OPENAI_API_KEY: assignment.apiKey,
    TAU_MODEL: assignment.model,
    TAU_ROLLOUT_ID: assignment.rolloutId,
    TAU_ATTEMPT_ID: assignment.attemptId,
    TAU_EXAMPLE_FILE: files.examplePath,
    TAU_OUTPUT_FILE: files.outputPath,
    TAU_RESOURCES_DIR: files.resourcesDir,
    TAU_SAFETY_EVENTS_FILE: files.safetyEventsPath
  }
}

/** An HTTP proxy of the network must not stand between the agent and tau's proxy. */
const directTo = (baseUrl: string, environment: Readonly<Record<string, string>>): Record<string, string> => {
  const host = URL.canParse(baseUrl) ? new URL(baseUrl).hostname : "127.0.0.1"
  const listed = environment["NO_PROXY"] ?? environment["no_proxy"]
  const value = listed === undefined || listed === "" ? host : `${listed},${host}`
  return { NO_PROXY: value, no_proxy: value }
}

const notFinished = (
  error: ChildProcess.SpawnFailed | ChildProcess.TimedOut | ChildProcess.OutputTooLarge,
  assignment: Assignment
): AttemptFailed => {
  if (error._tag === "SpawnFailed") {
    const reason = error.refused ? "spawn" : "unstarted"
    return new AttemptFailed({ reason, detail: error.message, permanent: !error.transient, stderrTail: null })
  }
  return new AttemptFailed({
    reason: error._tag === "TimedOut" ? "timeout" : "output",
    detail: `the agent failed: ${error.message}`,
    permanent: false,
    stderrTail: withoutKey(error.stderrTail, assignment)
  })
}

const withoutKey = (text: string, { apiKey }: Assignment): string =>
  apiKey === "" ? text : text.replaceAll(apiKey, "[key]")
