/**
 * Runs the agent that is only a prompt: one chat completion per attempt.
 *
 * The proxy never retries, so this client does what any good client does: it repeats calls that failed for want of
 * capacity or connection, at most twice, after the time the server asks for.
 */
import * as Clock from "effect/Clock"
import * as Data from "effect/Data"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Schedule from "effect/Schedule"
import { Agent, request } from "undici"
import type { ChatExecutorConfig } from "../domain/RunConfig.js"
import { answerOf, errorMessage } from "./ChatAnswer.js"
import { chatRequest } from "./ChatRequest.js"
import { type Assignment, AttemptFailed, type Execution, Executor } from "./Executor.js"

export const layer = (config: typeof ChatExecutorConfig.Type): Layer.Layer<Executor> =>
  Layer.scoped(
    Executor,
    Effect.gen(function*() {
      const agent = yield* Effect.acquireRelease(
        // Thinking models are silent for minutes; the attempt's own limit ends the wait by interruption.
        Effect.sync(() => new Agent({ headersTimeout: silenceMaxMs, bodyTimeout: silenceMaxMs })),
        (agent) => Effect.promise(() => agent.destroy())
      )
      return {
        execute: (assignment) =>
          Effect.gen(function*() {
            const body = yield* chatRequest(config, assignment)
            const answer = yield* Effect.retry(call(agent, assignment, JSON.stringify(body)), {
              schedule: backoff,
              while: ({ retryAfterMs }) => retryAfterMs !== null
            }).pipe(Effect.mapError(({ failure }) => failure))
            return answer
          })
      }
    })
  )

const silenceMaxMs = 900_000
const responseBytesMax = 16 * 1024 * 1024
const retriesMax = 2

/** One call that failed. `retryAfterMs` is null when the same call would fail again, 0 when the server named no time. */
class CallFailed extends Data.Error<{ readonly failure: AttemptFailed; readonly retryAfterMs: number | null }> {}

/** Half a second, then a second, a quarter more or less; or what the server asks for. */
const backoff = Schedule.exponential("500 millis").pipe(
  Schedule.jitteredWith({ min: 0.75, max: 1.25 }),
  Schedule.intersect(Schedule.recurs(retriesMax)),
  Schedule.zipRight(Schedule.identity<CallFailed>()),
  Schedule.modifyDelay(({ retryAfterMs }, delay) => retryAfterMs ? Duration.millis(retryAfterMs) : delay)
)

const call = (agent: Agent, assignment: Assignment, body: string): Effect.Effect<Execution, CallFailed> =>
  Effect.gen(function*() {
    const { headers, status, text } = yield* send(agent, assignment, body)
    if (status >= 200 && status < 300) {
      const answer = answerOf(text)
      if (answer._tag === "Right") return { output: answer.right }
      return yield* new CallFailed({ failure: modelFailed(answer.left, false), retryAfterMs: null })
    }
    const message = errorMessage(text, assignment.apiKey)
    const failure = modelFailed(
      `the model call was answered with ${status}${message === "" ? "" : `: ${message}`}`,
      refusals.has(status)
    )
    const retried = headers["x-should-retry"] === undefined ? isTransient(status) : headers["x-should-retry"] === "true"
    const now = yield* Clock.currentTimeMillis
    return yield* new CallFailed({ failure, retryAfterMs: retried ? retryAfterMs(headers, now) : null })
  })

interface Response {
  readonly status: number
  readonly headers: Readonly<Record<string, string | ReadonlyArray<string> | undefined>>
  readonly text: string
}

const send = (agent: Agent, { apiKey, baseUrl }: Assignment, body: string): Effect.Effect<Response, CallFailed> =>
  Effect.tryPromise({
    try: async (signal) => {
      const response = await request(`${baseUrl.replace(/\/+$/, "")}/chat/completions`, {
        dispatcher: agent,
        method: "POST",
        headers: { authorization: `Bearer ${apiKey}`, "content-type": "application/json", accept: "application/json" },
        body,
        signal
      })
      const chunks: Array<Buffer> = []
      let bytes = 0
      for await (const chunk of response.body as AsyncIterable<Buffer>) {
        bytes += chunk.length
        // Leaving the loop destroys the body and with it the connection.
        if (bytes > responseBytesMax) return undefined
        chunks.push(chunk)
      }
      return { status: response.statusCode, headers: response.headers, text: Buffer.concat(chunks).toString("utf8") }
    },
    catch: (cause) =>
      new CallFailed({ failure: modelFailed(`the model call failed: ${codeOf(cause)}`, false), retryAfterMs: 0 })
  }).pipe(
    Effect.flatMap((response) =>
      response === undefined
        ? Effect.fail(new CallFailed({ failure: tooLarge, retryAfterMs: null }))
        : Effect.succeed(response)
    )
  )

/** Statuses that say the request itself is wrong: another attempt would send the same one. */
const refusals = new Set([400, 401, 403, 404, 422])

const isTransient = (status: number): boolean => status === 408 || status === 409 || status === 429 || status >= 500

const retryAfterMaxMs = 60_000

/** What `retry-after-ms` or `retry-after` asks for; 0 when they are absent, senseless or ask for more than a minute. */
const retryAfterMs = (headers: Response["headers"], nowMs: number): number => {
  const millis = Number(headers["retry-after-ms"] ?? Number.NaN)
  const after = headers["retry-after"]
  const seconds = Number(after ?? Number.NaN)
  const asked = !Number.isNaN(millis)
    ? millis
    : !Number.isNaN(seconds)
    ? seconds * 1000
    : Date.parse(String(after)) - nowMs
  return asked > 0 && asked <= retryAfterMaxMs ? asked : 0
}

const modelFailed = (detail: string, permanent: boolean) =>
  new AttemptFailed({ reason: "model", detail, permanent, stderrTail: null })

const tooLarge = new AttemptFailed({
  reason: "output",
  detail: `the model answered with more than ${responseBytesMax} bytes`,
  permanent: false,
  stderrTail: null
})

const codeOf = (cause: unknown): string => {
  if (!(cause instanceof Error)) return "unknown error"
  return "code" in cause ? `${String(cause.code)} (${cause.message})` : cause.message
}
