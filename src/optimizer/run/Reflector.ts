/** Asks the reflection model, through a proxy of the run, so that each call is a span like any other. */
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Either from "effect/Either"
import * as Layer from "effect/Layer"
import { attemptName, reflectionName } from "../../domain/AttemptName.js"
import { Attribution, toBaseUrl } from "../../domain/Attribution.js"
import { AttemptId, RolloutId, type RunId } from "../../domain/Ids.js"
import { answerOf, type ChatAnswer } from "../../http/ChatAnswer.js"
import { chatCall, type ChatCallFailed, chatConnections, JsonMode } from "../../http/ChatCall.js"
import { defaultRules, Redactor } from "../../openai/Redaction.js"
import { withoutThoughts } from "../../openai/Thoughts.js"
import { ReflectionStore } from "../../store/ReflectionStore.js"
import type { StoreError } from "../../store/StoreError.js"
import { isReadable } from "../EditContract.js"
import { isClosed } from "../Fence.js"
import type { Reflect, Reflection } from "../Search.js"

export interface ReflectorOptions {
  /** Origin of the proxy that knows the model's upstream. */
  readonly origin: string
  readonly apiKey: string
  /** Of the providers: what a failure repeats of them is not kept. */
  readonly secrets: ReadonlyArray<string>
  /** Name of the model, without the provider. */
  readonly model: string
  /** Merged into the request's body. */
  readonly parameters: Readonly<Record<string, unknown>>
  readonly timeoutSecs: number
}

export class Reflector extends Context.Tag("tau/optimizer/Reflector")<Reflector, {
  /** The answer to the n-th reflection of a run. One that was answered before a crash is not paid for again. */
  readonly reflect: (runId: RunId, n: number, ask: Reflect) => Effect.Effect<Reflection, StoreError>
}>() {
  static readonly layer = (options: ReflectorOptions): Layer.Layer<Reflector, never, ReflectionStore> =>
    Layer.scoped(
      Reflector,
      Effect.gen(function*() {
        const store = yield* ReflectionStore
        const connections = yield* chatConnections
        const json = new JsonMode()
        const redactor = new Redactor(defaultRules, options.secrets)
        const call = (runId: RunId, n: number, ask: Reflect): Effect.Effect<Reflection, StoreError> =>
          chatCall(connections, {
            // Each request is a try of its own, and counted before it is sent.
            baseUrl: Effect.map(store.begin(runId, n), (attempt) => addressOf(options, runId, n, attempt)),
            apiKey: options.apiKey,
            body: {
              ...(ask.temperature !== undefined && { temperature: ask.temperature }),
              ...options.parameters,
              model: options.model,
              messages: [{ role: "user", content: ask.prompt }]
            },
            ...(ask.json && { json }),
            requestSecs: options.timeoutSecs
          }).pipe(
            Effect.map((answer) => read(answer, ask)),
            Effect.catchTag("ChatCallFailed", (failure) =>
              Effect.succeed({ failure: redactor.text(inWords(failure)).text }))
          )
        return Reflector.of({
          reflect: (runId, n, ask) =>
            Effect.gen(function*() {
              const known = yield* store.get(runId, n)
              if (known.answer !== null) {
                return { text: withoutThoughts(known.answer) }
              }
              if (known.failure !== null) {
                return { failure: known.failure }
              }
              const earlier = known.attempts === 0 ? null : yield* store.answered(reflectionId(runId, n))
              const recorded = earlier === null ? null : Either.getOrNull(answerOf(earlier))
              const kept = recorded === null ? null : read(recorded, ask)
              // Of a run that ended over its reflections each that failed is asked for anew, also what was answered in vain.
              const answer = kept !== null && "text" in kept ? kept : yield* call(runId, n, ask)
              yield* store.end(
                runId,
                n,
                "text" in answer ? { answer: answer.text, failure: null } : { answer: null, failure: answer.failure }
              )
              return "text" in answer ? { text: withoutThoughts(answer.text) } : answer
            })
        })
      })
    )
}

const read = ({ ended, text }: ChatAnswer, ask: Reflect): Reflection =>
  unread(withoutThoughts(text), ask, ended) ?? { text }

/** A refusal, a call of a tool, a thought, an object or a text that was cut is nothing to read a new text from. */
const unread = (said: string, { fenced = false, json }: Reflect, ended: string | null) => {
  if (said.trim() === "") return noText(ended)
  return ended === "length" && (json && !isReadable(said) || fenced && !isClosed(said)) ? cutShort : null
}

const cutShort = {
  failure: "the reflection model's answer was cut at its longest, which reflection_parameters can raise"
}

/** Thinking models may use all their room up before they come to say anything. */
const noText = (ended: string | null) => {
  const why = ended === "length"
    ? ": it was cut at its longest, which reflection_parameters can raise"
    : ended === "content_filter"
    ? ": a content filter took it out"
    : ""
  return { failure: `the reflection model's answer has no text${why}` }
}

/** What the spans of a reflection are attributed to. */
export const reflectionId = (runId: string, n: number): RolloutId => RolloutId.make(reflectionName(runId, n))

const addressOf = ({ origin }: ReflectorOptions, runId: RunId, n: number, attempt: number): string => {
  const rolloutId = reflectionId(runId, n)
  return toBaseUrl(origin, new Attribution({ rolloutId, attemptId: AttemptId.make(attemptName(rolloutId, attempt)) }))
}

/** What a failed call comes to in the search's record. */
const inWords = ({ detail, said, status }: ChatCallFailed): string =>
  status === null || status < 300 ? detail : `the reflection model answered ${status}${said === "" ? "" : `: ${said}`}`
