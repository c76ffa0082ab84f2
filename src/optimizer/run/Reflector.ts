/** Asks the reflection model, through a proxy of the run, so that each call is a span like any other. */
import * as Context from "effect/Context"
import * as Data from "effect/Data"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Schedule from "effect/Schedule"
import { Attribution, toBaseUrl } from "../../domain/Attribution.js"
import { AttemptId, RolloutId, type RunId } from "../../domain/Ids.js"
import { postJson } from "../../http/PostJson.js"
import { at, listAt, parseJson, textAt } from "../../openai/Json.js"
import { withoutSecrets } from "../../openai/Secrets.js"
import { SearchStore } from "../../store/SearchStore.js"
import type { StoreError } from "../../store/StoreError.js"
import type { Reflect, Reflection } from "../Search.js"

export interface ReflectorOptions {
  /** Origin of the proxy that knows the model's upstream. */
  readonly origin: string
  readonly apiKey: string
  /** Name of the model, without the provider. */
  readonly model: string
  /** Merged into the request's body. */
  readonly parameters: Readonly<Record<string, unknown>>
  readonly timeoutSecs: number
}

/** Tries of one reflection, the first included. */
const triesMax = 3
const answerBytesMax = 4 * 1024 * 1024

export class Reflector extends Context.Tag("tau/optimizer/Reflector")<Reflector, {
  /** The answer to the n-th reflection of a run. One that was answered before a crash is not paid for again. */
  readonly reflect: (runId: RunId, n: number, ask: Reflect) => Effect.Effect<Reflection, StoreError>
}>() {
  static readonly layer = (options: ReflectorOptions): Layer.Layer<Reflector, never, SearchStore> =>
    Layer.effect(
      Reflector,
      Effect.map(SearchStore, (store) =>
        Reflector.of({
          reflect: (runId, n, ask) =>
            Effect.gen(function*() {
              const known = yield* store.reflection(runId, n)
              if (known.answer !== null) return { text: known.answer }
              if (known.failure !== null) return { failure: known.failure }
              const rolloutId = reflectionId(runId, n)
              const earlier = known.attempts === 0 ? null : yield* store.answered(rolloutId)
              const call = Effect.gen(function*() {
                const attempt = yield* store.beginReflection(runId, n)
                return yield* askModel(options, rolloutId, attempt, ask)
              })
              const answer = earlier !== null ? { text: earlier } : yield* call.pipe(
                Effect.retry({ schedule: backoff, while: (error) => error._tag === "CallFailed" && error.isTransient }),
                Effect.map((text) => ({ text })),
                // Servers repeat keys that they do not know.
                Effect.catchTag("CallFailed", ({ detail }) => Effect.succeed({ failure: withoutSecrets(detail).text }))
              )
              yield* store.endReflection(
                runId,
                n,
                "text" in answer ? { answer: answer.text, failure: null } : { answer: null, failure: answer.failure }
              )
              return answer
            })
        }))
    )
}

/** What the spans of a reflection are attributed to. */
export const reflectionId = (runId: string, n: number): RolloutId =>
  RolloutId.make(`${runId}-reflect-${String(n).padStart(4, "0")}`)

class CallFailed extends Data.TaggedError("CallFailed")<{ readonly detail: string; readonly isTransient: boolean }> {}

const backoff = Schedule.exponential("500 millis").pipe(
  Schedule.jitteredWith({ min: 0.75, max: 1.25 }),
  Schedule.intersect(Schedule.recurs(triesMax - 1))
)

const askModel = (options: ReflectorOptions, rolloutId: RolloutId, attempt: number, ask: Reflect) =>
  Effect.gen(function*() {
    const base = toBaseUrl(
      options.origin,
      new Attribution({ rolloutId, attemptId: AttemptId.make(`${rolloutId}:attempt-${attempt}`) })
    )
    const body = {
      ...(ask.temperature !== undefined && { temperature: ask.temperature }),
      ...options.parameters,
      model: options.model,
      messages: [{ role: "user", content: ask.prompt }]
    }
    const send = (body: unknown) =>
      postJson({
        url: `${base}/chat/completions`,
        headers: { authorization: `Bearer ${options.apiKey}` },
        body,
        bytesMax: answerBytesMax
      }).pipe(
        Effect.mapError(({ message }) => new CallFailed({ detail: message, isTransient: true })),
        Effect.timeoutFail({
          duration: Duration.seconds(options.timeoutSecs),
          onTimeout: () => new CallFailed({ detail: `no answer within ${options.timeoutSecs} s`, isTransient: true })
        })
      )
    const wished = yield* send(ask.json ? { ...body, response_format: { type: "json_object" } } : body)
    // Not every server knows the JSON mode; the prompt asks for JSON anyway.
    const response = ask.json && wished.status === 400 ? yield* send(body) : wished
    if (response.status < 200 || response.status >= 300) {
      const said = textAt(parseJson(response.text), "error", "message") ?? ""
      return yield* new CallFailed({
        detail: `the reflection model answered ${response.status}${said === "" ? "" : `: ${said.slice(0, 300)}`}`,
        isTransient: [408, 409, 429].includes(response.status) || response.status >= 500
      })
    }
    const text = answerText(parseJson(response.text))
    if (text === null || !response.isWhole) {
      return yield* new CallFailed({ detail: "the reflection model's answer has no text", isTransient: false })
    }
    return text
  })

const answerText = (answer: unknown): string | null => {
  const content = at(listAt(answer, "choices")[0], "message", "content")
  if (typeof content === "string") return content === "" ? null : content
  if (!Array.isArray(content)) return null
  const text = content.map((part) => textAt(part, "text") ?? "").join("")
  return text === "" ? null : text
}
