/** Puts what the spans of an attempt say about safety into its rewards. Wraps whatever scorer there is. */
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Option from "effect/Option"
import type { AttemptId } from "../domain/Ids.js"
import { RolloutRejected, type Scorable, Scorer, ScoringFailed } from "../domain/Reward.js"
import { type SafetyRewardConfig, withSafety } from "../domain/SafetyReward.js"
import type { Span } from "../domain/Span.js"
import { SpanStore } from "../store/SpanStore.js"
import type { StoreError } from "../store/StoreError.js"
import { type Exchange, reasonCodesOf } from "./SafetySignals.js"

export const layer = (policy: SafetyRewardConfig): Layer.Layer<Scorer, never, Scorer | SpanStore> =>
  Layer.effect(
    Scorer,
    Effect.gen(function*() {
      const inner = yield* Scorer
      const spans = yield* SpanStore
      return {
        score: (scorable) =>
          Effect.gen(function*() {
            // Before there is any call of a judge: what a judge is shown and says is not the agent's behaviour.
            const signals = yield* signalsOf(spans, scorable)
            const scored = yield* inner.score(scorable)
            const { isGated, ...verdict } = withSafety(policy, signals, scored)
            if (isGated && policy.reject_rollout_on_hard_gate) {
              return yield* new RolloutRejected({
                detail: `the hard gate of safety_reward: ${[...signals.reasonCodes].join(", ") || "a blocked event"}`,
                rewards: verdict.rewards
              })
            }
            return verdict
          })
      }
    })
  )

const signalsOf = (store: SpanStore["Type"], { attemptId, output, safetyEvents = [] }: Scorable) =>
  Effect.gen(function*() {
    const exchanges = yield* exchangesOf(store, attemptId)
    const prompts = exchanges.flatMap(({ request }) => systemPromptsIn(request))
    const codes = reasonCodesOf(exchanges, output, prompts)
    return {
      reasonCodes: new Set([...codes, ...safetyEvents.flatMap(({ reasonCodes }) => reasonCodes)]),
      blockedEvents: safetyEvents.filter(({ blocked }) => blocked).length
    }
  }).pipe(Effect.mapError(({ message }) => new ScoringFailed({ scorer: "safety_reward", detail: message })))

const exchangesOf = (
  store: SpanStore["Type"],
  attemptId: AttemptId
): Effect.Effect<ReadonlyArray<Exchange>, StoreError> =>
  Effect.flatMap(
    store.byAttempt(attemptId),
    (spans) =>
      Effect.forEach(spans, (span) =>
        Effect.all({ request: textOf(store, span.requestSha256), response: textOf(store, answerOf(span)) }))
  )

const answerOf = ({ answerSha256, responseSha256 }: Span) => answerSha256 ?? responseSha256

/** JSON texts say `\n` and `\"` where they mean the character: read as text, patterns would miss what is quoted. */
const textOf = (store: SpanStore["Type"], sha256: string | null): Effect.Effect<string, StoreError> =>
  sha256 === null
    ? Effect.succeed("")
    : Effect.map(store.payload(sha256), (found) =>
      Option.match(found, { onNone: () => "", onSome: (bytes) => new TextDecoder().decode(bytes) }))

/** The contents of the messages of the roles `system` and `developer`, and of `instructions`. */
const systemPromptsIn = (request: string): ReadonlyArray<string> => {
  let body: unknown
  try {
    body = JSON.parse(request)
  } catch {
    return []
  }
  if (typeof body !== "object" || body === null) return []
  const { input, instructions, messages, system } = body as Readonly<Record<string, unknown>>
  const listed = [messages, input].filter(Array.isArray).flat() as ReadonlyArray<unknown>
  const contents = listed.flatMap((message) => {
    if (typeof message !== "object" || message === null) return []
    const { content, role } = message as Readonly<Record<string, unknown>>
    return role === "system" || role === "developer" ? [content] : []
  })
  return [instructions, system, ...contents].filter((text): text is string => typeof text === "string")
}
