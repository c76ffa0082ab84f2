/**
 * Runs an agent that is a server: one POST per attempt.
 *
 * `docs/executors.md` is the agent's view of this file: what it is sent, and what counts as an answer.
 */
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Option from "effect/Option"
import * as Schema from "effect/Schema"
import type { HttpExecutorConfig } from "../domain/RunConfig.js"
import { errorMessage } from "../http/ChatAnswer.js"
import { type Answer, postJson } from "../http/PostJson.js"
import { type Assignment, AttemptFailed, type Execution, Executor } from "./Executor.js"
import { readEvents } from "./SafetyEvents.js"

/** An attempt fails with `AttemptFailed` where the server cannot be reached, answers an error, or something without `output`. */
export const layer = (config: typeof HttpExecutorConfig.Type): Layer.Layer<Executor> =>
  Layer.succeed(Executor, { execute: (assignment) => execute(config, assignment) })

const responseBytesMax = 16 * 1024 * 1024

const execute = (
  { headers = {}, url }: typeof HttpExecutorConfig.Type,
  assignment: Assignment
): Effect.Effect<Execution, AttemptFailed> =>
  postJson({ url, headers, body: bodyFor(assignment), bytesMax: responseBytesMax }).pipe(
    Effect.mapError(({ detail }) => failed("away", `the agent failed: ${detail}`)),
    Effect.flatMap((answer) => read(answer, assignment))
  )

const bodyFor = (assignment: Assignment) => ({
  example: assignment.example,
  resources: assignment.resources,
  rollout_id: assignment.rolloutId,
  attempt_id: assignment.attemptId,
  base_url: assignment.baseUrl,
  api_key: assignment.apiKey,
  model: assignment.model
})

const read = ({ isWhole, status, text }: Answer, { apiKey }: Assignment): Effect.Effect<Execution, AttemptFailed> => {
  if (status < 200 || status > 299) {
    const message = errorMessage(text, apiKey)
    const hint = status > 299 && status < 400 ? " (redirects are not followed)" : ""
    const detail = `the agent answered with ${status}${hint}${message === "" ? "" : `: ${message}`}`
    return failed(isBusy(status) ? "away" : "http", detail, isRefusal(status))
  }
  if (!isWhole) return failed("output", `the agent answered with more than ${responseBytesMax} bytes`)
  return Option.match(decode(text), {
    onNone: () => {
      const message = errorMessage(text, apiKey)
      return failed(
        "output",
        `the agent must answer with {"output": …} as JSON; it answered ${message === "" ? "nothing" : message}`
      )
    },
    onSome: ({ output, safety_events: reported }) =>
      Option.match(readEvents(reported ?? []), {
        onNone: () => failed("output", "the agent's safety_events must be a list of {\"reason_codes\", \"blocked\"}"),
        onSome: (safetyEvents) =>
          Effect.map(textOf(output), (output) => ({ output, ...(safetyEvents.length > 0 && { safetyEvents }) }))
      })
  })
}

// JSON is read at any depth, and written only as deep as the stack goes.
const textOf = (output: unknown): Effect.Effect<string, AttemptFailed> =>
  typeof output === "string" ? Effect.succeed(output) : Effect.try({
    try: () => JSON.stringify(output),
    catch: (error) => failed("output", `the agent's output cannot be written as JSON: ${(error as Error).message}`)
  })

// A struct would take a field of unknown type for given when it is missing.
const decodeObject = Schema.decodeUnknownOption(
  Schema.parseJson(Schema.Record({ key: Schema.String, value: Schema.Unknown }))
)
const decode = (text: string) => Option.filter(decodeObject(text), (answer) => Object.hasOwn(answer, "output"))

/** Whether there is no agent behind the answer: its server, or a gateway before it, has no capacity for one. */
const isBusy = (status: number): boolean => status === 429 || status >= 502 && status <= 504

/** Whether the same request would be refused again. */
const isRefusal = (status: number): boolean =>
  status >= 400 && status < 500 && status !== 408 && status !== 409 && status !== 429

const failed = (reason: AttemptFailed["reason"], detail: string, permanent = false) =>
  new AttemptFailed({ reason, detail, permanent, stderrTail: null })
