/**
 * One chat completion of our own, asked through the run's proxy.
 *
 * The proxy never retries, so this client does what any good client does: it repeats calls that failed for want of
 * capacity or connection, at most twice, after the time the server asks for. A JSON object is asked for in JSON mode, and
 * without where the server refuses that.
 */
import * as Clock from "effect/Clock"
import * as Data from "effect/Data"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Schedule from "effect/Schedule"
import type * as Scope from "effect/Scope"
import type { Dispatcher } from "undici"
import { utf8Of } from "../openai/Json.js"
import { answerOf, type ChatAnswer, errorMessage } from "./ChatAnswer.js"
import { connectionTrouble } from "./ConnectionTrouble.js"
import { Agent, request } from "./Undici.js"

export interface ChatCall<E = never, R = never> {
  /** OpenAI-compatible base URL, ending in `/v1`; it says whose call this is. Asked for anew before every request. */
  readonly baseUrl: Effect.Effect<string, E, R>
  /** Never repeated in a failure. */
  readonly apiKey: string
  /** Sent as JSON, the same for every try. */
  readonly body: Readonly<Record<string, unknown>>
  /** Given where a JSON object is wanted. */
  readonly json?: JsonMode
  /** Most seconds for one request; without it the caller's own limit ends the wait, by interruption. */
  readonly requestSecs?: number
  /** When the caller's own limit ends the call, in Unix milliseconds: a try that the server wants later than that is none. */
  readonly deadlineMs?: number
}

/** What calls of one model know of its JSON mode: a server that has refused it is asked without from then on. */
export class JsonMode {
  isRefused = false
}

/** There is no answer. */
export class ChatCallFailed extends Data.TaggedError("ChatCallFailed")<{
  /** `size`: there was one, larger than is read. */
  readonly reason: "model" | "size"
  readonly detail: string
  /** What the last try was answered with; null when there was no answer. */
  readonly status: number | null
  /** The server's own words for a status that is an error, without its secrets; may be empty. */
  readonly said: string
  /** The request itself is wrong: the same one would fail again. */
  readonly permanent: boolean
  /** How long the server wants not to be asked again, where that is longer than the caller waits. */
  readonly retryAfterMs?: number
}> {
  override get message() {
    return this.detail
  }
}

/** Connections to the proxy, closed with the scope. */
export const chatConnections: Effect.Effect<Dispatcher, never, Scope.Scope> = Effect.acquireRelease(
  // Thinking models are silent for as long as they like; the caller's own limit ends the wait by interruption.
  Effect.sync(() => new Agent({ headersTimeout: 0, bodyTimeout: 0 })),
  (agent) => Effect.promise(() => agent.destroy())
)

/** What the model answered. Interrupting it closes the connection. */
export const chatCall = <E, R>(
  agent: Dispatcher,
  call: ChatCall<E, R>
): Effect.Effect<ChatAnswer, ChatCallFailed | E, R> =>
  Effect.suspend(() => {
    const { body, json } = call
    if (json === undefined || json.isRefused) return asked(agent, call, body)
    return Effect.catchIf(
      asked(agent, call, { ...body, response_format: { type: "json_object" } }),
      isModeRefusal,
      (first) =>
        asked(agent, call, body).pipe(
          Effect.tap(() => Effect.sync(() => void (json.isRefused = true))),
          // When both are refused, JSON mode was not the reason: the first refusal tells more.
          Effect.mapError((failure) => isModeRefusal(failure) ? first : failure)
        )
    )
  })

const isModeRefusal = (failure: unknown): failure is ChatCallFailed =>
  failure instanceof ChatCallFailed && (failure.status === 400 || failure.status === 422)

const responseBytesMax = 16 * 1024 * 1024
const retriesMax = 2

/** One try that failed. `retryAfterMs` is null when the same call would fail again, 0 when the server named no time. */
class TryFailed extends Data.Error<{ readonly failure: ChatCallFailed; readonly retryAfterMs: number | null }> {}

/** Half a second, then a second, a quarter more or less; or what the server asks for. */
const backoff = Schedule.exponential("500 millis").pipe(
  Schedule.jitteredWith({ min: 0.75, max: 1.25 }),
  Schedule.intersect(Schedule.recurs(retriesMax)),
  Schedule.zipRight(Schedule.identity<unknown>()),
  Schedule.modifyDelay((failure, delay) =>
    failure instanceof TryFailed && failure.retryAfterMs ? Duration.millis(failure.retryAfterMs) : delay
  )
)

const asked = <E, R>(
  agent: Dispatcher,
  call: ChatCall<E, R>,
  body: ChatCall["body"]
): Effect.Effect<ChatAnswer, ChatCallFailed | E, R> =>
  Effect.retry(attempt(agent, call, JSON.stringify(body)), {
    schedule: backoff,
    while: (failure) => failure instanceof TryFailed && failure.retryAfterMs !== null
  }).pipe(Effect.mapError((failure) => failure instanceof TryFailed ? failure.failure : failure))

const attempt = <E, R>(
  agent: Dispatcher,
  call: ChatCall<E, R>,
  body: string
): Effect.Effect<ChatAnswer, TryFailed | E, R> =>
  Effect.gen(function*() {
    const baseUrl = yield* call.baseUrl
    const { headers, status, text } = yield* withinLimit(send(agent, baseUrl, call.apiKey, body), call.requestSecs)
    if (status >= 200 && status < 300) {
      const answer = answerOf(text)
      if (answer._tag === "Right") return answer.right
      return yield* new TryFailed({ failure: modelFailed(answer.left, { status }), retryAfterMs: null })
    }
    const said = errorMessage(text, call.apiKey)
    const failure = modelFailed(`the model call was answered with ${status}${said === "" ? "" : `: ${said}`}`, {
      status,
      said,
      permanent: refusals.has(status)
    })
    const retried = headers["x-should-retry"] === undefined ? isTransient(status) : headers["x-should-retry"] === "true"
    const now = yield* Clock.currentTimeMillis
    const afterMs = retried ? retryAfterMs(headers, now) : null
    return yield* afterMs !== null && now + afterMs > (call.deadlineMs ?? Infinity)
      ? new TryFailed({ failure: postponed(failure, afterMs), retryAfterMs: null })
      : new TryFailed({ failure, retryAfterMs: afterMs })
  })

interface Response {
  readonly status: number
  readonly headers: Readonly<Record<string, string | ReadonlyArray<string> | undefined>>
  readonly text: string
}

const withinLimit = (response: Effect.Effect<Response, TryFailed>, seconds: number | undefined) =>
  seconds === undefined ? response : Effect.timeoutFail(response, {
    duration: Duration.seconds(seconds),
    onTimeout: () => new TryFailed({ failure: modelFailed(`no answer within ${seconds} s`), retryAfterMs: 0 })
  })

const send = (agent: Dispatcher, baseUrl: string, apiKey: string, body: string): Effect.Effect<Response, TryFailed> =>
  Effect.tryPromise({
    try: async (signal) => {
      const response = await request(`${baseUrl.replace(/\/+$/, "")}/chat/completions`, agent, {
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
      return { status: response.statusCode, headers: response.headers, text: utf8Of(Buffer.concat(chunks)) }
    },
    catch: (cause) =>
      new TryFailed({ failure: modelFailed(`the model call failed: ${connectionTrouble(cause)}`), retryAfterMs: 0 })
  }).pipe(
    Effect.flatMap((response) =>
      response === undefined
        ? Effect.fail(new TryFailed({ failure: tooLarge, retryAfterMs: null }))
        : Effect.succeed(response)
    )
  )

/** Statuses that say the request itself is wrong. */
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

const modelFailed = (detail: string, more: Partial<Pick<ChatCallFailed, "permanent" | "said" | "status">> = {}) =>
  new ChatCallFailed({ reason: "model", detail, status: null, said: "", permanent: false, ...more })

const postponed = (failure: ChatCallFailed, retryAfterMs: number) =>
  new ChatCallFailed({
    ...failure,
    detail: `${failure.detail} (to be asked again in ${
      Math.ceil(retryAfterMs / 1000)
    } s, which is later than this call may last)`,
    retryAfterMs
  })

const tooLarge = new ChatCallFailed({
  reason: "size",
  detail: `the model answered with more than ${responseBytesMax} bytes`,
  status: null,
  said: "",
  permanent: false
})
